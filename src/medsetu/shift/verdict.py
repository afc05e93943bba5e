# SPDX-License-Identifier: Apache-2.0
"""One sentence on shortcuts, from the ladder (what the films allow) and the occlusion test (what the network does)."""

import math
from collections.abc import Sequence

from medsetu.shift.ladder import INFLATED, MEASURE
from medsetu.shift.occlusion import WITHOUT_BORDER, WITHOUT_MARKERS
from medsetu.shift.probe_rows import BLIND, LOST, USES
from medsetu.shift.row import ShiftRow
from medsetu.shift.rung import WITHOUT_LUNGS as RUNGS_WITHOUT_LUNGS

_OUTSIDE = (USES[WITHOUT_BORDER], USES[WITHOUT_MARKERS])  # no disease can be there


def verdict_sentence(ladder: Sequence[ShiftRow], probe: Sequence[ShiftRow], *, side: str = "global") -> str:
    """Say what the ladder and the occlusion test together mean for one side.

    Saliency has no say here. A shortcut that was not found may still exist, and the sentence says so.

    Args:
        ladder: Lines of ``ladder_rows`` or ``study_ladder_rows``; empty when it was not climbed.
        probe: Lines of ``probe_rows.rows``; empty when no film was altered.
        side: The side, by name.

    Returns:
        Plain words with numbers and intervals.

    Example:
        >>> verdict_sentence([], [])
        'No verdict on shortcuts on the global side: the ladder was not climbed and no film was altered.'
    """
    rungs = [row for row in ladder if row.measure == MEASURE and row.subject.startswith(f"{side}: ") and math.isfinite(row.value)]
    tests = [row for row in probe if row.subject.startswith(f"{side}: ") and math.isfinite(row.low)]
    if not rungs and not tests:
        return f"No verdict on shortcuts on the {side} side: the ladder was not climbed and no film was altered."
    inflating = [row for row in rungs if row.verdict.startswith(INFLATED)]
    used = [row for row in tests if row.measure == LOST and row.verdict in _OUTSIDE]
    blind = [row for row in tests if row.verdict == BLIND]
    outside = [row for row in rungs if row.subject.removeprefix(f"{side}: ") in RUNGS_WITHOUT_LUNGS and row.low > 0.5]
    meaning = _meaning(inflated=bool(inflating), used=bool(used), blind=bool(blind), outside=bool(outside))
    return f"{_allowed(rungs, inflating, side)}; {_done(tests, used + blind, side)}: {meaning}."


def _allowed(rungs: Sequence[ShiftRow], inflating: Sequence[ShiftRow], side: str) -> str:
    if not rungs:
        return f"The ladder was not climbed on the {side} side"
    best = max(inflating or rungs, key=lambda row: row.value)
    if inflating:
        return f"Reference inflated on the {side} side: {best.verdict.removeprefix(f'{INFLATED}: ')} at AUROC {_number(best)}"
    rung = best.subject.removeprefix(f"{side}: ")
    return f"Reference not shown to be inflated on the {side} side: the best rung, {rung}, reaches AUROC {_number(best)}"


def _done(tests: Sequence[ShiftRow], used: Sequence[ShiftRow], side: str) -> str:
    if not any(row.measure == LOST for row in tests):
        return "no occlusion test was made"
    if not used:
        return "hiding border or markers cost no AUROC that could be shown, and without lungs nothing was shown to be left"
    parts = []
    for row in used:
        what = "AUROC" if row.verdict == BLIND else "AUROC lost"
        parts.append(f"{row.verdict} ({what} {_number(row)}, {row.subject.removeprefix(f'{side}: ')})")
    return f"the network {' and '.join(parts)}"


def _meaning(*, inflated: bool, used: bool, blind: bool, outside: bool) -> str:
    if inflated and (used or blind):
        return "the AUROC of this side is not evidence of skill"
    if inflated:
        return "a shortcut lies in the films, that the network uses it is not shown"
    if used:
        return "the network reads what is no disease"
    if blind:
        return "part of what it reads lies outside the lung template, which may be disease or not"
    if outside:
        return "something outside the lungs goes with the label, too little to call the reference inflated"
    return "no shortcut found, which does not prove that there is none"


def _number(row: ShiftRow) -> str:
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]" if math.isfinite(row.low) else f"{row.value:.3f} (no interval)"
