# SPDX-License-Identifier: Apache-2.0
"""Published numbers beside our own: what a paper says of an arm on a side, with its interval, its films and where it stands."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError
from medsetu.core.table import conform
from medsetu.evaluation.evaluate import ALL

HOW = {
    "published": "read in the paper or its abstract",
    "computed": "computed from published predictions",
    "secondary": "seen through a second source",
}
PUBLISHED_COLUMNS: dict[str, str] = {
    "finding": "str",
    "metric": "str",
    "arm": "str",
    "side": "str",
    "published": "float64",
    "published_low": "float64",  # NaN where the paper gives no interval
    "published_high": "float64",
    "published_n": "float64",
    "value": "float64",  # ours; NaN with the reason in note
    "low": "float64",
    "high": "float64",
    "n_samples": "float64",
    "how": "str",  # published, computed or secondary
    "source": "str",
    "note": "str",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """One number of a paper.

    Attributes:
        arm: The arm of the recipe that does what the paper did.
        side: ``global``, ``local`` or ``external: <site>``.
        finding: Finding, by name.
        metric: Metric as the results table names it, such as ``auroc``.
        value: The number; shares and AUROC in [0, 1].
        low: Lower end of its 95 % interval; NaN where none is given.
        high: Upper end.
        n: Films or patients behind it; NaN where not given.
        how: ``published``, ``computed`` or ``secondary``; a number from memory has no place here.
        source: Citation.
        note: Where the paper's protocol differs from the recipe's.

    Raises:
        ConfigError: ``how`` is none of the three, no source is named, or the interval leaves the number out.
    """

    arm: str
    side: str
    finding: str
    metric: str
    value: float
    source: str
    low: float = math.nan
    high: float = math.nan
    n: float = math.nan
    how: str = "published"
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be checked by a reader."""
        if self.how not in HOW:
            raise ConfigError(what="A published number has no such origin", where="Key published", value=self.how, allowed=list(HOW))
        if not self.source or not math.isfinite(self.value) or self.low > self.value or self.high < self.value:
            raise ConfigError(
                what=f"A published {self.metric} of {self.value} cannot stand as it is",
                where="Key published",
                remedy="Give a number, its source, and an interval that holds it or none",
            )


def published_of(nodes: Sequence[Mapping[str, Any]]) -> tuple[Published, ...]:
    """Read the published numbers of a recipe.

    Args:
        nodes: One mapping per number, keys as the attributes of ``Published``; null stands for NaN.

    Returns:
        The numbers, in order.

    Raises:
        ConfigError: A key is unknown or missing, or a number is refused.

    Example:
        >>> published_of([{"arm": "global-only", "side": "local", "finding": "tuberculosis", "metric": "auroc", "value": 0.7,
        ...                "source": "Somebody 2020"}])[0].how
        'published'
    """
    found = []
    for node in nodes:
        try:
            found.append(Published(**{key: value for key, value in node.items() if value is not None}))
        except TypeError as error:
            raise ConfigError(
                what=f"A published number is not described as it should be: {error}", where="Key published", remedy="Correct its keys"
            ) from error
    return tuple(found)


def published_beside(published: Sequence[Published], results: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Put the numbers of papers beside our own; nothing is tested, because protocols differ.

    Args:
        published: Numbers of the recipe.
        results: Results table of the study.
        cells: Cells of the transfer matrix on all films, for single external sites; may be empty.

    Returns:
        One row per published number (``PUBLISHED_COLUMNS``); ours is NaN, with the reason, where the study has no such number.
    """
    rows = []
    for one in published:
        ours = _ours(one, results, cells)
        told = {"published": one.value, "published_low": one.low, "published_high": one.high, "published_n": one.n}
        address = {"finding": one.finding, "metric": one.metric, "arm": one.arm, "side": one.side}
        note = "; ".join(filter(None, (one.note, ours["note"])))
        rows.append({**address, **told, **ours, "how": one.how, "source": one.source, "note": note})
    return conform(pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS)), PUBLISHED_COLUMNS, name="published numbers")


def _ours(one: Published, results: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    own = results[(results["arm"] == one.arm) & (results["finding"] == one.finding) & (results["metric"] == one.metric)]
    own = own[(own["group"] == ALL) & (own["domain"] == one.side)]
    if own.empty and one.metric == "auroc" and len(cells):
        own = cells[(cells["arm"] == one.arm) & (cells["side"] == one.side)]
    if own.empty:
        nan = math.nan
        return {"value": nan, "low": nan, "high": nan, "n_samples": nan, "note": "not tested in this study"}
    row = own.iloc[0]
    reason = str(row["note"]) if math.isnan(row["value"]) else ""
    return {name: float(row[name]) for name in ("value", "low", "high", "n_samples")} | {"note": reason}
