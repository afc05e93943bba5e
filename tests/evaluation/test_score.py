# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from evaluation.cohort import FOLDS, study
from medsetu.core.errors import DataError
from medsetu.evaluation.score import BY_IMAGE, check_probability, pair, score_matrix


def _part(rows: pd.DataFrame, *, arm: str, domain: str) -> pd.DataFrame:
    return rows[(rows["arm"] == arm) & (rows["domain"] == domain) & (rows["split"] == "test")]


@pytest.fixture(scope="module")
def rows():
    return study()


def test_crossfitted_side_has_one_row_per_seed(rows):
    matrix = score_matrix(_part(rows, arm="transfer", domain="local"))
    assert matrix.scores.shape == (3, 104)
    assert matrix.seed.tolist() == [0, 1, 2]
    assert set(np.unique(matrix.fold[0])) == set(range(FOLDS))
    assert matrix.counts == (104, 104, 52)


def test_fixed_side_of_a_crossfitted_arm_has_one_row_per_seed_and_fold(rows):
    matrix = score_matrix(_part(rows, arm="transfer", domain="global"))
    assert matrix.scores.shape == (3 * FOLDS, 120)
    assert matrix.n_seeds == 3
    assert matrix.model[:2] == ("0/0", "0/1")


def test_fixed_side_of_a_fixed_arm_has_one_row_per_seed(rows):
    matrix = score_matrix(_part(rows, arm="global-only", domain="local"))
    assert matrix.scores.shape == (3, 104)
    assert (matrix.fold == -1).all()


def test_labels_follow_the_sample(rows):
    part = _part(rows, arm="transfer", domain="local")
    shuffled = part.sample(frac=1, random_state=0)
    one, other = score_matrix(part), score_matrix(shuffled)
    assert np.array_equal(one.scores, other.scores)
    assert np.array_equal(one.label, other.label)
    truth = part.drop_duplicates("sample_id").set_index("sample_id")["label"]
    assert np.array_equal(truth[one.sample_id].to_numpy(), one.label)


def test_samples_some_model_missed_leave_all_models(rows):
    part = _part(rows, arm="transfer", domain="local")
    lacking = part.drop(part.index[:2])
    matrix = score_matrix(lacking)
    assert matrix.label.size == 102
    assert matrix.note == "2 samples left out: not scored by every model"


def test_unknown_labels_are_left_out_and_counted(rows):
    part = _part(rows, arm="global-only", domain="global").copy()
    unknown = part["sample_id"].isin(part["sample_id"].unique()[:5])
    part.loc[unknown, "label"] = np.nan
    matrix = score_matrix(part)
    assert matrix.label.size == 115
    assert matrix.note == "5 samples left out: unknown label"
    assert score_matrix(part.assign(label=np.nan)).counts == (0, 0, 0)


def test_images_stand_alone_without_patient_ids(rows):
    part = _part(rows, arm="global-only", domain="local").copy()
    part["patient_id"] = np.nan
    matrix = score_matrix(part)
    assert matrix.n_patients == 104
    assert matrix.note == BY_IMAGE


def test_patients_hold_their_images():
    matrix = score_matrix(_part(study(per_patient=4), arm="global-only", domain="local"))
    assert matrix.counts == (26, 104, 52)


def test_validators_fire_table(rows):
    part = _part(rows, arm="global-only", domain="local")
    twice = pd.concat([part, part.iloc[:1]])
    other_label = part.assign(label=np.where(part["seed"] == 1, 1 - part["label"], part["label"]))
    mixed = pd.concat([part, part.assign(finding="effusion")])
    outside = part.assign(score=part["score"] * 3)
    for bad in (twice, other_label, mixed, outside, part.assign(score=np.nan)):
        with pytest.raises(DataError):
            score_matrix(bad)
    assert score_matrix(mixed, finding="effusion").label.size == 104


def test_validators_fire_probability():
    for bad in (2.0, -1.0, float("nan")):
        with pytest.raises(DataError):
            check_probability([0.5, bad])
    assert check_probability([1, 0]).tolist() == [1.0, 0.0]


def test_pairing_keeps_the_shared_samples(rows):
    one = score_matrix(_part(rows, arm="transfer", domain="local")).take(np.arange(100))
    other = score_matrix(_part(rows, arm="global-only", domain="local")).take(np.arange(4, 104))
    a, b, left = pair(one, other)
    assert (a.sample_id == b.sample_id).all()
    assert (a.label == b.label).all()
    assert (a.label.size, left) == (96, 8)
