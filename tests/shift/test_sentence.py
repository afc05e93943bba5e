# SPDX-License-Identifier: Apache-2.0
"""Five sentences: each has its numbers, or the reason why there is none."""

from math import nan

import pandas as pd
import pytest

from medsetu.shift.row import ShiftRow, shift_table
from medsetu.shift.sentence import five_sentences
from medsetu.shift.waterfall import Part, Waterfall

REPAIRS = pd.DataFrame(
    [("brier", "platt", 0.02, 0.01, 0.03, 1.0, 60.0, 60.0, "better"), ("brier", "prior", 0.01, 0.0, 0.03, 2.0, 0.0, 0.0, "cannot tell")],
    columns=["metric", "repair", "value", "low", "high", "rank", "local_images", "local_labels", "verdict"],
)
GAP = [
    ShiftRow("gap", "auroc", "global", 0.9, 0.85, 0.95),
    ShiftRow("gap", "auroc", "local", 0.7, 0.6, 0.8),
    ShiftRow("gap", "gap: auroc", "all films", 0.2, 0.1, 0.3, n_global=60, n_local=50, verdict="the model is worse"),
]
PLAN = [
    ShiftRow("plan", "positives, and as many negatives, for the gap to +- 0.05", "model", 218, verdict="218 per class and side"),
    ShiftRow("plan", "cases without a miss", "recall 0.98", 149, verdict="125 more: 24 are here"),
    ShiftRow("plan", "negatives to prove specificity >= 0.7", "WHO", 158, verdict="122 more: 36 are here"),
    ShiftRow("plan", "positives to prove sensitivity >= 0.9", "WHO", 254, verdict="230 more: 24 are here"),
]


def said(rows=(), *, waterfalls=(), repairs=None):
    repairs = REPAIRS.head(0) if repairs is None else repairs
    return five_sentences(shift_table(rows), waterfalls=list(waterfalls), shortcut="No verdict.", repairs=repairs, arm="the model")


def waterfall(*parts, notes=()):
    total = Part("total", 0.2, 0.1, 0.3)
    return Waterfall("AUROC", tuple(parts), total, 0.9, 0.7, tuple(notes))


def test_nothing_measured_is_said_five_times():
    sentences = said()
    assert len(sentences) == 5
    assert sentences[0] == "How much the model loses cannot be said: the gap was not measured."
    assert sentences[1] == "Whether the sides differ cannot be said: nothing was tested."
    assert sentences[2] == "Named cause of the shift: not identified. The gap was not decomposed."
    assert sentences[4] == "No repair could be measured."


def test_the_gap_stands_with_both_sides_and_their_intervals():
    first = said(GAP)[0]
    assert "0.900 [0.850, 0.950] on the global side, 0.700 [0.600, 0.800] on the local side; gap +0.200 [+0.100, +0.300]" in first
    assert "60 global and 50 local" in first
    assert first.endswith(": the model is worse.")


def test_a_side_of_one_class_still_tells_its_sensitivity():
    rows = [
        ShiftRow("gap", "auroc", "local", verdict="refused: one class only: no negatives"),
        ShiftRow("gap", "gap: auroc", "all films", verdict="refused: one class only: no negatives"),
        ShiftRow("gap", "sensitivity at transported sensitivity_0.90", "local", 0.65, 0.52, 0.77, verdict="measured"),
    ]
    assert said(rows)[0] == (
        "How much the model loses cannot be said: refused: one class only: no negatives. "
        "On the local side, sensitivity at transported sensitivity 0.90: 0.650 [0.520, 0.770]."
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (0, "No difference between the sides was found (6 tests, adjusted p (Holm)); that is not proof that there is none."),
        (2, "The sides differ in fact 0, fact 1 (2 of 6 tests, adjusted p (Holm) up to 0.010)."),
        (6, "The sides differ in fact 0, fact 1, fact 2, fact 3 and 2 more (6 of 6 tests, adjusted p (Holm) up to 0.010)."),
    ],
)
def test_what_differs_names_the_first_and_counts_the_rest(found, words):
    rows = [
        ShiftRow("detect", "ks", f"fact_{number}", p_adjusted=0.01, verdict="shift found" if number < found else "no shift found")
        for number in range(6)
    ]
    assert said(rows)[1] == words


def test_the_largest_part_is_named_and_a_refusal_is_said_once():
    parts = Part("case mix", 0.02, 0.0, 0.04), Part("appearance", -0.15, -0.2, -0.1), Part("label policy", nan, nan, nan, "not identified")
    assert said(waterfalls=[waterfall(*parts)])[2].endswith("Loss in AUROC +0.200, the largest part appearance -0.150 [-0.200, -0.100].")
    refused = Part("case mix", nan, nan, nan, "refused: no overlap")
    third = said(waterfalls=[waterfall(refused, notes=["domain AUROC 0.99"])])[2]
    assert third.endswith("The gap in AUROC is not decomposed (refused: no overlap: domain AUROC 0.99).")
    again = said(waterfalls=[waterfall(refused, notes=["no overlap"])])[2]
    assert again.endswith("is not decomposed (refused: no overlap).")


def test_the_best_repair_is_the_one_validation_chose():
    last = said(repairs=REPAIRS)[4]
    assert (
        last
        == "Chosen on validation, the first repair for brier is platt: gain +0.020 [+0.010, +0.030] (60 local images, 60 local labels)."
    )


def test_planning_names_the_needs_of_the_profile_first():
    assert said(PLAN)[4].endswith(
        "Planning: 254 positives to prove sensitivity >= 0.9 (230 more: 24 are here); "
        "158 negatives to prove specificity >= 0.7 (122 more: 36 are here)."
    )
    assert said(PLAN[:2])[4].endswith("Planning: 218 positives, and as many negatives, for the gap to +- 0.05 (218 per class and side).")
    refused = ShiftRow("plan", "local patients for sensitivity at specificity 0.8 >= 0.9", "transfer", verdict="refused: too few")
    assert "local patients" not in said([refused, *PLAN])[4]
    assert said([refused])[4].endswith("Planning: local patients for sensitivity at specificity 0.8 >= 0.9: refused: too few.")
