# SPDX-License-Identifier: Apache-2.0
"""Which films to label next: unsure ones, far ones, both; by patient, seeded, without labels."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.shift.cohort import Films
from medsetu.shift.next_label import next_films


def films(score, *, features=None, patient=None, label=None):
    n = len(score)
    names = np.array([f"f{film:02d}" for film in range(n)])
    return Films(
        side="local",
        title="",
        unit="by patient",
        sample_id=names,
        patient=names if patient is None else np.asarray(patient),
        label=np.full(n, np.nan) if label is None else np.asarray(label, dtype=np.float64),
        scores=np.atleast_2d(np.asarray(score, dtype=np.float64)),
        seed=np.array([0]),
        facts=pd.DataFrame(index=range(n)),
        features=None if features is None else np.asarray(features, dtype=np.float32),
    )


def test_the_least_sure_comes_first_measured_from_the_threshold():
    scores = [0.0, 0.2, 0.55, 0.9, 1.0]
    assert next_films(films(scores), 2, how="uncertainty")["sample_id"].tolist() == ["f02", "f01"]
    assert next_films(films(scores), 2, how="uncertainty", threshold=0.9)["sample_id"].tolist() == ["f03", "f02"]


def test_equals_go_by_name():
    assert next_films(films([0.3, 0.7, 0.3, 0.7]), 4, how="uncertainty")["sample_id"].tolist() == ["f00", "f01", "f02", "f03"]


def test_coverage_visits_every_cluster_before_any_twice():
    rng = np.random.default_rng(0)
    features = np.repeat(np.eye(4) * 20, 5, axis=0) + rng.standard_normal((20, 4))
    for seed in range(5):
        chosen = next_films(films(np.full(20, 0.5), features=features), 4, how="coverage", seed=seed)
        assert sorted(int(name[1:]) // 5 for name in chosen["sample_id"]) == [0, 1, 2, 3]


def test_labelled_patients_are_covered_already_and_never_asked_again():
    features = [[0.0], [0.1], [5.0], [10.0]]
    table = next_films(films([0.5] * 4, features=features, label=[1, np.nan, np.nan, np.nan]), 4, how="coverage")
    assert table["sample_id"].tolist() == ["f03", "f02", "f01"]


def test_both_take_turns():
    features = [[0.0], [1.0], [2.0], [9.0]]
    table = next_films(films([0.5, 0.6, 0.99, 0.999], features=features), 3)
    assert table["sample_id"].tolist() == ["f00", "f03", "f01"]
    assert [reason.split(":")[0] for reason in table["reason"]] == ["unsure", "coverage", "unsure"]


def test_k_shot_counts_patients():
    """T09: k is a number of patients, all films of a patient share one rank, and a labelled film makes its patient labelled."""
    patient = ["a", "a", "b", "b", "b", "c"]
    table = next_films(films([0.9, 0.51, 0.8, 0.8, 0.8, 0.7], patient=patient), 2, how="uncertainty")
    assert table["rank"].tolist() == [1, 1, 2]
    assert table["sample_id"].tolist() == ["f00", "f01", "f05"]
    known = films([0.5] * 6, patient=patient, label=[np.nan, 0, np.nan, np.nan, np.nan, np.nan])
    assert "f00" not in set(next_films(known, 9, how="uncertainty")["sample_id"])


def test_the_draw_is_seeded():
    side = films(np.linspace(0.01, 0.99, 30))
    first, again, other = (next_films(side, 8, how="random", seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert first["sample_id"].tolist() != other["sample_id"].tolist()


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(DataError, match="needs features"):
        next_films(films([0.5]), 1)
    with pytest.raises(DataError, match="has a label already"):
        next_films(films([0.5], label=[1]), 1, how="uncertainty")
    with pytest.raises(ConfigError, match="uncertanty"):
        next_films(films([0.5]), 1, how="uncertanty")
    with pytest.raises(ConfigError, match="0 patients"):
        next_films(films([0.5]), 0, how="uncertainty")
