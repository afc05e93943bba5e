# SPDX-License-Identifier: Apache-2.0
"""Knees of two experts: one picture has two names and is matched by its bytes; disagreement is unknown, votes are kept."""

import math

import pytest

from fakes.knee_oa_gornale import write
from medsetu.core.errors import DataError
from medsetu.release.knee_oa_gornale import KneeOaGornale


def test_a_picture_is_one_sample_with_two_votes(tmp_path):
    index = KneeOaGornale(write(tmp_path)).index()
    assert len(index.samples) == 12
    assert index.samples["path"].str.startswith("MedicalExpert-I/").all()
    assert len(index.readings) == 23
    assert index.readings.groupby("sample_id").size().value_counts().to_dict() == {2: 11, 1: 1}
    assert any("1 pictures were graded by one expert" in note for note in index.notes)


def test_experts_who_disagree_leave_it_unknown(tmp_path):
    index = KneeOaGornale(write(tmp_path)).index()
    labels = index.samples.set_index("path")
    moved, near = labels.loc["MedicalExpert-I/3Moderate/ModerateG3 (1).png"], labels.loc["MedicalExpert-I/4Severe/SevereG4 (3).png"]
    assert math.isnan(moved["osteoarthritis"])  # grade 3 and grade 1
    assert math.isnan(near["moderate_osteoarthritis"])  # grade 4 and grade 2
    assert near["osteoarthritis"] == 1.0
    votes = index.readings[index.readings["sample_id"].str.contains(r"ModerateG3 \(1\)")].set_index("reader")
    assert votes["osteoarthritis"].to_dict() == {"MedicalExpert-I": 1.0, "MedicalExpert-II": 0.0}


def test_a_picture_under_two_grades_of_one_expert_is_no_vote(tmp_path):
    index = KneeOaGornale(write(tmp_path)).index()
    assert sorted(index.excluded["reason"]) == ["folder is no grade", "one expert filed it twice"]
    votes = index.readings[index.readings["osteoarthritis"].isna()]
    assert votes["reader"].tolist() == ["MedicalExpert-I"]
    label = index.samples.set_index("sample_id").loc[votes["sample_id"].iloc[0], "osteoarthritis"]
    assert label == 0.0  # the second expert alone


def test_both_trees_are_needed(tmp_path):
    root = write(tmp_path)
    (root / "MedicalExpert-II").rename(root / "other")
    with pytest.raises(DataError, match="MedicalExpert-II"):
        KneeOaGornale(root).index()
