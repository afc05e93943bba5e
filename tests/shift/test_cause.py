# SPDX-License-Identifier: Apache-2.0
"""The comparisons behind the name: sizes, one film per patient, votes, and false alarms under a shift of prevalence alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from scripts.gate_prevalence import SCORES, World, cohort

from medsetu.shift.cause import MISSED, at_prevalence, calibration_films, gather, shared_seeds
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan(permutations=99, bootstrap=50)


def drawn(seed=0, **knobs):
    return cohort(World("", SCORES, **knobs), np.random.default_rng(seed))


def unlabelled(found):
    return replace(found, local_films=replace(found.local_films, label=np.full(len(found.local_films), np.nan)))


@pytest.mark.parametrize("target", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_global_side_is_brought_to_a_prevalence_with_as_many_films_as_possible(target):
    label = np.r_[np.ones(60), np.zeros(40)]
    kept = at_prevalence(label, target, seed=0)
    assert np.unique(kept).size == kept.size
    assert label[kept].mean() == pytest.approx(target, abs=1 / kept.size)
    assert min(60 - label[kept].sum(), 40 - (1 - label[kept]).sum()) <= 0.5


def test_covariate_test_holds_its_size_under_a_shift_of_prevalence():
    alarms = sum(gather(unlabelled(drawn(seed, prevalence=0.2)), replace(PLAN, seed=seed)).covariate.p <= 0.05 for seed in range(30))
    assert alarms <= binom.ppf(0.99, 30, 0.05)


def test_an_error_of_the_estimated_prevalence_is_no_covariate_shift():
    """Few validation films estimate the prevalence, many test films see the error: at the estimate alone a third of cohorts alarm."""
    alarms, settings = 0, replace(PLAN, permutations=49, alpha=0.1)
    for seed in range(12):
        found = unlabelled(cohort(World("", SCORES, prevalence=0.15), np.random.default_rng([3, seed]), per_class=250, local=500))
        few = found.global_val.take(np.r_[0:12, 250:262])
        alarms += gather(replace(found, global_val=few), replace(settings, seed=seed)).covariate.p <= settings.alpha
    assert alarms <= binom.ppf(0.95, 12, settings.alpha)


def test_covariate_test_is_surer_the_more_is_planted():
    p = [np.mean([gather(unlabelled(drawn(seed, beside=beside)), PLAN).covariate.p for seed in range(4)]) for beside in (0, 0.4, 1.2)]
    assert p[0] > p[1] > p[2]
    assert p[2] == pytest.approx(0.01 + MISSED)


def test_target_is_of_local_labels_where_they_are_known_and_else_what_the_scores_imply():
    found = drawn(prevalence=0.2)
    known, implied = gather(found, PLAN), gather(unlabelled(found), PLAN)
    assert (known.labelled, implied.labelled) == (True, False)
    assert known.target == pytest.approx(float(found.local_films.label.mean()))
    assert implied.target == pytest.approx(0.2, abs=0.1)
    assert known.prevalence.value == pytest.approx(known.target - 0.5)


def test_films_of_one_patient_do_not_make_the_test_surer():
    found = drawn(beside=0.3)
    rows = np.tile(np.arange(150), 4)
    again = replace(found, local_films=found.local_films.take(rows))
    assert gather(again, PLAN).prevalence.n_local == 150
    assert gather(again, PLAN).covariate.p == pytest.approx(gather(found, PLAN).covariate.p, abs=0.1)


def test_too_few_patients_or_positives_are_refused_with_the_number_needed():
    found = drawn()
    small = replace(found, local_films=found.local_films.take(np.arange(5)))
    assert gather(small, PLAN).refused == "5 patients on the local side, 10 needed"
    rare = replace(found, global_films=found.global_films.take(np.r_[0:9, 100:200]))
    assert gather(rare, PLAN).refused == "9 global patients in the rarer class, 10 needed"
    constant = unlabelled(found)
    same = [replace(films, scores=np.full_like(films.scores, 0.5)) for films in (constant.global_films, constant.local_films)]
    blind = replace(constant, global_films=same[0], local_films=same[1], global_val=same[0])
    assert "do not tell the classes" in gather(blind, PLAN).refused


def test_seeds_are_paired_by_their_number():
    found = drawn()
    two = replace(found.global_films, scores=np.stack([found.global_films.scores[0], np.zeros(200)]), seed=np.array([0, 7]))
    assert shared_seeds(two, found.local_films)[0].seed.tolist() == [0]
    apart = replace(found.local_films, seed=np.array([9]))
    assert gather(replace(found, global_films=two, local_films=apart), PLAN).refused == "the sides share no training seed"


def test_global_test_films_stand_in_where_there_is_no_validation():
    found = drawn()
    assert calibration_films(replace(found, global_val=None)).sample_id[0].startswith("global")
    assert calibration_films(found).sample_id[0].startswith("val")


def voted(films, *, contradicting, seed=0):
    """Three readers who agree with the truth; the label contradicts them for some films."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(films)) < contradicting
    return replace(films, votes=np.repeat(films.label[:, None], 3, axis=1), label=np.where(wrong, 1 - films.label, films.label))


def test_labels_against_the_readers_are_compared_only_with_votes_on_both_sides():
    found = drawn()
    local = voted(found.local_films, contradicting=0.3)
    assert np.isnan(gather(replace(found, local_films=local), PLAN).labelling.p)
    both = replace(found, local_films=local, global_films=voted(found.global_films, contradicting=0.02))
    assert gather(both, PLAN).labelling.p <= 0.05
    assert gather(both, PLAN).labelling.value > 0.1
    same = replace(both, local_films=voted(found.local_films, contradicting=0.02))
    assert gather(same, PLAN).labelling.p > 0.05
