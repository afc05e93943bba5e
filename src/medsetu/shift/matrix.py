# SPDX-License-Identifier: Apache-2.0
"""The transfer matrix: rows are arms, columns are test sides, and from its cells come the contrasts of a study."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from medsetu.core.arm import ARMS, GLOBAL_ONLY, TRANSFER, arm_order
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.core.table import conform
from medsetu.evaluation.delong import CLAIM_SEEDS, estimate_from
from medsetu.evaluation.interval import Estimate, join_notes
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.contrast import (
    CONTRASTS,
    GAP,
    LOCAL_DEFICIT,
    NOT_ESTIMABLE,
    RECOVERED,
    SHORTCUT_NOTE,
    Measured,
    external_contrasts,
    measure,
)
from medsetu.shift.pairing import BY_PATIENT, ArmScores, Side, paired_sides
from medsetu.shift.recovered import SMALLEST_GAP, FiellerSet, recovered_share

CELL_COLUMNS: dict[str, str] = {
    "arm": "str",
    "side": "str",  # global, local, external: <site>
    "title": "str",  # the sites as a reader knows them
    "value": "float64",  # AUROC
    "low": "float64",
    "high": "float64",
    "n_patients": "int64",
    "n_samples": "int64",
    "n_positive": "int64",
    "seeds": "int64",
    "labels_used": "float64",  # local labels the arm spent (train, validation and calibration); NaN when unknown
    "within_fold": "float64",  # AUROC from pairs of one fold only; NaN where the arm was not cross-fitted
    "unit": "str",  # by patient, or by image with the reason
    "method": "str",
    "note": "str",
}
CONTRAST_COLUMNS: dict[str, str] = {
    "name": "str",
    "formula": "str",  # G, L, C, T, F as in the transfer matrix: left minus right
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "n_patients": "int64",
    "n_samples": "int64",
    "n_positive": "int64",
    "unit": "str",  # the films, counted by patient or by image
    "seeds": "int64",
    "paired": "bool",
    "headline": "bool",  # gap, or local deficit where the global side is inflated
    "claim": "str",
    "power": "float64",  # of finding a true difference as large as the margin
    "power_margin": "float64",  # of showing non-inferiority at the margin, if truly equal
    "verdict": "str",
    "method": "str",
    "note": "str",
}
ALL_FILMS = "all films"
UNSEEN_FILMS = "without films possibly seen in pretraining"
POOLING_TOLERANCE = 0.02  # AUROC; beyond it pooled and within-fold values are both told


@dataclass(frozen=True)
class TransferMatrix:
    """Cells and contrasts of one finding.

    Attributes:
        finding: The finding, by name.
        population: ``all films`` or ``without films possibly seen in pretraining``.
        cells: One row per arm and side (``CELL_COLUMNS``).
        contrasts: One row per contrast (``CONTRAST_COLUMNS``).
        notes: What a reader must know, each said once.
    """

    finding: str
    population: str
    cells: pd.DataFrame
    contrasts: pd.DataFrame
    notes: tuple[str, ...]


def transfer_matrix(
    predictions: pd.DataFrame,
    *,
    finding: str,
    plan: EvaluationPlan,
    labels_used: Mapping[str, int] | None = None,
    inflated: Collection[str] = (),
) -> TransferMatrix:
    """Build the transfer matrix of one finding with its contrasts, on all films.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``: all arms, seeds and folds of one study; only split ``test`` is read.
        finding: The head that is compared, by name: nothing is chosen on test.
        plan: Margin and level. The margin is also the smallest difference of interest for the power.
        labels_used: Local labels that each arm spent on training, validation and calibration.
        inflated: Sides whose reference the shortcut ladder has called inflated.

    Returns:
        The matrix; undefined cells and contrasts are NaN with the reason.

    Raises:
        ConfigError: No arm has a head for the finding.
        DataError: The arms cannot be paired (see ``paired_sides``).
    """
    return transfer_matrices(predictions, finding=finding, plan=plan, labels_used=labels_used, inflated=inflated)[0]


def transfer_matrices(
    predictions: pd.DataFrame,
    *,
    finding: str,
    plan: EvaluationPlan,
    labels_used: Mapping[str, int] | None = None,
    inflated: Collection[str] = (),
) -> list[TransferMatrix]:
    """Build the transfer matrix on all films and, where some may have been seen in pretraining, again without those.

    Args:
        predictions: As in ``transfer_matrix``.
        finding: As in ``transfer_matrix``.
        plan: As in ``transfer_matrix``.
        labels_used: As in ``transfer_matrix``.
        inflated: As in ``transfer_matrix``.

    Returns:
        One matrix, or two: the second refuses, with the reason, every side on which a class vanishes.
    """
    sides = paired_sides(predictions, finding=finding)
    frame = _Frame(finding, plan, labels_used or {}, GLOBAL in inflated)
    matrices = [_matrix(sides, frame=frame, population=ALL_FILMS)]
    if any((side.seen != "").any() for side in sides.values()):
        matrices.append(_matrix({name: side.unseen() for name, side in sides.items()}, frame=frame, population=UNSEEN_FILMS))
    return matrices


@dataclass(frozen=True)
class _Frame:
    """What all cells and contrasts of a study share."""

    finding: str
    plan: EvaluationPlan
    labels_used: Mapping[str, int]
    inflated: bool


def _matrix(sides: Mapping[str, Side], *, frame: _Frame, population: str) -> TransferMatrix:
    arms = sorted({arm for side in sides.values() for arm in side.arms} | set(ARMS), key=arm_order)
    cells = [_cell_row(arm, side, frame=frame) for arm in arms for side in sides.values()]
    external = [contrast for name in sides if name.startswith("external") for contrast in external_contrasts(name)]
    measured = [measure(contrast, sides, plan=frame.plan) for contrast in (*CONTRASTS, *external)]
    contrasts = [_contrast_row(one, inflated=frame.inflated) for one in measured]
    contrasts.append(_recovered_row(sides, gap=measured[0], frame=frame))
    return TransferMatrix(
        finding=frame.finding,
        population=population,
        cells=conform(pd.DataFrame(cells), CELL_COLUMNS, name="cells of the transfer matrix"),
        contrasts=conform(pd.DataFrame(contrasts), CONTRAST_COLUMNS, name="contrasts of the transfer matrix"),
        notes=_notes(sides.values(), measured=measured),
    )


def _cell_row(arm: str, side: Side, *, frame: _Frame) -> dict[str, object]:
    scores = side.arms.get(arm)
    if scores is None:
        estimate = Estimate(math.nan, math.nan, math.nan, 0, 0, 0, "", f"{arm} was not tested on {side.name}")
    else:
        estimate = estimate_from(scores.parts, seed=scores.seed, level=frame.plan.level)
    return {
        "arm": arm,
        "side": side.name,
        "title": side.title,
        **asdict(estimate),
        "seeds": scores.seeds if scores else 0,
        "labels_used": float(frame.labels_used.get(arm, math.nan)),
        "within_fold": scores.within_fold if scores else math.nan,
        "unit": side.unit,
    }


def _contrast_row(measured: Measured, *, inflated: bool) -> dict[str, object]:
    contrast, estimate = measured.contrast, measured.estimate
    warned = SHORTCUT_NOTE if inflated and contrast.touches_global else ""
    return {
        "name": contrast.name,
        "formula": contrast.formula,
        **asdict(estimate),
        "unit": measured.unit,
        "seeds": measured.seeds,
        "paired": contrast.paired,
        "headline": contrast.name == (LOCAL_DEFICIT if inflated else GAP),
        "claim": measured.claim,
        "power": measured.power,
        "power_margin": measured.power_margin,
        "verdict": measured.verdict,
        "note": join_notes(estimate.note, warned),
    }


def _recovered_row(sides: Mapping[str, Side], *, gap: Measured, frame: _Frame) -> dict[str, object]:
    row = _contrast_row(gap, inflated=frame.inflated)
    low = gap.estimate.low
    share = None
    if low > SMALLEST_GAP and TRANSFER in sides[LOCAL].arms:
        arms = sides[LOCAL].arms
        share = recovered_share(sides[GLOBAL].arms[GLOBAL_ONLY], before=arms[GLOBAL_ONLY], after=arms[TRANSFER], level=frame.plan.level)
    reason = _unprintable(low, share)
    printed = share if share and not reason else FiellerSet(math.nan, math.nan, math.nan)
    return row | {
        "name": RECOVERED,
        "formula": "(T - L) / (G - L)",
        "value": printed.value,
        "low": printed.low,
        "high": printed.high,
        "headline": False,
        "power": math.nan,
        "power_margin": math.nan,
        "verdict": NOT_ESTIMABLE if reason else _won_back(printed),
        "method": "" if reason else "fieller",
        "note": join_notes(f"{NOT_ESTIMABLE}: {reason}" if reason else "ratio of means, not clipped", str(row["note"])),
    }


def _won_back(share: FiellerSet) -> str:
    """Say what transfer has won back, and that it cannot be told where the set holds zero."""
    if share.low > 0:
        return f"transfer makes up {share.value:.0%} of the gap"
    return "cannot tell whether transfer makes up any of the gap" if share.high > 0 else "transfer widens the gap"


def _unprintable(gap_low: float, share: FiellerSet | None) -> str:
    if math.isnan(gap_low):
        return "the gap is not estimable"
    if not gap_low > SMALLEST_GAP:
        return f"the lower bound of G - L is {gap_low:.3f}, not above {SMALLEST_GAP}"
    if share is None:
        return f"{TRANSFER} was not tested on {LOCAL}"
    return "" if share.bounded else "the Fieller set is unbounded"


def _notes(sides: Collection[Side], *, measured: Sequence[Measured]) -> tuple[str, ...]:
    notes = [note for side in sides for note in side.notes]
    for side in sides:
        notes += [f"{side.name} side is tested {side.unit}"] if side.unit != BY_PATIENT else []
        first = next(iter(side.arms.values()))
        if math.isnan(first.parts.auroc[0]):
            notes.append(f"{side.name} side refused: {estimate_from(first.parts).note}")
        notes += [_pooling_note(arm, scores, side=side.name) for arm, scores in side.arms.items()]
    seeds = [one.seeds for one in measured if one.seeds]
    if seeds and min(seeds) < CLAIM_SEEDS:
        notes.append(f"{min(seeds)} seeds: descriptive, a claim about the recipe needs at least {CLAIM_SEEDS}")
    return tuple(dict.fromkeys(note for note in notes if note))


def _pooling_note(arm: str, scores: ArmScores, *, side: str) -> str:
    within, pooled = scores.within_fold, float(scores.parts.averaged(scores.seed).auroc[0])
    if math.isnan(within) or abs(within - pooled) <= POOLING_TOLERANCE:
        return ""
    return f"{arm} on {side}: {pooled:.3f} over pooled folds, {within:.3f} within folds, because the networks of the folds differ in level"
