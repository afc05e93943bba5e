# SPDX-License-Identifier: Apache-2.0
"""One line of the shift table: a measured number, or why there is none."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import nan

import pandas as pd

from medsetu.core.table import conform

SECTIONS = ("gap", "detect", "explain", "shortcut", "repair", "plan", "decide")
SHIFT_COLUMNS: dict[str, str] = {
    "section": "str",  # one of SECTIONS
    "measure": "str",  # what was measured, such as mmd or prevalence (EM)
    "subject": "str",  # of what: a fact, a layer, a part of a waterfall, a subgroup, a repair
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "p": "float64",  # NaN where nothing was tested
    "p_adjusted": "float64",  # Holm within the family of the section
    "n_global": "int64",  # patients; films where no patient ids exist
    "n_local": "int64",
    "unit": "str",  # of the value
    "method": "str",
    "verdict": "str",  # in plain words: "shift found", "cannot tell", "not identified", "refused: no overlap"
    "note": "str",
}
NOT_IDENTIFIED = "not identified"
REFUSED = "refused"
CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class ShiftRow:
    """A line of the shift table.

    Attributes:
        section: One of ``SECTIONS``.
        measure: What was measured.
        subject: Of what.
        value: The number; NaN when it is refused or undefined, and then ``verdict`` or ``note`` says why.
        low: Lower end of the interval; NaN when there is none.
        high: Upper end of the interval; NaN when there is none.
        p: p-value in (0, 1]; NaN where nothing was tested.
        p_adjusted: p-value adjusted within its family (Holm); NaN where nothing was tested.
        n_global: Patients of the global side (films where no patient ids exist).
        n_local: Patients of the local side (films where no patient ids exist).
        unit: Unit of the value.
        method: Method and reference.
        verdict: What follows, in plain words.
        note: Remarks.
    """

    section: str
    measure: str
    subject: str
    value: float = nan
    low: float = nan
    high: float = nan
    p: float = nan
    p_adjusted: float = nan
    n_global: int = 0
    n_local: int = 0
    unit: str = ""
    method: str = ""
    verdict: str = ""
    note: str = ""


def shift_table(rows: Iterable[ShiftRow]) -> pd.DataFrame:
    """Write lines as a table with ``SHIFT_COLUMNS``.

    Example:
        >>> shift_table([ShiftRow("detect", "mmd", "features", value=0.1)])["measure"].tolist()
        ['mmd']
    """
    return conform(pd.DataFrame([asdict(row) for row in rows], columns=list(SHIFT_COLUMNS)), SHIFT_COLUMNS, name="shift")
