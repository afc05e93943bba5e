# SPDX-License-Identifier: Apache-2.0
"""What a study has shown, in at most five plain sentences for the terminal and the report."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from medsetu.core.arm import GLOBAL_ONLY
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.shift.contrast import FORGETTING, GAIN_OVER_AS_IS, GAIN_OVER_LOCAL, GAP, LOCAL_DEFICIT, NOT_ESTIMABLE, RECOVERED
from medsetu.shift.matrix import TransferMatrix
from medsetu.shift.shortcut import ladder_verdicts

Row = Mapping[Hashable, Any]  # one row of the contrasts or cells


def summarise(matrix: TransferMatrix, *, ladders: pd.DataFrame | None = None) -> list[str]:
    """Say what the transfer matrix and the shortcut ladder have shown.

    Args:
        matrix: The transfer matrix.
        ladders: Table of ``shortcut_ladders``; None when no ladder was climbed.

    Returns:
        Four or five sentences, each with number, interval, films and unit; what is not estimable says so with its reason.
    """
    contrasts: dict[str, Row] = {str(row["name"]): row for row in matrix.contrasts.to_dict("records")}
    verdicts = [] if ladders is None else [verdict.sentence for verdict in ladder_verdicts(ladders) if verdict.side == GLOBAL]
    return [
        f"{_opening(matrix)}; {_told(contrasts[GAP])}.",
        *verdicts,
        f"{_told(contrasts[LOCAL_DEFICIT])}; {_told(contrasts[GAIN_OVER_AS_IS])}.",
        f"{_told(contrasts[GAIN_OVER_LOCAL])}{_power(contrasts[GAIN_OVER_LOCAL])}.",
        f"{_told(contrasts[FORGETTING])}; {_told(contrasts[RECOVERED])}.",
    ]


def _opening(matrix: TransferMatrix) -> str:
    cells: Sequence[Row] = matrix.cells[matrix.cells["arm"] == GLOBAL_ONLY].to_dict("records")
    told = [f"{_number(cell)} on {cell['title']} ({cell['side']})" for cell in cells if cell["side"] in (GLOBAL, LOCAL)]
    return f"AUROC of {GLOBAL_ONLY} for {matrix.finding}, {matrix.population}: {', '.join(told)}"


def _told(row: Row) -> str:
    name = f"{'headline: ' if row['headline'] else ''}{row['name']} {row['formula']}"
    if math.isnan(row["value"]):
        return f"{name} is {NOT_ESTIMABLE}: {row['note'].removeprefix(f'{NOT_ESTIMABLE}: ').split('; ')[0]}"
    return f"{name} = {_number(row)}, {row['unit']}: {row['verdict']}"


def _number(row: Row) -> str:
    if math.isnan(row["low"]):
        return f"{row['value']:.3f} (no interval)" if not math.isnan(row["value"]) else NOT_ESTIMABLE
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _power(row: Row) -> str:
    if math.isnan(row["power_margin"]):
        return ""
    shown = f"power {row['power_margin']:.2f} to show non-inferiority if both are equal"
    return f" ({shown}, {row['power']:.2f} to find a difference as large as the margin; {row['claim']})"
