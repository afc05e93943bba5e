# SPDX-License-Identifier: Apache-2.0
"""The waterfall of the AUROC in worlds of known parts: sums, truth, refusals, prevalence that moves nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scripts.gate_explain import World

from medsetu.manifest.consensus import policy_label
from medsetu.shift.auroc_waterfall import (
    APPEARANCE,
    CASE_MIX,
    LABEL_POLICY,
    PARTS,
    POPULATION_TOO,
    TIED,
    UNEXPLAINED,
    auroc_waterfall,
)
from medsetu.shift.casemix import side_auroc
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(bootstrap=60)


def cohort(world: World, *, seed: int = 0, sizes: tuple[int, int] = (1200, 1000), each: int = 1):
    return world.cohort(sizes, rng=np.random.default_rng(seed), each=each)


def named(found):
    return {part.name: part for part in found.parts}


def test_point_and_every_resample_add_up_to_the_gap():
    world = cohort(World("all", age=0.5, look=0.5, skill=0.4, prevalence=0.35), sizes=(600, 500))
    found = auroc_waterfall(world, PLAN)
    known = [part.value for part in found.parts if not part.verdict]
    gap = (side_auroc(world.global_films) - side_auroc(world.local_films)).mean()
    assert sum(known) == pytest.approx(gap, abs=1e-12)
    assert found.total.value == pytest.approx(gap, abs=1e-12)
    assert found.start - found.end == pytest.approx(gap, abs=1e-12)
    assert found.replicate.shape == (3, 60)
    assert np.abs(found.replicate.sum(axis=0) - found.replicate_total).max() < 1e-12
    assert any("interval ends do not add up" in note for note in found.notes)


def test_several_seeds_still_add_up_in_every_resample_and_widen():
    one = cohort(World("all", age=0.5, skill=0.4), sizes=(400, 300))
    rng = np.random.default_rng(0)
    sides = {}
    for name in ("global_films", "local_films"):
        films = getattr(one, name)
        level = 0.4 * rng.normal(size=(3, 1)) * films.label
        sides[name] = replace(films, scores=np.clip(films.scores + level, 0, 1), seed=np.arange(3))
    found = auroc_waterfall(replace(one, **sides), PLAN)
    several = replace(one, **sides)
    gap = (side_auroc(several.global_films) - side_auroc(several.local_films)).mean()
    assert sum(part.value for part in found.parts if not part.verdict) == pytest.approx(gap, abs=1e-12)
    single = auroc_waterfall(one, PLAN)
    assert named(found)[UNEXPLAINED].high - named(found)[UNEXPLAINED].low > named(single)[UNEXPLAINED].high - named(single)[UNEXPLAINED].low


@pytest.mark.parametrize(("knob", "part"), [("age", CASE_MIX), ("look", APPEARANCE), ("skill", UNEXPLAINED)])
def test_the_knob_that_was_turned_is_the_part_that_is_found(knob, part):
    world = World("one", **{knob: 0.8})
    found = named(auroc_waterfall(cohort(world, seed=3), PLAN))
    truth = dict(zip((CASE_MIX, APPEARANCE, UNEXPLAINED), world.truth(patients=50_000), strict=True))
    assert found[part].low > 0.0
    for name, value in truth.items():
        assert found[name].low - 0.004 <= value <= found[name].high + 0.004  # the truth itself is a large sample
        if name != part:
            assert found[name].low <= 0.0 <= found[name].high


def test_more_planted_is_larger():
    values = [
        named(auroc_waterfall(cohort(World("look", look=knob), seed=1), ShiftPlan(bootstrap=0)))[APPEARANCE].value for knob in (0, 0.4, 0.8)
    ]
    assert values[0] < values[1] < values[2]


def test_prevalence_moves_no_part():
    found = auroc_waterfall(cohort(World("prevalence", prevalence=0.2), seed=5), PLAN)
    assert all(part.low <= 0.0 <= part.high for part in found.parts if not part.verdict)


def test_parts_without_facts_are_not_identified_and_lie_in_the_unexplained_one():
    world = cohort(World("all", age=0.5, look=0.5, skill=0.4))
    bare = [replace(films, facts=pd.DataFrame(index=range(len(films))), features=None) for films in (world.global_films, world.local_films)]
    found = auroc_waterfall(replace(world, global_films=bare[0], local_films=bare[1]), PLAN)
    parts = named(found)
    assert [parts[name].verdict for name in PARTS] == ["not identified"] * 3 + [""]
    assert parts[UNEXPLAINED].value == pytest.approx(found.total.value)


def test_acquisition_and_population_cannot_be_told_apart_without_age_and_sex():
    found = auroc_waterfall(cohort(World("look", look=0.5), sizes=(500, 500)), ShiftPlan(bootstrap=0))
    assert POPULATION_TOO in found.notes


def test_no_overlap_refuses_every_part_but_keeps_the_gap():
    world = cohort(World("far", look=6.0), sizes=(400, 400))
    found = auroc_waterfall(world, PLAN)
    assert {part.verdict for part in found.parts} == {"refused: no overlap"}
    assert np.isnan([part.value for part in found.parts]).all()
    assert found.total.low < found.total.value < found.total.high
    assert "domain AUROC" in found.notes[0]


def test_small_and_single_class_sides_are_refused():
    world = cohort(World("toy"), sizes=(200, 200))
    few = auroc_waterfall(replace(world, local_films=world.local_films.take(np.arange(5))), PLAN)
    assert few.parts[0].verdict == "refused: 5 labelled patients on the local side, 10 needed"
    one = auroc_waterfall(replace(world, local_films=world.local_films.take(world.local_films.label == 1)), PLAN)
    assert "one class" in one.total.verdict


def test_label_policy_is_named_only_where_votes_explain_the_labels():
    world = cohort(World("policy"), sizes=(1500, 1500), seed=6)
    rng = np.random.default_rng(1006)
    sides = {}
    for name, policy in (("global_films", "majority"), ("local_films", "any-positive")):
        films = getattr(world, name)
        votes = (films.label[:, None] + 0.35 * rng.normal(size=(len(films), 3)) > 0.5).astype(float)
        sides[name] = replace(films, votes=votes, label=policy_label(votes, policy))
    found = auroc_waterfall(replace(world, **sides), PLAN)
    parts = named(found)
    assert parts[LABEL_POLICY].low > 0.02
    assert parts[UNEXPLAINED].low <= 0.0 <= parts[UNEXPLAINED].high
    assert found.replicate.shape[0] == 4
    assert sum(part.value for part in found.parts) == pytest.approx(found.total.value, abs=1e-12)
    unvoted = auroc_waterfall(
        replace(world, **sides | {"global_films": replace(sides["global_films"], votes=None)}), ShiftPlan(bootstrap=0)
    )
    assert named(unvoted)[LABEL_POLICY].verdict == "not identified"


def test_appearance_that_lets_go_of_the_finding_is_not_identified():
    """A marker on the ill globally and on as many of the well locally: both classes together look alike, each by itself does not."""
    world = cohort(World("marker"), sizes=(600, 600), seed=2)
    rng = np.random.default_rng(2)
    sides = {}
    for name, share in (("global_films", 0.9), ("local_films", 0.5)):
        films = getattr(world, name)
        marker = rng.random(len(films)) < np.where(films.label == 1, share, 1 - share)
        features = np.column_stack([films.features, 3.0 * marker]).astype(np.float32)
        sides[name] = replace(films, features=features, scores=np.clip(films.scores + 0.3 * marker, 0, 1))
    tied = auroc_waterfall(replace(world, **sides), PLAN)
    parts = named(tied)
    assert parts[APPEARANCE].verdict == "not identified"
    assert TIED in parts[APPEARANCE].note
    assert parts[UNEXPLAINED].low > 0.02
    assert sum(part.value for part in tied.parts if not part.verdict) == pytest.approx(tied.total.value, abs=1e-12)
    assert named(auroc_waterfall(world, PLAN))[APPEARANCE].verdict == ""
