# SPDX-License-Identifier: Apache-2.0
"""What is compared with what: gap, local deficit, gains and forgetting, each with its sign, pairing, power and verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medsetu.core.arm import GLOBAL_ONLY, LOCAL_ONLY, TRANSFER
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.delong import claim_note, difference_from
from medsetu.evaluation.interval import Estimate
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.pairing import ArmScores, Side
from medsetu.shift.power import detection_power, interval_error, noninferiority_power

GAP = "gap"
LOCAL_DEFICIT = "local deficit"
GAIN_OVER_LOCAL = "gain over local"
GAIN_OVER_AS_IS = "gain over as-is"
FORGETTING = "forgetting"
RECOVERED = "recovered"

SHORTCUT_NOTE = "may be loss of the shortcut, not of skill"
NOT_ESTIMABLE = "not estimable"


@dataclass(frozen=True)
class Contrast:
    """A difference of two cells of the transfer matrix: left minus right.

    Attributes:
        name: What it is called in tables.
        left: Arm and side of the first cell.
        right: Arm and side of the second cell.
        loss: Whether positive means loss (gaps) rather than gain.
        formula: Short form, such as ``G - L``.
    """

    name: str
    left: tuple[str, str]
    right: tuple[str, str]
    loss: bool
    formula: str

    @property
    def paired(self) -> bool:
        """Whether both cells stand on the same films."""
        return self.left[1] == self.right[1]

    @property
    def touches_global(self) -> bool:
        """Whether a shortcut on the global side can inflate it."""
        return GLOBAL in (self.left[1], self.right[1])


CONTRASTS = (
    Contrast(GAP, (GLOBAL_ONLY, GLOBAL), (GLOBAL_ONLY, LOCAL), loss=True, formula="G - L"),
    Contrast(LOCAL_DEFICIT, (LOCAL_ONLY, LOCAL), (GLOBAL_ONLY, LOCAL), loss=True, formula="C - L"),
    Contrast(GAIN_OVER_LOCAL, (TRANSFER, LOCAL), (LOCAL_ONLY, LOCAL), loss=False, formula="T - C"),
    Contrast(GAIN_OVER_AS_IS, (TRANSFER, LOCAL), (GLOBAL_ONLY, LOCAL), loss=False, formula="T - L"),
    Contrast(FORGETTING, (GLOBAL_ONLY, GLOBAL), (TRANSFER, GLOBAL), loss=True, formula="G - F"),
)


@dataclass(frozen=True)
class Measured:
    """A contrast, measured.

    Attributes:
        contrast: What was compared.
        estimate: Difference with its interval; NaN with the reason where it is not estimable.
        unit: The films it stands on, and whether they count by patient or by image.
        seeds: Training seeds behind it.
        claim: What the number may claim (this model; this recipe on these films).
        power: Probability that a study like this one finds a true difference as large as the plan's margin; NaN without an interval.
        power_margin: Probability that it shows non-inferiority at the margin if both sides are truly equal; NaN without an interval.
        verdict: What follows, in plain words.
    """

    contrast: Contrast
    estimate: Estimate
    unit: str
    seeds: int
    claim: str
    power: float
    power_margin: float
    verdict: str


def external_contrasts(side: str) -> tuple[Contrast, ...]:
    """Contrasts of one external site, where no arm was trained.

    Example:
        >>> [contrast.name for contrast in external_contrasts("external: Shenzhen")]
        ['gap to external: Shenzhen', 'gain over as-is on external: Shenzhen']
    """
    return (
        Contrast(f"{GAP} to {side}", (GLOBAL_ONLY, GLOBAL), (GLOBAL_ONLY, side), loss=True, formula="G - L"),
        Contrast(f"{GAIN_OVER_AS_IS} on {side}", (TRANSFER, side), (GLOBAL_ONLY, side), loss=False, formula="T - L"),
    )


def measure(contrast: Contrast, sides: Mapping[str, Side], *, plan: EvaluationPlan) -> Measured:
    """Measure one contrast on the paired films of its sides.

    Args:
        contrast: What to compare.
        sides: Sides of the matrix, by name.
        plan: Margin and level; the margin is also the smallest difference of interest for the power.

    Returns:
        The contrast; not estimable, with the reason, where a cell is missing or undefined.
    """
    cells = [_cell(sides, arm=arm, side=side) for arm, side in (contrast.left, contrast.right)]
    missing = [
        f"{arm} was not tested on {side}" for (arm, side), cell in zip((contrast.left, contrast.right), cells, strict=True) if not cell
    ]
    left, right = cells
    if left is None or right is None:
        estimate = Estimate(math.nan, math.nan, math.nan, 0, 0, 0, "", f"{NOT_ESTIMABLE}: {'; '.join(missing)}")
        return Measured(contrast, estimate, unit="", seeds=0, claim="", power=math.nan, power_margin=math.nan, verdict=NOT_ESTIMABLE)
    found = difference_from(left.parts, right.parts, paired=contrast.paired, seeds=(left.seed, right.seed), level=plan.level)
    seeds = min(left.seeds, right.seeds)
    error = interval_error(found, level=plan.level)
    return Measured(
        contrast,
        replace(found, note="; ".join(part for part in found.note.split("; ") if not part.startswith("claim"))),
        unit=_unit([sides[name] for name in dict.fromkeys((contrast.left[1], contrast.right[1]))]),
        seeds=seeds,
        claim="" if math.isnan(found.value) else claim_note(seeds).removeprefix("claim: "),
        power=detection_power(plan.margin, standard_error=error, level=plan.level),
        power_margin=noninferiority_power(plan.margin, standard_error=error, level=plan.level),
        verdict=verdict(contrast, found, margin=plan.margin),
    )


def verdict(contrast: Contrast, estimate: Estimate, *, margin: float) -> str:
    """Say in plain words what a contrast has shown; "no difference" is only ever said as equivalence within the margin.

    The printed interval decides: at level 0.95 that is one-sided 2.5 %, stricter than the 90 % interval of a 5 % TOST.

    Args:
        contrast: What was compared.
        estimate: The difference, left minus right.
        margin: Non-inferiority and equivalence margin in AUROC.

    Returns:
        The verdict.

    Example:
        >>> gain = Estimate(0.01, -0.03, 0.06, 104, 104, 52, "mover")
        >>> verdict(CONTRASTS[2], gain, margin=0.05)
        'transfer is not worse than local-only by more than 0.05'
    """
    if math.isnan(estimate.low):
        return NOT_ESTIMABLE if math.isnan(estimate.value) else "no verdict without an interval"
    subject, reference = (contrast.right, contrast.left) if contrast.loss else (contrast.left, contrast.right)
    low, high = (-estimate.high, -estimate.low) if contrast.loss else (estimate.low, estimate.high)
    new, old = _words(subject, other=reference), _words(reference, other=subject)
    if low > 0:
        return f"{new} is better than {old}"
    if high < 0:
        return f"{new} is worse than {old}" + (f", but by no more than {margin:g}" if low > -margin else "")
    if low > -margin and high < margin:
        return f"{new} and {old} are equal within {margin:g}"
    if low > -margin:
        return f"{new} is not worse than {old} by more than {margin:g}"
    return f"cannot tell whether {new} is worse than {old} by more than {margin:g}"


def _words(cell: tuple[str, str], *, other: tuple[str, str]) -> str:
    arm, side = cell
    return arm if side == other[1] == LOCAL else f"{arm} on the {side.removeprefix('external: ')} side"


def _cell(sides: Mapping[str, Side], *, arm: str, side: str) -> ArmScores | None:
    return sides[side].arms.get(arm) if side in sides else None


def _unit(sides: Sequence[Side]) -> str:
    """Number of films and unit of counting: once when it is the same everywhere."""
    units = [side.unit for side in sides]
    if len(sides) == 1:
        return f"{sides[0].sample_id.size} films {units[0]}"
    if len(set(units)) == 1:
        return f"{' and '.join(f'{side.sample_id.size} {side.name}' for side in sides)} films {units[0]}"
    return " and ".join(f"{side.sample_id.size} {side.name} films {side.unit}" for side in sides)
