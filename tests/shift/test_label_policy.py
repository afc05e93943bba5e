# SPDX-License-Identifier: Apache-2.0
"""Votes read in three ways; the policy of a side recognised; the gap under one policy."""

from dataclasses import replace

import numpy as np
import pytest
from scripts.gate_explain import World

from medsetu.evaluation.metric import auroc_value
from medsetu.manifest.consensus import POLICIES, policy_label
from medsetu.shift.label_policy import policy_aurocs, policy_gaps, policy_of, reader_agreement
from medsetu.shift.plan import ShiftPlan

NAN = float("nan")


def voted(*, policies: tuple[str, str] = ("majority", "majority"), seed: int = 0, readers: int = 3, patients: int = 300):
    """Readers see the finding through noise; each side turns votes into labels by its own policy."""
    rng = np.random.default_rng(seed)
    cohort = World("toy").cohort((patients, patients), rng=rng)
    films = []
    for side, policy in zip((cohort.global_films, cohort.local_films), policies, strict=True):
        votes = (side.label[:, None] + 0.35 * rng.normal(size=(len(side), readers)) > 0.5).astype(float)
        films.append(replace(side, votes=votes, label=policy_label(votes, policy)))
    return replace(cohort, global_films=films[0], local_films=films[1])


def test_agreement_of_readers_is_by_patient_and_takes_missing_votes():
    films = voted().local_films
    votes = films.votes.copy()
    votes[::3, 0] = NAN
    plan = ShiftPlan(bootstrap=100)
    found = reader_agreement(replace(films, votes=votes), plan=plan)
    assert 0.5 < found.low < found.value < found.high < 0.9  # readers err in 8 % of films
    assert (found.n_readers, found.n_samples, found.n_patients) == (3, len(films), films.n_patients)
    assert reader_agreement(films, plan=plan).value != found.value
    assert reader_agreement(replace(films, votes=votes[:, :1]), plan=plan) is None
    assert reader_agreement(replace(films, votes=None), plan=plan) is None


def test_the_policy_of_a_side_is_recognised():
    cohort = voted(policies=("any-positive", "unanimous"))
    assert policy_of(cohort.global_films) == ("any-positive", 1.0)
    assert policy_of(cohort.local_films) == ("unanimous", 1.0)


def test_labels_that_follow_no_policy_are_said_so():
    films = voted().global_films
    shuffled = replace(films, label=np.random.default_rng(0).permutation(films.label))
    assert policy_of(shuffled)[0] == ""
    assert policy_of(replace(films, votes=None))[0] == ""
    assert policy_of(replace(films, votes=films.votes[:, :1]))[0] == ""


def test_aurocs_by_policy_are_plain_aurocs():
    films = voted().global_films
    found = policy_aurocs(films, level=0.95)
    for name in POLICIES:
        assert found[name].value == pytest.approx(auroc_value(policy_label(films.votes, name), films.scores[0]))
    assert policy_aurocs(replace(films, votes=None), level=0.95) == {}


def test_one_policy_for_both_sides_removes_a_gap_of_policy():
    cohort = voted(policies=("majority", "any-positive"), patients=2000)
    sides = cohort.global_films, cohort.local_films
    given = auroc_value(sides[0].label, sides[0].scores[0]) - auroc_value(sides[1].label, sides[1].scores[0])
    found = policy_gaps(sides, level=0.95)
    assert given > 0.04
    assert found["majority"].low <= 0.0 <= found["majority"].high
    assert policy_gaps((sides[0], replace(sides[1], votes=None)), level=0.95) == {}
