# SPDX-License-Identifier: Apache-2.0
"""The shift table keeps its columns, also when nothing was measured."""

import numpy as np

from medsetu.shift.row import SHIFT_COLUMNS, ShiftRow, shift_table


def test_an_empty_table_has_every_column():
    assert list(shift_table([]).columns) == list(SHIFT_COLUMNS)


def test_what_was_not_measured_is_nan():
    table = shift_table([ShiftRow("explain", "waterfall", "appearance", verdict="not identified")])
    assert np.isnan(table.loc[0, ["value", "low", "high", "p"]].to_numpy(dtype=float)).all()
