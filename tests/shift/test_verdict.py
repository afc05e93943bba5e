# SPDX-License-Identifier: Apache-2.0
"""One sentence from ladder and occlusion: each of the cases says what it is."""

import math

import pytest

from medsetu.shift.ladder import INFLATED
from medsetu.shift.occlusion import WITHOUT_BORDER, WITHOUT_LUNGS, WITHOUT_MARKERS
from medsetu.shift.probe_rows import BLIND, LOST, USES
from medsetu.shift.row import ShiftRow
from medsetu.shift.verdict import verdict_sentence

RING = ShiftRow("shortcut", "ladder", "global: border ring", 0.944, 0.92, 0.96, verdict=f"{INFLATED}: the classes are told apart by it")
LOW = ShiftRow("shortcut", "ladder", "global: 8 x 8 thumbnail", 0.6, 0.5, 0.7, verdict="nothing found")
WEAK = ShiftRow("shortcut", "ladder", "global: border ring", 0.73, 0.62, 0.82, verdict="the classes are told apart by it")
BORDER = ShiftRow("shortcut", LOST, f"global: {WITHOUT_BORDER}", 0.1, 0.05, 0.15, verdict=USES[WITHOUT_BORDER])
NOTHING = ShiftRow("shortcut", LOST, f"global: {WITHOUT_MARKERS}", 0.0, -0.05, 0.05, verdict="no loss shown")
WITHOUT = ShiftRow("shortcut", "auroc altered", f"global: {WITHOUT_LUNGS}", 0.9, 0.85, 0.95, verdict=BLIND)


@pytest.mark.parametrize(
    ("ladder", "probe", "opening", "meaning"),
    [
        ([RING, LOW], [BORDER], "Reference inflated on the global side", "not evidence of skill"),
        ([RING], [WITHOUT, NOTHING], "Reference inflated", "not evidence of skill"),
        ([RING], [NOTHING], "Reference inflated", "that the network uses it is not shown"),
        ([RING], [], "Reference inflated", "that the network uses it is not shown"),
        ([LOW], [BORDER], "Reference not shown to be inflated", "reads what is no disease"),
        ([LOW], [WITHOUT, NOTHING], "Reference not shown to be inflated", "may be disease or not"),
        ([LOW], [NOTHING], "Reference not shown to be inflated", "does not prove that there is none"),
        ([WEAK], [NOTHING], "Reference not shown to be inflated", "too little to call the reference inflated"),
        ([], [BORDER], "The ladder was not climbed", "reads what is no disease"),
    ],
)
def test_ladder_and_occlusion_speak_together(ladder, probe, opening, meaning):
    sentence = verdict_sentence(ladder, probe)
    assert sentence.startswith(opening)
    assert sentence.endswith(f"{meaning}.")


def test_the_sentence_holds_its_numbers():
    sentence = verdict_sentence([RING, LOW], [BORDER, NOTHING])
    assert "AUROC 0.944 [0.920, 0.960]" in sentence
    assert "uses the border (AUROC lost 0.100 [0.050, 0.150], border ring hidden)" in sentence
    assert "no occlusion test was made" in verdict_sentence([RING], [])


def test_lines_of_another_side_and_undefined_ones_do_not_count():
    assert verdict_sentence([RING], [BORDER], side="local").startswith("No verdict on shortcuts on the local side")
    undefined = ShiftRow("shortcut", "ladder", "global: metadata", math.nan, verdict="not identified")
    assert verdict_sentence([undefined], []).startswith("No verdict")
