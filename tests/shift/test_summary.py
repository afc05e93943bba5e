# SPDX-License-Identifier: Apache-2.0
"""The sentences that people will quote."""

import numpy as np
import pytest

from fakes.study import FINDING, predictions
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.matrix import transfer_matrices, transfer_matrix
from medsetu.shift.summary import summarise

PLAN = EvaluationPlan(primary=FINDING)


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    study = predictions(np.random.default_rng(0), seeds=3, seed_sd=0.1, per_class={"global": 300, "local": 300})
    return summarise(transfer_matrix(study, finding=FINDING, plan=PLAN))


def test_at_most_five_sentences_with_number_interval_films_and_unit(sentences: list[str]) -> None:
    assert len(sentences) <= 5
    for sentence in sentences:
        assert "[" in sentence
        assert "films by patient" in sentence
        assert sentence.endswith(".")


def test_sides_are_called_by_their_site_and_never_by_a_country(sentences: list[str]) -> None:
    assert "NITRD New Delhi (DA)" in sentences[0]
    assert not any("India" in sentence for sentence in sentences)


def test_null_results_carry_their_power(sentences: list[str]) -> None:
    gain = next(sentence for sentence in sentences if sentence.startswith("gain over local"))
    assert "power 0." in gain or "power 1.00" in gain
    assert "this recipe on these films, 3 seeds: descriptive" in gain


def test_what_is_not_estimable_says_why() -> None:
    study = predictions(np.random.default_rng(0), seeds=1)
    study["seen"] = np.where((study["domain"] == "global") & (study["label"] == 0), "RSNA", "")
    told = " ".join(summarise(transfer_matrices(study, finding=FINDING, plan=PLAN)[1]))
    assert "gap G - L is not estimable: one class only: no negatives" in told
    assert "without films possibly seen in pretraining" in told
    assert "not estimable on Mixed sites" in told


def test_headline_is_marked() -> None:
    study = predictions(np.random.default_rng(0))
    told = summarise(transfer_matrix(study, finding=FINDING, plan=PLAN, inflated={"global"}))
    assert any("headline: local deficit C - L" in sentence for sentence in told)
