# SPDX-License-Identifier: Apache-2.0
"""Differences between sides: signs, patients as the unit, false alarms near alpha, growth with the shift."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fakes.cohort import films
from medsetu.shift.difference import Difference, auroc_deficit, auroc_gap, crossing, direction, losses, mean_difference, parts_of
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(bootstrap=400)


def one_seed(side: str, **changes: float):
    made = films(side, **changes)
    return replace(made, scores=made.scores[:1], seed=made.seed[:1])


def brier_gap(left, right, plan=PLAN):
    return mean_difference((losses(right, measure="brier"), right), (losses(left, measure="brier"), left), plan=plan)


def test_no_shift_covers_zero_and_more_shift_grows():
    left = one_seed("global", patients=150)
    gaps = [auroc_gap(left, one_seed("local", patients=150, separation=gap, seed=3), level=0.95) for gap in (1.5, 0.9, 0.2)]
    assert gaps[0].low <= 0 <= gaps[0].high
    assert gaps[0].value < gaps[1].value < gaps[2].value
    assert gaps[2].low > 0
    assert gaps[2].p < 0.01 < gaps[0].p


def test_false_alarms_are_near_alpha_by_patient():
    def share(find):
        found = [find(one_seed("global", patients=80, seed=k), one_seed("local", patients=80, seed=k + 9000)) for k in range(60)]
        return np.mean([one.low > 0 or one.high < 0 for one in found])

    assert share(lambda left, right: auroc_gap(left, right, level=0.95)) <= 0.13  # 5 % + 3 standard errors
    assert share(lambda left, right: brier_gap(left, right, ShiftPlan(bootstrap=199))) <= 0.13


def test_interval_is_clustered():
    """T11: four copies of every film change nothing when patients are the unit, and halve the interval when films are."""
    left, right = one_seed("global", patients=60, per_patient=1), one_seed("local", patients=60, per_patient=1)
    four = [side.take(np.repeat(np.arange(60), 4)) for side in (left, right)]
    images = [replace(side, patient=np.arange(240).astype(str)) for side in four]
    for find in (lambda pair: auroc_gap(*pair, level=0.95), lambda pair: brier_gap(*pair)):
        once, copied, torn = find((left, right)), find(four), find(images)
        assert (copied.low, copied.high) == (pytest.approx(once.low, abs=2e-3), pytest.approx(once.high, abs=2e-3))
        assert torn.high - torn.low < 0.6 * (once.high - once.low)


def test_a_paired_deficit_of_equal_arms_is_zero():
    side = one_seed("local", patients=60)
    assert auroc_deficit(side, side, level=0.95).value == 0.0
    equal = mean_difference((losses(side, measure="log_loss") * 0, side), plan=PLAN)
    assert (equal.value, equal.low, equal.high, equal.p) == (0.0, 0.0, 0.0, 1.0)


def test_losses_are_those_of_the_book_and_unknown_stays_unknown():
    side = one_seed("local", patients=4, per_patient=1)
    side = replace(side, label=np.array([0, 1, 1, np.nan]), scores=np.array([[0.1, 0.9, 0.8, 0.3]]))
    assert losses(side, measure="brier")[0, :3] == pytest.approx([0.01, 0.01, 0.04])
    assert losses(side, measure="log_loss")[0, :3] == pytest.approx(-np.log([0.9, 0.9, 0.8]))
    assert np.isnan(losses(side, measure="brier")[0, 3])
    assert np.isnan(losses(side, measure="log_loss")[0, 3])


def test_p_is_valid():
    rng = np.random.default_rng(0)
    found = [crossing(rng.normal(size=99) + rng.normal()) for _ in range(300)]
    assert 0 < min(found) <= max(found) <= 1
    assert crossing(np.ones(999)) == pytest.approx(2 / 1000)
    assert np.isnan(crossing(np.array([np.nan])))


def test_one_class_has_no_auroc_and_says_so():
    left, right = one_seed("global"), one_seed("local", prevalence=1.0)
    found = auroc_gap(left, right, level=0.95)
    assert np.isnan(found.value)
    assert direction(found) == "refused: one class only: no negatives"
    assert np.isnan(parts_of(right).auroc).all()


def test_no_difference_is_never_said():
    assert direction(Difference(0.0, -0.1, 0.1, 1.0, "", "")) == "cannot tell"
    assert direction(Difference(0.0, np.nan, np.nan, 1.0, "", "")) == "cannot tell: no interval"
    assert direction(Difference(-0.2, -0.3, -0.1, 0.0, "", "")) == "better on the local side"


def test_more_seeds_widen_the_interval():
    left, right = films("global", patients=60), films("local", patients=60)
    apart = replace(right, scores=np.stack([right.scores[0], right.scores[0] ** 3]))
    alike = replace(right, scores=np.stack([right.scores[0]] * 2))
    left = replace(left, scores=np.stack([left.scores[0]] * 2))
    wide, narrow = (brier_gap(left, side) for side in (apart, alike))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_a_mean_of_single_films_and_one_seed_is_welchs_t_test():
    left, right = (one_seed(side, per_patient=1) for side in ("global", "local"))
    values = [losses(made, measure="brier") for made in (right, left)]
    found = brier_gap(left, right)
    peer = stats.ttest_ind(values[0][0], values[1][0], equal_var=False)
    assert found.p == pytest.approx(peer.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(peer.confidence_interval(0.95)), abs=1e-9)


def test_a_duplicated_patient_adds_no_certainty_to_a_mean():
    made = one_seed("local", per_patient=1)
    twice = made.take(np.tile(np.arange(len(made)), 2))
    one, two = (mean_difference((losses(part, measure="brier") - 0.2, part), plan=PLAN) for part in (made, twice))
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=1e-12)


def test_values_without_spread_are_no_proof():
    left, right = one_seed("global", per_patient=1), one_seed("local", per_patient=1)
    apart = mean_difference((np.full((1, len(right)), 0.49), right), (np.full((1, len(left)), 0.09), left), plan=PLAN)
    assert apart.value == pytest.approx(0.4)
    assert np.isnan([apart.low, apart.high, apart.p]).all()
    assert "no spread" in apart.note
