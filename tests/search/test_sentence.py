# SPDX-License-Identifier: Apache-2.0
from medsetu.search.flattery import Flattered
from medsetu.search.plan import SearchPlan
from medsetu.search.sentence import sentences
from medsetu.search.trial import FAILED, FINISHED, GIVEN_UP, Trial

ENDED = [Trial(0, FINISHED, 0.5, {"a": 1}), Trial(1, GIVEN_UP, 0.9, {"a": 2}), Trial(2, FAILED, float("nan"), {"a": 3})]
FLATTERED = Flattered(0.04, 0.06, trials=8, patients=20, films=30, resamples=100)


def said(flattered=FLATTERED, *, monitor="val/local/loss", fold=None, ended=ENDED):
    return " ".join(sentences(ended, ENDED[0], flattered, monitor=monitor, fold=fold, trials=SearchPlan({})))


def test_the_winner_and_how_far_it_is_to_be_believed():
    text = said()
    assert "Trial 0 is best of 3 (1 finished, 1 given up, 1 failed): val/local/loss 0.5000, with a = 1." in text
    assert "looks 0.0400 better than it is on these 30 films of 20 patients (nearer 0.5400; 0.0600 if" in text
    assert "lower end" in text
    assert "No test was opened" in text
    assert "fold" not in text


def test_a_larger_auroc_is_better():
    assert "nearer 0.4600" in said(monitor="val/local/auroc")


def test_cross_fitting_is_not_forgotten():
    assert "in fold 2, with" in said(fold=2)
    assert "test films of the other folds" in said(fold=2)


def test_what_cannot_be_said():
    text = said(Flattered(note="one trial has finished, so there was no choice"), ended=ENDED[:1])
    assert "cannot be said: one trial has finished" in text
    assert "lower end" not in text
