# SPDX-License-Identifier: Apache-2.0
"""Groups of samples by the facts in the predictions: sex, age band, view, site, release, device."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medsetu.core.errors import ConfigError

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Group:
    """Some samples with a fact in common.

    Attributes:
        name: ``<column>=<value>``, or the column alone where nothing is recorded.
        sample_ids: The samples; empty where nothing is recorded.
        note: "not assessable" where nothing is recorded.
    """

    name: str
    sample_ids: frozenset[str]
    note: str = ""


def age_band(age: pd.Series, *, bands: Sequence[float]) -> pd.Series:
    """Cut ages in years into bands, closed on the left.

    Args:
        age: Ages in years; NaN is unknown.
        bands: Ascending cuts in years.

    Returns:
        Names such as ``18-39``; "unknown" where the age is.

    Example:
        >>> age_band(pd.Series([5.0, 18.0, 70.0, float("nan")]), bands=[18, 60]).tolist()
        ['0-17', '18-59', '60+', 'unknown']
    """
    starts = [0.0, *map(float, bands)]
    names = [f"{low:g}-{high - 1:g}" for low, high in itertools.pairwise(starts)] + [f"{starts[-1]:g}+"]
    index = np.searchsorted(starts, age.fillna(0.0).to_numpy(dtype=np.float64), side="right") - 1
    return pd.Series(np.array(names, dtype=object)[np.maximum(index, 0)], index=age.index).where(age.notna(), UNKNOWN)


def groups(predictions: pd.DataFrame, *, columns: Sequence[str], age_bands: Sequence[float]) -> Iterator[Group]:
    """Name the groups of a set of predictions.

    A column with one value for every sample makes no group: it would repeat "all". A column with nothing recorded gives one empty
    group that says so.

    Args:
        predictions: Rows of one arm, domain and finding.
        columns: Columns of the predictions table.
        age_bands: Ascending cuts in years for ``age_years``.

    Yields:
        The groups, in the order of the columns, then by name.

    Raises:
        ConfigError: A column is not in the table.
    """
    for column in columns:
        if column not in predictions.columns:
            raise ConfigError(
                what=f"The group column '{column}' is not in the predictions",
                where="evaluation.groups",
                value=column,
                allowed=list(map(str, predictions.columns)),
            )
        facts = predictions[["sample_id", column]].drop_duplicates("sample_id").set_index("sample_id")[column]
        values = age_band(facts, bands=age_bands) if column == "age_years" else facts.fillna("").replace("", UNKNOWN).astype(str)
        if bool((values == UNKNOWN).all()):
            yield Group(column, frozenset(), f"not assessable: {column} is not recorded")
        elif values.nunique() > 1:
            for value in sorted(values.unique()):
                yield Group(f"{column}={value}", frozenset(values.index[values == value]))
