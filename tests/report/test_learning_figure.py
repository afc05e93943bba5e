# SPDX-License-Identifier: Apache-2.0
"""Every point of a learning curve is drawn and told."""

import numpy as np
import pandas as pd

from medsetu.report.learning_figure import learning_curve_panel


def test_both_arms_are_drawn_and_told_in_the_order_of_patients():
    points = pd.DataFrame(
        {
            "arm": ["transfer", "local-only", "transfer", "local-only"],
            "patients": [40.0, 40.0, 0.0, 20.0],
            "value": [0.8, 0.7, 0.65, np.nan],
            "low": [0.7, 0.6, 0.55, np.nan],
            "high": [0.9, 0.8, 0.75, np.nan],
        }
    )
    drawing = learning_curve_panel(points, name="curve")
    assert ">transfer<" in drawing
    assert ">local-only<" in drawing
    assert "transfer with 0: 0.650 (0.550\u00a0to\u00a00.750); transfer with 40: 0.800" in drawing
    assert "local-only with 20" not in drawing


def test_no_point_is_no_picture():
    assert learning_curve_panel(pd.DataFrame({"arm": [], "patients": [], "value": [], "low": [], "high": []}), name="curve") == ""
