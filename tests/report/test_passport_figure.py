# SPDX-License-Identifier: Apache-2.0
"""Pictures of the passport: they show what the table says, and nothing where there is nothing."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from fakes.cohort import cohort
from medsetu.report.passport_figure import evidence_panel, line_panel, passport_drawings, score_panel, waterfall_panel
from medsetu.shift.row import ShiftRow, shift_table
from medsetu.shift.waterfall import Part, Waterfall


def waterfall(*values, scale="AUROC"):
    parts = tuple(Part(f"part {number}", value, value - 0.05, value + 0.05) for number, value in enumerate(values))
    return Waterfall(scale, parts, Part("total", sum(values), 0.0, 0.3), 0.9, 0.9 - sum(values), ())


def unlabelled(films):
    return replace(films, label=np.full(len(films), np.nan))


def test_scores_of_both_sides_are_described_by_label():
    told = score_panel(cohort(), name="scores")
    for group in (
        "global, finding present: 30 films",
        "global, finding absent: 30 films",
        "local, finding present",
        "local, finding absent",
    ):
        assert group in told
    assert "label unknown" not in told


def test_a_side_without_labels_is_one_group():
    made = cohort()
    told = score_panel(replace(made, local_films=unlabelled(made.local_films)), name="scores")
    assert "local, label unknown: 60 films" in told
    assert "local, finding present" not in told


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_constant_scores_are_drawn(score):
    made = cohort()
    flat = {name: replace(getattr(made, name), scores=np.full((2, 60), score)) for name in ("global_films", "local_films")}
    assert "<svg" in score_panel(replace(made, **flat), name="scores")


def test_the_strongest_evidence_comes_first():
    rows = [ShiftRow("detect", "ks", f"fact_{number}", 0.3, p_adjusted=10.0**-number) for number in range(12)]
    told = evidence_panel(shift_table(rows), alpha=0.05, name="evidence")
    assert "fact_11 adjusted p" in told
    assert "fact_2 adjusted p" not in told


def test_a_waterfall_ends_at_the_local_value():
    told = waterfall_panel(waterfall(0.15, -0.05), name="waterfall")
    assert "part 0 +0.150" in told
    assert "−0.050" in told
    assert waterfall_panel(waterfall(nan), name="waterfall") == ""
    assert "<svg" in waterfall_panel(waterfall(0.0, scale="log loss"), name="waterfall")


def test_a_waterfall_of_a_loss_that_rises_ends_at_the_local_value():
    rising = Waterfall("log loss", (Part("prevalence", 0.2, 0.1, 0.3),), Part("total", 0.2), 0.3, 0.5, ())
    falling = Waterfall("AUROC", (Part("appearance", 0.2, 0.1, 0.3),), Part("total", 0.2), 0.9, 0.7, ())
    assert "0.500" in waterfall_panel(rising, name="waterfall")
    assert "0.700" in waterfall_panel(falling, name="waterfall")


def test_five_pictures_where_everything_was_measured_and_fewer_where_not():
    rows = [
        ShiftRow("gap", "auroc", "global", 0.9, 0.8, 0.95, unit="AUROC"),
        ShiftRow("gap", "auroc", "local", 0.7, 0.6, 0.8, unit="AUROC"),
        ShiftRow("detect", "ks", "age_years", 0.3, p_adjusted=0.01),
        ShiftRow("shortcut", "ladder", "global: file facts", 0.8, 0.7, 0.9, unit="AUROC"),
    ]
    drawn = passport_drawings(cohort(), shift_table(rows), [waterfall(nan), waterfall(0.2)], alpha=0.05)
    assert [drawing.caption.split(" ")[0] for drawing in drawn] == ["How", "What", "What", "Why:", "What"]
    assert len(passport_drawings(cohort(), shift_table([]), [waterfall(nan)], alpha=0.05)) == 1


def test_a_line_without_an_interval_is_drawn():
    table = shift_table([ShiftRow("gap", "auroc", "local", 0.7)])
    assert "<svg" in line_panel(table, name="gap", title="Gap", axis="AUROC", zero=nan, sign=False)
