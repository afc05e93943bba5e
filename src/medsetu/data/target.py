# SPDX-License-Identifier: Apache-2.0
"""Facts of the manifest as something to predict beside the findings while a stage trains: age, sex, view and their like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError, DataError

NUMBERS = ("age_years",)
CLASSES = ("sex", "view", "laterality", "modality", "device")
MINIMUM_KNOWN = 8


@dataclass(frozen=True)
class Target:
    """One fact, and the scale on which it is predicted.

    Attributes:
        column: Column of the manifest.
        classes: Values that are told apart, sorted; empty for a number.
        mean: Of a number, in its unit.
        std: Of a number, in its unit; above 0.
    """

    column: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    def encode(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Write the fact of each row as a number.

        Args:
            rows: Manifest rows.

        Returns:
            (N,) float32: the number of the class, or (value - mean) / std; NaN unknown, or a class that was not there to learn from.

        Example:
            >>> rows = pd.DataFrame({"sex": ["M", "", "F"], "age_years": [30.0, 50.0, None]})
            >>> Target("sex", ("F", "M")).encode(rows).tolist(), Target("age_years", mean=40, std=10).encode(rows).tolist()
            ([1.0, nan, 0.0], [-1.0, 1.0, nan])
        """
        if not self.classes:
            return ((rows[self.column].to_numpy(np.float64) - self.mean) / self.std).astype(np.float32)
        numbers = rows[self.column].map({name: float(number) for number, name in enumerate(self.classes)})
        return numbers.to_numpy(np.float32)


def targets_of(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[Target, ...]:
    """Take classes, mean and standard deviation from the rows that are learned from, and from no others.

    Args:
        rows: Training rows.
        columns: Columns of the manifest; see ``NUMBERS`` and ``CLASSES``.

    Returns:
        One target per column.

    Raises:
        ConfigError: A column is no fact that can be predicted.
        DataError: Too few training rows know it, or they all say the same.

    Example:
        >>> rows = pd.DataFrame({"sex": ["M", "F", "", "M"] * 4, "age_years": [30.0, 50.0] * 8})
        >>> targets_of(rows, ["sex", "age_years"])
        (Target(column='sex', classes=('F', 'M'), mean=0.0, std=1.0), Target(column='age_years', classes=(), mean=40.0, std=10.0))
    """
    found = []
    for column in columns:
        if column not in (*NUMBERS, *CLASSES):
            raise ConfigError(
                what=f"'{column}' is nothing that a film can be asked for",
                where="stages.*.auxiliary",
                value=column,
                allowed=(*NUMBERS, *CLASSES),
            )
        known = rows[column].dropna() if column in NUMBERS else rows[column].replace("", np.nan).dropna()
        if len(known) < MINIMUM_KNOWN or known.nunique() < 2:
            raise DataError(
                what=f"{len(known)} training rows know '{column}', with {known.nunique()} values; {MINIMUM_KNOWN} rows and 2 are needed",
                where=f"stages.*.auxiliary.{column}",
                remedy="Leave it out, or choose a release that states it",
            )
        if column in NUMBERS:
            found.append(Target(column, mean=float(known.mean()), std=float(known.std(ddof=0))))
        else:
            found.append(Target(column, tuple(sorted(map(str, known.unique())))))
    return tuple(found)


def encode(rows: pd.DataFrame, targets: Sequence[Target]) -> NDArray[np.float32]:
    """Write the facts of each row, one column per target.

    Returns:
        (N, K) float32, NaN unknown; see ``Target.encode``.

    Example:
        >>> encode(pd.DataFrame({"sex": ["M", "F"]}), [Target("sex", ("F", "M"))]).tolist()
        [[1.0], [0.0]]
    """
    return np.stack([target.encode(rows) for target in targets], axis=1)
