# SPDX-License-Identifier: Apache-2.0
"""The waterfalls of log loss and net benefit: sums, one knob at a time, the threshold in use, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from scripts.gate_explain import World, fixed_cut

from medsetu.evaluation.metric import log_loss, net_benefit
from medsetu.shift.decision_waterfall import (
    CALIBRATION,
    DISCRIMINATION,
    LOG_LOSS,
    NET_BENEFIT,
    PREVALENCE,
    THRESHOLD,
    decision_waterfall,
    transported_cut,
)
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(bootstrap=80)


def cohort(world: World, *, seed: int = 0, sizes: tuple[int, int] = (2000, 1500)):
    return world.cohort(sizes, rng=np.random.default_rng(seed))


def named(found):
    return {part.name: part for part in found.parts}


@pytest.mark.parametrize("scale", [LOG_LOSS, NET_BENEFIT])
def test_point_and_every_resample_add_up_to_the_gap(scale):
    world = cohort(World("all", skill=0.5, prevalence=0.3, offset=0.8), sizes=(500, 400))
    found = decision_waterfall(world, PLAN, scale=scale, cut=fixed_cut(80))
    known = [part.value for part in found.parts if not part.verdict]
    loss = found.end - found.start if scale == LOG_LOSS else found.start - found.end
    assert sum(known) == pytest.approx(loss, abs=1e-12)
    assert found.total.value == pytest.approx(loss, abs=1e-12)
    assert np.abs(found.replicate.sum(axis=0) - found.replicate_total).max() < 1e-12
    assert found.replicate.shape == (len(known), 80)


def test_ends_are_the_metrics_of_the_evaluation():
    world = cohort(World("all", prevalence=0.3), sizes=(300, 300))
    films, ones = world.local_films, np.ones((1, 300))
    found = decision_waterfall(world, ShiftPlan(bootstrap=0), scale=LOG_LOSS)
    assert found.end == pytest.approx(log_loss(films.label, films.scores[0], ones)[0])
    found = decision_waterfall(world, ShiftPlan(bootstrap=0), cut=fixed_cut(0))
    called = films.scores[0] >= 0.5
    hits, alarms = (called & (films.label == truth) for truth in (1, 0))
    assert found.end == pytest.approx(float(net_benefit(hits.sum(), alarms.sum(), total=300, threshold=0.3)))


@pytest.mark.parametrize("scale", [LOG_LOSS, NET_BENEFIT])
def test_under_pure_label_shift_only_prevalence_moves(scale):
    found = named(decision_waterfall(cohort(World("prevalence", prevalence=0.2), seed=1), PLAN, scale=scale, cut=fixed_cut(80)))
    assert found[CALIBRATION].low <= 0.0 <= found[CALIBRATION].high
    assert found[DISCRIMINATION].low <= 0.0 <= found[DISCRIMINATION].high
    if scale == NET_BENEFIT:
        assert found[PREVALENCE].low > 0.1
        assert found[THRESHOLD].low <= 0.0 <= found[THRESHOLD].high


def test_a_shift_of_the_score_level_is_calibration():
    found = named(decision_waterfall(cohort(World("offset", offset=1.5), seed=2), PLAN, scale=LOG_LOSS))
    assert found[CALIBRATION].low > 0.05
    assert found[DISCRIMINATION].low <= 0.0 <= found[DISCRIMINATION].high
    assert found[PREVALENCE].value == pytest.approx(0.0, abs=0.02)
    assert found[THRESHOLD].verdict == "not identified"


def test_lost_skill_is_discrimination_and_more_is_larger():
    values = []
    for skill in (0.0, 0.5, 1.0):
        part = named(decision_waterfall(cohort(World("skill", skill=skill), seed=3), PLAN, scale=LOG_LOSS))[DISCRIMINATION]
        values.append(part.value)
        assert (part.low > 0.0) == (skill > 0)
    assert values[0] < values[1] < values[2]


def test_a_threshold_that_fits_neither_side_costs_only_what_differs():
    world = cohort(World("nothing"), seed=4)
    far = replace(fixed_cut(80), value=np.array([0.9]), replicate=np.full((1, 80), 0.9))
    found = named(decision_waterfall(world, PLAN, cut=far))
    assert found[THRESHOLD].low <= 0.0 <= found[THRESHOLD].high


def test_the_transported_threshold_comes_from_global_validation_films():
    world = World("toy")
    cohort_ = replace(cohort(world, sizes=(300, 300)), global_val=world.films("global", 400, rng=np.random.default_rng(9)))
    cut = transported_cut(cohort_.global_val, PLAN, seeds=np.array([0]))
    assert cut is not None
    films = cohort_.global_val
    assert (films.scores[0, films.label == 1] >= cut.value[0]).mean() >= 0.9
    assert cut.replicate.shape == (1, 80)
    assert 0.0 < cut.odds < 0.5
    assert "val/global" in cut.note
    found = decision_waterfall(cohort_, PLAN)
    assert all(part.verdict == "" for part in found.parts)
    assert transported_cut(films, PLAN, seeds=np.array([5])) is None


def test_without_global_validation_net_benefit_is_not_identified():
    found = decision_waterfall(cohort(World("toy"), sizes=(100, 100)), PLAN)
    assert {part.verdict for part in found.parts} == {"not identified"}
    assert "validation" in found.notes[0]


def test_small_sides_are_refused():
    world = cohort(World("toy"), sizes=(100, 100))
    few = decision_waterfall(replace(world, local_films=world.local_films.take(np.arange(5))), PLAN, scale=LOG_LOSS)
    assert few.parts[0].verdict == "refused: 5 labelled patients on the local side, 10 needed"


def test_perfect_and_constant_models_work():
    world = cohort(World("toy"), sizes=(200, 200))
    for make in (lambda films: np.where(films.label == 1, 1.0, 0.0)[None], lambda films: np.full((1, len(films)), 0.5)):
        sides = {name: replace(getattr(world, name), scores=make(getattr(world, name))) for name in ("global_films", "local_films")}
        found = decision_waterfall(replace(world, **sides), PLAN, scale=LOG_LOSS)
        assert all(np.isfinite(part.value) for part in found.parts if not part.verdict)
        assert found.total.value == pytest.approx(0.0, abs=1e-9)


def test_calibration_is_read_apart_from_a_stretch_that_keeps_order():
    world = cohort(World("stretch"), seed=5)
    stretched = replace(world.local_films, scores=expit(2 * logit(world.local_films.scores)))
    found = named(decision_waterfall(replace(world, local_films=stretched), PLAN, scale=LOG_LOSS))
    assert found[CALIBRATION].low > 0.0
    assert found[DISCRIMINATION].low <= 0.0 <= found[DISCRIMINATION].high
