# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pandas as pd
import pytest

from evaluation import oracle
from medsetu.core.errors import ConfigError, DataError
from medsetu.manifest.consensus import POLICIES, dawid_skene, fuse_readers, policy_label, staple

NAN = float("nan")


def test_policies_on_missing_votes_and_ties():
    votes = np.array([[1.0, 0.0, NAN], [NAN, NAN, NAN], [1.0, 1.0, NAN], [0.0, 0.0, 1.0], [1.0, NAN, NAN]])
    found = {name: policy_label(votes, name) for name in POLICIES}
    assert np.array_equal(found["any-positive"], [1, NAN, 1, 1, 1], equal_nan=True)
    assert np.array_equal(found["majority"], [NAN, NAN, 1, 0, 1], equal_nan=True)
    assert np.array_equal(found["unanimous"], [0, NAN, 1, 0, 1], equal_nan=True)
    with pytest.raises(ConfigError, match="unanimous"):
        policy_label(votes, "consensus")


def said(reader, **findings):
    return {"sample_id": "s1", "reader": reader, "mass": 0, "nodule": 0, "effusion": 0, "no_finding": 0} | findings


def test_reader_fusion_keeps_findings():
    """T05: one reader sees nothing; what the others name is there in every order of the rows."""
    rows = [said("a", mass=1, effusion=1), said("b", no_finding=1), said("c", nodule=1, effusion=1)]
    for order in itertools.permutations(rows):
        found = fuse_readers(pd.DataFrame(order), policy="any-positive", normal="no_finding").loc["s1"]
        assert found.to_dict() == {"mass": 1, "nodule": 1, "effusion": 1, "no_finding": 0}
        majority = fuse_readers(pd.DataFrame(order), policy="majority", normal="no_finding").loc["s1"]
        assert majority.to_dict() == {"mass": 0, "nodule": 0, "effusion": 1, "no_finding": 0}


def test_no_finding_follows_from_the_findings():
    rows = pd.DataFrame(
        {
            "sample_id": ["a", "a", "b", "b", "c"],
            "reader": ["x", "y", "x", "y", "x"],
            "mass": [1, 0, 0, 0, NAN],
            "none": [0, 1, 1, 1, 1],
        }
    )
    found = fuse_readers(rows, policy="majority", normal="none")
    assert np.array_equal(found.to_numpy(), [[NAN, NAN], [0, 1], [NAN, NAN]], equal_nan=True)  # a tie and an unread film stay unknown
    assert found.index.tolist() == ["a", "b", "c"]


def test_dawid_and_skene():
    votes = np.array([[float(mark) for mark in word] for word in oracle.DS79])
    found = dawid_skene(votes, reader=oracle.DS79_OBSERVER)
    assert found.share == pytest.approx(oracle.DS79_MARGINALS, abs=5e-9)
    assert found.log_likelihood == pytest.approx(oracle.DS79_LOGLIK, abs=5e-9)
    assert np.diag(found.confusion[0]) == pytest.approx(oracle.DS79_OBS1_DIAGONAL, abs=5e-4)
    assert found.label.tolist() == oracle.DS79_MAP
    assert found.readers == ("1", "2", "3", "4", "5")
    assert found.posterior.sum(axis=1) == pytest.approx(1)


def test_readers_who_err_are_found_out():
    rng = np.random.default_rng(0)
    truth = (rng.random(1500) < 0.3).astype(float)
    right = np.array([0.95, 0.9, 0.6, 0.6, 0.6])
    votes = np.where(rng.random((1500, 5)) < right, truth[:, None], 1 - truth[:, None])
    votes[rng.random(votes.shape) < 0.2] = np.nan
    votes[7] = np.nan
    found = dawid_skene(votes)
    assert np.isnan(found.label[7])
    assert np.isnan(found.posterior[7]).all()
    known = ~np.isnan(found.label)
    share = policy_label(votes, "majority")
    both = known & ~np.isnan(share)
    assert (found.label == truth)[both].mean() > (share == truth)[both].mean() + 0.03
    assert np.diagonal(found.confusion, axis1=1, axis2=2).mean(axis=1) == pytest.approx(right, abs=0.06)


def test_equal_votes_are_no_consensus():
    votes = np.array([[1, 1, NAN, NAN], [0, 0, 0, 0], [1, 1, 1, 1.0], [0, 1, NAN, NAN]])
    found = dawid_skene(np.vstack([votes, 1 - votes]))  # nothing prefers a class
    assert np.isnan(found.label[[3, 7]]).all()
    assert found.label[:3].tolist() == [1, 0, 1]


def test_staple():
    masks = np.array([[float(mark) for mark in row] for row in oracle.STAPLE_ROWS])
    found = staple(masks)
    assert found.probability.round() == pytest.approx([float(mark) for mark in oracle.STAPLE_W])
    assert found.probability == pytest.approx(found.probability.round(), abs=1e-6)
    assert (found.sensitivity, found.specificity) == (pytest.approx(oracle.STAPLE_SENS), pytest.approx(oracle.STAPLE_SPEC))


def test_identical_masks_are_their_consensus():
    mask = np.random.default_rng(0).random((6, 5)) < 0.4
    found = staple([mask] * 3)
    assert np.array_equal(found.probability.round(), mask)
    assert (found.sensitivity == 1).all()
    assert (found.specificity == 1).all()
    empty = staple(np.zeros((2, 4)))
    assert empty.probability.tolist() == [0, 0, 0, 0]
    assert np.isnan(empty.sensitivity).all()


def test_what_is_refused():
    with pytest.raises(DataError, match="at least 3 readers"):
        dawid_skene([[1, 0], [0, 0]])
    with pytest.raises(DataError, match="of 2 readers"):
        dawid_skene([[1, 0, 1], [0, 0, 1]], reader=["a", "a", "b"])
    with pytest.raises(DataError, match="1 classes were read"):
        dawid_skene(np.ones((4, 3)))
    with pytest.raises(DataError, match="other than 0 and 1"):
        staple([[0, 2], [0, 1]])
    with pytest.raises(DataError, match="at least two readers"):
        staple([[0, 1]])
    rows = pd.DataFrame({"sample_id": ["a", "a"], "reader": ["x", "x"], "mass": [1, 0]})
    with pytest.raises(DataError, match="read a sample twice"):
        fuse_readers(rows, policy="majority")
    with pytest.raises(DataError, match="neither 1, 0 nor empty"):
        fuse_readers(rows.assign(reader=["x", "y"], mass=[1, 2]), policy="majority")
    with pytest.raises(ConfigError, match="No column 'normal'"):
        fuse_readers(rows, policy="majority", normal="normal")


def test_staple_of_many_pixels_is_that_of_its_distinct_ones():
    """Each pixel repeated gives the same consensus: only the shares of the patterns count."""
    masks = np.random.default_rng(0).integers(0, 2, (3, 40)).astype(float)
    few, many = staple(masks), staple(np.repeat(masks, 500, axis=1))
    assert np.allclose(many.probability, np.repeat(few.probability, 500), atol=1e-9)
    assert np.allclose(many.sensitivity, few.sensitivity, atol=1e-9)
    assert many.probability.shape == (20000,)
