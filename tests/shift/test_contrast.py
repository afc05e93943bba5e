# SPDX-License-Identifier: Apache-2.0
"""Signs, pairing and verdicts of the contrasts on hand-computed cases, and their error rates by simulation."""

import math

import numpy as np
import pytest

from fakes.study import binormal, side
from medsetu.evaluation.interval import Estimate
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift import contrast as room
from medsetu.shift.contrast import CONTRASTS, Contrast, measure, verdict

PLAN = EvaluationPlan(primary="tuberculosis")
BY_NAME = {contrast.name: contrast for contrast in CONTRASTS}
LABEL = np.array([1.0, 1.0, 0.0, 0.0])
PERFECT, THREE_OF_FOUR, HALF, NONE = [0.9, 0.8, 0.2, 0.1], [0.9, 0.2, 0.3, 0.1], [0.9, 0.1, 0.8, 0.2], [0.1, 0.2, 0.8, 0.9]


def _tiny() -> dict[str, object]:
    """G = 1, F = 0.75, L = 0.5, C = 0.75, T = 0: by counting pairs."""
    return {
        "global": side("global", LABEL, {"global-only": np.array(PERFECT), "transfer": np.array(THREE_OF_FOUR)}),
        "local": side("local", LABEL, {"global-only": np.array(HALF), "local-only": np.array(THREE_OF_FOUR), "transfer": np.array(NONE)}),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (room.GAP, 1.0 - 0.5),
        (room.LOCAL_DEFICIT, 0.75 - 0.5),
        (room.GAIN_OVER_LOCAL, 0.0 - 0.75),
        (room.GAIN_OVER_AS_IS, 0.0 - 0.5),
        (room.FORGETTING, 1.0 - 0.75),
    ],
)
def test_definitions_and_signs_by_hand(name: str, value: float) -> None:
    assert measure(BY_NAME[name], _tiny(), plan=PLAN).estimate.value == pytest.approx(value)


def test_gap_counts_both_sides_and_paired_contrasts_one() -> None:
    assert measure(BY_NAME[room.GAP], _tiny(), plan=PLAN).estimate.n_samples == 8
    assert measure(BY_NAME[room.GAIN_OVER_LOCAL], _tiny(), plan=PLAN).estimate.n_samples == 4


def test_too_few_films_give_no_interval_no_power_and_no_verdict() -> None:
    found = measure(BY_NAME[room.GAP], _tiny(), plan=PLAN)
    assert math.isnan(found.estimate.low)
    assert math.isnan(found.power)
    assert found.verdict == "no verdict without an interval"
    assert "fewer than 10" in found.estimate.note


def test_missing_cell_names_what_was_not_tested() -> None:
    sides = {"local": _tiny()["local"]}
    found = measure(BY_NAME[room.GAP], sides, plan=PLAN)
    assert math.isnan(found.estimate.value)
    assert found.estimate.note == "not estimable: global-only was not tested on global"


def test_external_site_has_its_own_gap_and_gain() -> None:
    gap, gain = room.external_contrasts("external: Shenzhen")
    assert (gap.loss, gap.paired, gap.touches_global) == (True, False, True)
    assert (gain.loss, gain.paired, gain.touches_global) == (False, True, False)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((0.01, 0.08), "transfer is better than local-only"),
        ((-0.04, -0.01), "transfer is worse than local-only, but by no more than 0.05"),
        ((-0.20, -0.01), "transfer is worse than local-only"),
        ((-0.04, 0.04), "transfer and local-only are equal within 0.05"),
        ((-0.04, 0.09), "transfer is not worse than local-only by more than 0.05"),
        ((-0.06, 0.04), "cannot tell whether transfer is worse than local-only by more than 0.05"),
        ((-0.05, 0.04), "cannot tell whether transfer is worse than local-only by more than 0.05"),
        ((math.nan, math.nan), "no verdict without an interval"),
    ],
)
def test_verdicts_of_a_gain(interval: tuple[float, float], words: str) -> None:
    estimate = Estimate(sum(interval) / 2 if not math.isnan(interval[0]) else 0.0, *interval, 1, 1, 1, "")
    assert verdict(BY_NAME[room.GAIN_OVER_LOCAL], estimate, margin=0.05) == words


@pytest.mark.parametrize(
    ("name", "interval", "words"),
    [
        (room.GAP, (0.1, 0.3), "global-only on the local side is worse than global-only on the global side"),
        (room.GAP, (-0.3, -0.1), "global-only on the local side is better than global-only on the global side"),
        (room.LOCAL_DEFICIT, (-0.1, 0.03), "global-only is not worse than local-only by more than 0.05"),
        (
            room.FORGETTING,
            (0.01, 0.03),
            "transfer on the global side is worse than global-only on the global side, but by no more than 0.05",
        ),
    ],
)
def test_verdicts_of_a_loss_turn_the_sign(name: str, interval: tuple[float, float], words: str) -> None:
    estimate = Estimate(sum(interval) / 2, *interval, 1, 1, 1, "")
    assert verdict(BY_NAME[name], estimate, margin=0.05) == words


def test_no_difference_is_never_read_from_a_wide_interval() -> None:
    wide = Estimate(0.0, -0.2, 0.2, 1, 1, 1, "")
    assert all("cannot tell" in verdict(contrast, wide, margin=0.05) for contrast in CONTRASTS)


def _cohorts(contrast: Contrast, *, aurocs: tuple[float, float], per_class: int, number: int = 200) -> list[Estimate]:
    generator = np.random.default_rng(7)
    found = []
    for _ in range(number):
        if contrast.paired:
            arms = dict(zip((contrast.left[0], contrast.right[0]), aurocs, strict=True))
            label, scores = binormal(generator, per_class=per_class, aurocs=arms)
            sides = {contrast.left[1]: side(contrast.left[1], label, scores)}
        else:
            sides = {}
            for (arm, name), auroc in zip((contrast.left, contrast.right), aurocs, strict=True):
                label, scores = binormal(generator, per_class=per_class, aurocs={arm: auroc})
                sides[name] = side(name, label, scores)
        found.append(measure(contrast, sides, plan=PLAN).estimate)
    return found


@pytest.mark.parametrize(("name", "per_class"), [(room.GAP, 26), (room.GAIN_OVER_LOCAL, 50)])
def test_none_planted_the_interval_covers_zero(name: str, per_class: int) -> None:
    found = _cohorts(BY_NAME[name], aurocs=(0.9, 0.9), per_class=per_class)
    assert 0.91 <= np.mean([estimate.low <= 0 <= estimate.high for estimate in found]) <= 0.99


def test_interval_covers_the_planted_gap() -> None:
    found = _cohorts(BY_NAME[room.GAP], aurocs=(0.95, 0.85), per_class=50)
    assert 0.91 <= np.mean([estimate.low <= 0.10 <= estimate.high for estimate in found]) <= 0.99


def test_more_planted_the_gap_grows() -> None:
    means = [
        np.mean([one.value for one in _cohorts(BY_NAME[room.GAP], aurocs=(0.95, local), per_class=50, number=40)])
        for local in (0.95, 0.85, 0.75)
    ]
    assert np.allclose(means, [0.0, 0.1, 0.2], atol=0.025)


def test_noninferiority_is_claimed_at_the_margin_in_at_most_one_of_forty() -> None:
    found = _cohorts(BY_NAME[room.GAIN_OVER_LOCAL], aurocs=(0.85, 0.90), per_class=52)
    claimed = np.mean([estimate.low > -PLAN.margin for estimate in found])
    assert claimed <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / len(found))


def test_power_printed_agrees_with_what_studies_of_that_size_show() -> None:
    contrast = BY_NAME[room.GAIN_OVER_LOCAL]
    generator = np.random.default_rng(3)
    shown, printed = [], []
    for _ in range(120):
        label, scores = binormal(generator, per_class=104, aurocs={"transfer": 0.93, "local-only": 0.93})
        found = measure(contrast, {"local": side("local", label, scores)}, plan=PLAN)
        shown.append(found.estimate.low > -PLAN.margin)
        printed.append(found.power_margin)
    assert np.mean(printed) == pytest.approx(np.mean(shown), abs=0.12)


def test_seeds_widen_the_interval_and_set_the_claim() -> None:
    label, scores = binormal(np.random.default_rng(1), per_class=50, aurocs={"transfer": 0.9, "local-only": 0.85})
    contrast = BY_NAME[room.GAIN_OVER_LOCAL]
    one = measure(contrast, {"local": side("local", label, scores)}, plan=PLAN)
    noise = np.random.default_rng(2).normal(scale=0.7, size=(3, 2, label.size))
    spread = {arm: scores[arm] + noise[:, number] for number, arm in enumerate(scores)}
    three = measure(contrast, {"local": side("local", label, spread)}, plan=PLAN)
    assert (one.claim, three.claim) == ("this model", "this recipe on these films, 3 seeds: descriptive")
    assert three.seeds == 3
    assert three.estimate.high - three.estimate.low > one.estimate.high - one.estimate.low


def test_unit_says_films_and_grouping_once() -> None:
    assert measure(BY_NAME[room.GAP], _tiny(), plan=PLAN).unit == "4 global and 4 local films by patient"
    assert measure(BY_NAME[room.FORGETTING], _tiny(), plan=PLAN).unit == "4 films by patient"
