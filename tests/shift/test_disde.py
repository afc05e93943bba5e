# SPDX-License-Identifier: Apache-2.0
"""DISDE: the discrete oracle to its digits; continuous worlds where one kind of shift is planted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scripts.gate_explain import World

from medsetu.core.errors import DataError
from medsetu.evaluation.metric import log_loss
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.disde import TERMS, film_losses, split_discrete, split_loss
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(bootstrap=60)
DISDE_P, DISDE_Q = (0.5, 0.3, 0.2), (0.2, 0.3, 0.5)
DISDE_LOSS_P, DISDE_LOSS_Q = (0.1, 0.2, 0.3), (0.1, 0.3, 0.5)
DISDE_S = (0.3278689, 0.3442623, 0.3278689)


def test_discrete_oracle():
    shared, means, terms = split_discrete(DISDE_P, DISDE_Q, loss_p=DISDE_LOSS_P, loss_q=DISDE_LOSS_Q)
    assert shared.round(7).tolist() == list(DISDE_S)
    assert [round(mean, 12) for mean in means] == [0.17, 0.20, 0.30, 0.36]
    assert [round(term, 12) for term in terms] == [0.03, 0.10, 0.06]
    assert round(sum(terms), 12) == 0.19


def test_sides_without_a_shared_value_are_refused():
    with pytest.raises(DataError, match="share no value"):
        split_discrete([1, 0], [0, 1], loss_p=[0, 0], loss_q=[0, 0])


def side(name: str, films: int, *, shift: float, rule: float, seed: int) -> Films:
    """The label depends on one measured feature; ``shift`` moves the feature, ``rule`` the label given the feature."""
    rng = np.random.default_rng([seed, len(name)])
    x = rng.normal(size=films) + shift
    label = (rng.random(films) < expit(2 * (x - rule))).astype(float)
    ids = np.array([f"{name}-{number}" for number in range(films)])
    features = x[:, None].astype(np.float32)
    return Films(
        name, name, "by patient", ids, ids, label, expit(2 * x)[None], np.zeros(1, int), pd.DataFrame(index=range(films)), features
    )


def cohort(*, shift: float, rule: float, seed: int = 0, films: int = 1500) -> Cohort:
    return Cohort("f", "a", side("global", films, shift=0.0, rule=0.0, seed=seed), side("local", films, shift=shift, rule=rule, seed=seed))


def test_a_shift_of_x_is_no_shift_of_y_given_x():
    found = split_loss(cohort(shift=1.0, rule=0.0), PLAN)
    assert found.verdict == ""
    assert found.covariates == ("features",)
    assert found.low[1] <= 0.0 <= found.high[1]
    assert found.high[0] < 0.0 or found.high[2] < 0.0  # films far from the boundary are easy: the loss falls


def test_a_shift_of_y_given_x_is_found_and_nothing_else():
    found = split_loss(cohort(shift=0.0, rule=1.0), PLAN)
    assert found.low[1] > 0.1
    assert found.low[0] <= 0.0 <= found.high[0]
    assert found.low[2] <= 0.0 <= found.high[2]


def test_more_planted_is_larger_and_none_planted_covers_zero():
    none, some, more = (split_loss(cohort(shift=0.0, rule=rule, seed=1), PLAN) for rule in (0.0, 0.5, 1.0))
    assert ((none.low <= 0) & (none.high >= 0)).all()
    assert none.terms[1] < some.terms[1] < more.terms[1]


@pytest.mark.parametrize("loss", ["log loss", "Brier"])
def test_terms_add_up_to_the_rise_of_the_loss(loss):
    world = cohort(shift=0.5, rule=0.5)
    found = split_loss(world, PLAN, loss=loss)
    losses = [film_losses(films.label, films.scores, loss=loss).mean() for films in (world.global_films, world.local_films)]
    assert found.terms.sum() == pytest.approx(losses[1] - losses[0], abs=1e-12)
    assert len(found.terms) == len(TERMS)
    assert found.ends[0] < found.total < found.ends[1]


def test_film_losses_average_to_the_metric():
    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 2, 50).astype(float), np.r_[0.0, 1.0, rng.random(48)]
    assert film_losses(label, score[None], loss="log loss").mean() == pytest.approx(log_loss(label, score, np.ones((1, 50)))[0])


def test_nothing_measured_is_not_identified_and_far_sides_are_refused():
    world = cohort(shift=0.0, rule=0.0, films=200)
    bare = replace(world, local_films=replace(world.local_films, features=None))
    assert split_loss(bare, PLAN).verdict == "not identified"
    far = split_loss(World("far", look=6.0).cohort((200, 200), rng=np.random.default_rng(0)), PLAN)
    assert far.verdict == "refused: no overlap"
    assert np.isnan(far.terms).all()
    assert np.isfinite(far.total)
    few = replace(world, local_films=world.local_films.take(np.arange(5)))
    assert split_loss(few, PLAN).verdict.startswith("refused: 5 labelled patients")


def test_clustered_patients_widen():
    films = World("toy").cohort((120, 120), rng=np.random.default_rng(0), each=4)
    wide = split_loss(films, PLAN)
    alone = replace(
        films,
        global_films=replace(films.global_films, patient=films.global_films.sample_id),
        local_films=replace(films.local_films, patient=films.local_films.sample_id),
    )
    narrow = split_loss(alone, PLAN)
    assert wide.ends[1] - wide.ends[0] > 1.2 * (narrow.ends[1] - narrow.ends[0])
