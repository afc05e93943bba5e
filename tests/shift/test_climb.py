# SPDX-License-Identifier: Apache-2.0
"""A rung is trained without the films it is tested on, on the folds of the model or by patient."""

import numpy as np
import pandas as pd

from medsetu.shift.climb import climb, covered, ladder_parts
from medsetu.shift.rung import NO_FACTS, Rung


def test_every_film_is_scored_by_a_rung_that_has_not_seen_it():
    rng = np.random.default_rng(0)
    label = np.arange(60) % 2.0
    rows = pd.DataFrame({"sample_id": [str(k) for k in range(60)], "group_id": [str(k // 2) for k in range(60)]})
    parts = list(ladder_parts(rows, label=label, seed=0))
    assert covered(parts, films=60).all()
    for _, train, test in parts:
        assert not set(rows.loc[train, "group_id"]) & set(rows.loc[test, "group_id"])
    memory = np.eye(60)  # a feature for each film: nothing can be learned without the film itself
    scores = climb(Rung("memory", memory, 1.0), label=label, parts=parts)
    assert np.isfinite(scores).all()
    assert np.corrcoef(scores[0], label)[0, 1] < 0.3
    useful = climb(Rung("useful", (label + 0.1 * rng.normal(size=60))[:, None], 1.0), label=label, parts=parts)
    assert np.corrcoef(useful[0], label)[0, 1] > 0.9


def test_frozen_folds_are_those_of_the_model():
    rows = pd.DataFrame({"sample_id": list("abcd"), "group_id": list("abcd")})
    splits = pd.DataFrame({"sample_id": list("abcd"), "repeat": -1, "fold": -1, "split": ["train", "val", "test", "unused"]})
    ((repeat, train, test),) = ladder_parts(rows, label=np.array([0.0, 1, 0, 1]), seed=0, splits=splits)
    assert (repeat, train.tolist(), test.tolist()) == (0, [True, True, False, False], [False, False, True, False])


def test_what_cannot_be_climbed_is_said():
    label = np.array([0.0, 0, 0, 1])
    rows = pd.DataFrame({"sample_id": list("abcd"), "group_id": list("abcd")})
    assert list(ladder_parts(rows, label=label, seed=0)) == []
    assert list(ladder_parts(rows, label=np.zeros(4), seed=0)) == []
    assert climb(Rung("x", np.zeros((4, 0)), 1.0), label=label, parts=[]) == NO_FACTS
    assert climb(Rung("x", np.zeros((4, 1)), 1.0), label=label, parts=[]) == "a training part has one class only"
