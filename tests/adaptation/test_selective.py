# SPDX-License-Identifier: Apache-2.0
"""Selective prediction: the curve against counting by hand, and silence chosen on validation only."""

import numpy as np
import pytest
from scipy import special

from medsetu.adaptation.selective import Selective, risk_curve, selective, sureness
from medsetu.core.errors import ConfigError
from medsetu.evaluation.score import ScoreMatrix


def films(n=300, *, seed=0, repeat=1):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.5).astype(float).repeat(repeat)
    score = special.expit(1.5 * (2 * label - 1) + rng.normal(0, 1.5, n).repeat(repeat) + rng.normal(0, 0.5, n * repeat))
    return label, score, np.arange(n).repeat(repeat)


def matrix(label, scores, cluster):
    table = np.atleast_2d(scores)
    names = np.array([str(code) for code in range(label.size)])
    seeds = np.arange(len(table), dtype=np.int64)
    return ScoreMatrix(label, table, seeds, cluster.astype(str), names, tuple(map(str, seeds)), np.full(table.shape, -1, dtype=np.int64))


def by_hand(label, score, order):
    wrong = ((score >= 0.5) != (label == 1))[order]
    return (np.cumsum(wrong) / np.arange(1, label.size + 1)).mean()


def test_area_equals_counting_and_random_order_among_ties():
    label, score, _ = films(40)
    assert risk_curve(label, score).area[0] == pytest.approx(by_hand(label, score, np.argsort(-sureness(score))))
    tied = score.round(1)
    rng = np.random.default_rng(0)
    orders = [by_hand(label, tied, np.lexsort((rng.random(40), -sureness(tied)))) for _ in range(4000)]
    assert risk_curve(label, tied).area[0] == pytest.approx(np.mean(orders), abs=0.003)


def test_weights_are_copies():
    label, score, _ = films(30)
    weight = np.random.default_rng(1).integers(0, 3, (2, 30))
    found = risk_curve(label, score, weight=weight)
    for row in range(2):
        copies = np.repeat(np.arange(30), weight[row])
        alone = risk_curve(label[copies], score[copies])
        assert found.area[row] == pytest.approx(alone.area[0])
        assert found.risk[row, -1] == pytest.approx(alone.risk[0, -1])


def test_a_sure_model_errs_less_where_it_speaks_and_a_blind_one_does_not():
    label, score, cluster = films(2000)
    good = selective(matrix(label, score, cluster), replicates=50)
    assert good["aurc"].value < good["error"].value / 2
    blind = selective(matrix(label, np.random.default_rng(3).permutation(score), cluster), replicates=50)
    assert blind["aurc"].value == pytest.approx(blind["error"].value, abs=0.05)
    assert good["coverage_at_risk_0.05"].value > blind["coverage_at_risk_0.05"].value
    assert 0 <= good["excess_aurc"].value < blind["excess_aurc"].value


def test_the_interval_resamples_patients():
    label, score, cluster = films(100, repeat=4)
    widths = []
    for groups in (cluster, np.arange(label.size)):
        found = selective(matrix(label, score, groups), replicates=200)["aurc"]
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[0] > 1.3 * widths[1]


def test_silence_is_chosen_on_validation_and_measured_elsewhere():
    label, score, _ = films(2000, seed=5)
    silence = Selective(0.05).fit(label, score, origin="val/local")
    test = films(2000, seed=6, repeat=2)
    found = silence.measured(test[0], test[1], cluster=test[2])
    assert found["risk"].value == pytest.approx(0.05, abs=0.02)
    assert 0.2 < found["coverage"].value < 0.95
    assert "no guarantee under shift" in found["risk"].note
    with pytest.raises(ConfigError, match="test"):
        Selective(0.05).fit(label, score, origin="test/local")


def test_where_no_film_is_sure_enough_nothing_is_answered():
    silence = Selective(0.05).fit([0, 0], [0.9, 0.8], origin="val/local")
    assert silence.sureness == np.inf
    found = silence.measured([0, 1], [0.9, 0.8])
    assert found["coverage"].value == 0
    assert np.isnan(found["risk"].value)
    assert Selective().fit([], [], origin="val/local").sureness == np.inf


@pytest.mark.parametrize("risk", [0.0, 1.0])
def test_impossible_risks_are_refused(risk):
    with pytest.raises(ConfigError, match="risk"):
        Selective(risk)
