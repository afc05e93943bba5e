# SPDX-License-Identifier: Apache-2.0
import numpy as np

from fakes.report import ladder
from medsetu.report.forest import WARN, Line, forest, interval_panel, ladder_bars


def test_forest_shows_every_difference_and_no_ratio(study_report):
    contrasts = study_report.matrices[0].contrasts
    drawing = forest(contrasts, margin=0.05, name="forest")
    for name in ("gap", "local deficit", "gain over local", "gain over as-is", "forgetting"):
        assert f">{name} (" in drawing
    assert "recovered" not in drawing
    assert "margin of 0.05" in drawing
    assert "margin" not in forest(contrasts, margin=float("nan"), name="forest")


def test_forest_of_nothing_estimable_is_nothing(study_report):
    contrasts = study_report.matrices[0].contrasts.assign(low=np.nan)
    assert forest(contrasts, margin=0.05, name="forest") == ""


def test_bars_mark_the_rungs_that_inflate():
    rows = ladder(arms={"global": ["global-only"], "local": ["transfer"]})
    assert WARN in ladder_bars(rows[rows["side"] == "global"], name="a")
    plain = rows[(rows["side"] == "local") & (rows["low"] < 0.8)]
    assert WARN not in ladder_bars(plain, name="b")
    assert "metadata" not in ladder_bars(rows, name="c")


def test_bars_of_no_measured_rung_are_nothing():
    rows = ladder(arms={"global": ["global-only"], "local": ["transfer"]})
    assert ladder_bars(rows[rows["rung"] == "metadata"], name="a") == ""


def test_a_line_without_an_interval_is_drawn_as_a_point():
    drawing = interval_panel([Line("skill", 0.8, np.nan, np.nan)], name="one", title="t", axis="AUROC", zero=np.nan, sign=False)
    assert ">skill<" in drawing
    assert ">0.800<" in drawing
    assert interval_panel([], name="none", title="t", axis="AUROC") == ""
