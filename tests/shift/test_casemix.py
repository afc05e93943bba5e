# SPDX-License-Identifier: Apache-2.0
"""Case-mix-matched gap: known truth, no facts, no overlap, patients not films."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scripts.gate_explain import World, world_matched

from medsetu.shift.casemix import matched_gap
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(bootstrap=60)


def test_a_gap_of_case_mix_alone_vanishes_when_matched():
    world = World("case mix", age=1.0)
    cohort = world.cohort((3000, 2000), rng=np.random.default_rng(1))
    found = matched_gap(cohort, PLAN)
    assert found.verdict == "matched"
    assert found.raw > 0.04
    assert found.estimate.low <= 0.0 <= found.estimate.high
    assert abs(found.estimate.value) < 0.03


def test_a_gap_of_skill_stays_and_is_estimated():
    world = World("both", age=0.5, skill=0.8)
    found = matched_gap(world.cohort((3000, 2000), rng=np.random.default_rng(12)), PLAN)
    truth = world_matched(world, patients=100_000)
    assert found.estimate.low <= truth <= found.estimate.high
    assert found.estimate.low > 0.05
    assert found.estimate.value < found.raw


def test_prevalence_alone_moves_nothing():
    found = matched_gap(World("prevalence", prevalence=0.2).cohort((2000, 2000), rng=np.random.default_rng(3)), PLAN)
    assert found.estimate.low <= 0.0 <= found.estimate.high


def test_without_facts_it_is_not_identified_and_the_raw_gap_is_kept():
    cohort = World("toy").cohort((200, 200), rng=np.random.default_rng(0))
    bare = replace(cohort, local_films=replace(cohort.local_films, facts=pd.DataFrame(index=range(200))))
    found = matched_gap(bare, PLAN)
    assert found.verdict == "not identified"
    assert np.isnan(found.estimate.value)
    assert np.isfinite(found.raw)
    single = [replace(films, facts=pd.DataFrame({"sex": ["F"] * 200})) for films in (cohort.global_films, cohort.local_films)]
    assert "do not vary" in matched_gap(replace(cohort, global_films=single[0], local_films=single[1]), PLAN).estimate.note


def test_no_overlap_is_refused():
    found = matched_gap(World("far", age=0.0).cohort((400, 400), rng=np.random.default_rng(0)), PLAN)
    assert found.verdict == "matched"
    cohort = World("far").cohort((400, 400), rng=np.random.default_rng(0))
    cohort.local_films.facts["age_years"] += 60
    found = matched_gap(cohort, PLAN)
    assert found.verdict == "refused: no overlap"
    assert np.isnan(found.estimate.value)
    assert found.overlap is not None
    assert found.overlap.domain.value > 0.95


def test_a_view_that_only_local_films_have_cannot_be_matched():
    cohort = World("toy").cohort((400, 400), rng=np.random.default_rng(0))
    cohort.global_films.facts["view"] = "PA"
    cohort.local_films.facts["view"] = np.where(np.arange(400) % 10 < 3, "AP", "PA")
    found = matched_gap(cohort, PLAN)
    assert found.verdict == "refused: no overlap"
    assert "cannot balance" in found.estimate.note


def test_five_films_and_one_class_are_refused_with_the_reason():
    cohort = World("toy").cohort((200, 200), rng=np.random.default_rng(0))
    few = replace(cohort, local_films=cohort.local_films.take(np.arange(5)))
    assert matched_gap(few, PLAN).verdict == "refused: 5 labelled patients on the local side, 10 needed"
    one = replace(cohort, local_films=cohort.local_films.take(cohort.local_films.label == 1))
    assert matched_gap(one, PLAN).verdict == "refused: the local side holds one class only"


def test_patients_not_films_set_the_width():
    cohort = World("toy").cohort((150, 150), rng=np.random.default_rng(4), each=4)
    clustered = matched_gap(cohort, PLAN).estimate
    alone = replace(
        cohort,
        global_films=replace(cohort.global_films, patient=cohort.global_films.sample_id),
        local_films=replace(cohort.local_films, patient=cohort.local_films.sample_id),
    )
    by_film = matched_gap(alone, PLAN).estimate
    assert clustered.high - clustered.low > 1.2 * (by_film.high - by_film.low)


def test_seeds_that_disagree_widen_and_the_same_seed_gives_the_same_numbers():
    cohort = World("toy").cohort((200, 200), rng=np.random.default_rng(5))
    rng = np.random.default_rng(6)
    several = {}
    for name in ("global_films", "local_films"):
        films = getattr(cohort, name)
        noisy = np.clip(films.scores + rng.normal(size=(3, 1)) * films.label * 0.3, 0, 1)
        several[name] = replace(films, scores=noisy, seed=np.arange(3))
    found = matched_gap(replace(cohort, **several), PLAN)
    assert found == matched_gap(replace(cohort, **several), PLAN)
    assert found.estimate.low < found.estimate.value < found.estimate.high


@pytest.mark.parametrize("score", [0.5, None])
def test_constant_and_perfect_models_work(score):
    cohort = World("toy").cohort((200, 200), rng=np.random.default_rng(0))
    films = {
        name: replace(getattr(cohort, name), scores=np.full((1, 200), score) if score else getattr(cohort, name).label[None] * 0.8)
        for name in ("global_films", "local_films")
    }
    assert matched_gap(replace(cohort, **films), PLAN).estimate.value == pytest.approx(0.0, abs=1e-12)
