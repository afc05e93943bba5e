# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from fakes.folder import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.manifest import vote
from medsetu.manifest.build import build
from medsetu.manifest.frozen import freeze, load
from medsetu.manifest.plan import SplitPlan
from medsetu.release.base import ReleaseIndex

NAN = float("nan")


class Read:
    """A release whose readers are told apart."""

    def __init__(self, release, readings):
        self.release, self.readings = release, readings
        self.name, self.root, self.findings = release.name, release.root, release.findings

    def index(self):
        index = self.release.index()
        return ReleaseIndex(index.samples, index.excluded, index.notes, self.readings(index.samples))


def three(samples, *, seed=0):
    """Two readers who err in 5 and 10 of 100, and one who errs in 30; what the release says is the truth."""
    rng = np.random.default_rng(seed)
    truth = samples["tuberculosis"].to_numpy()
    tables = [
        pd.DataFrame(
            {"sample_id": samples["sample_id"], "reader": name, "tuberculosis": np.where(rng.random(len(truth)) < wrong, 1 - truth, truth)}
        )
        for name, wrong in (("Dr A", 0.05), ("Dr B", 0.1), ("Dr C", 0.3))
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def india(tmp_path):
    return Read(write(tmp_path / "india", name="india", patients=60, seed=1), three)


def prepared(release, **settings):
    return build({"local": [release]}, plan=SplitPlan(**settings), seed=0, workers=0)


def test_votes_are_kept_under_pseudonyms(india):
    found = prepared(india)
    assert list(found.votes.columns) == list(vote.VOTE_COLUMNS)
    assert len(found.votes) == 3 * len(found.manifest)
    assert found.votes["reader"].nunique() == 3
    assert not found.votes["reader"].str.contains("Dr").any()
    assert found.facts["consensus"] == {"india": {"tuberculosis": "own"}}


@pytest.mark.parametrize("rule", ["majority", "any-positive", "unanimous", "dawid_skene", "soft"])
def test_the_rule_makes_the_labels_and_is_named(india, rule):
    found = prepared(india, consensus={"india": {"tuberculosis": rule}})
    readers = vote.table_of_readers(found.votes, finding="tuberculosis")
    label = found.manifest.set_index("sample_id")["tuberculosis"].reindex(readers.index)
    share = readers.mean(axis=1)
    expected = {"any-positive": share > 0, "unanimous": share == 1}.get(rule, share > 0.5)
    if rule != "dawid_skene":
        assert (label == expected.astype(float)).all()
    else:
        weak = label[share.between(0.01, 0.99)]  # two good readers outweigh a poor one, and each other's doubts
        assert set(weak.unique()) <= {0.0, 1.0}
        assert (label[share == 1] == 1).all()
    assert any(f"labels by {rule} (tuberculosis)" in note for note in found.notes)
    assert found.facts["consensus"] == {"india": {"tuberculosis": rule}}


def test_soft_labels_reach_training_films_alone(india):
    found = prepared(india, consensus="soft")
    assignment = found.manifest.set_index("sample_id")["split"]
    assignment[:] = ["train", "test"] * (len(assignment) // 2)
    learned = found.learned(assignment).set_index("sample_id")["tuberculosis"]
    share = found.votes.groupby("sample_id")["vote"].mean()
    train = assignment[assignment == "train"].index
    assert learned[train].tolist() == share[train].tolist()
    assert not set(learned[train]) <= {0.0, 1.0}
    assert set(learned.drop(train).dropna()) <= {0.0, 1.0}
    hard = prepared(india, consensus="majority")
    assert hard.learned(assignment) is hard.manifest


def test_another_rule_is_another_manifest_even_where_no_class_changes(india, tmp_path):
    first, before = freeze(prepared(india, consensus="majority"), tmp_path / "frozen")
    again, reused = freeze(prepared(india, consensus="majority"), tmp_path / "frozen")
    assert (before, reused) == (False, True)
    pd.testing.assert_frame_equal(again.votes, first.votes)
    assert load(tmp_path / "frozen").fingerprint == first.fingerprint
    with pytest.raises(DataError, match=r"manifest\.consensus was"):
        freeze(prepared(india, consensus="soft"), tmp_path / "frozen")


def test_a_changed_vote_is_another_manifest(india, tmp_path):
    freeze(prepared(india), tmp_path / "frozen")
    india.readings = lambda samples: three(samples, seed=1)
    with pytest.raises(DataError, match="votes of readers added or gone"):
        freeze(prepared(india), tmp_path / "frozen")


def test_votes_that_were_tampered_with_are_refused(india, tmp_path):
    freeze(prepared(india), tmp_path / "frozen")
    path = tmp_path / "frozen" / "votes.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="votes"):
        load(tmp_path / "frozen")


@pytest.mark.parametrize(
    ("consensus", "words"),
    [
        ("most", "Votes are not read as 'most'"),
        ({"indio": "majority"}, "Did you mean 'india'"),
        ({"india": {"tubercolosis": "majority"}}, "Did you mean 'tuberculosis'"),
    ],
)
def test_names_that_do_not_exist_are_refused(india, consensus, words):
    with pytest.raises(ConfigError, match=words):
        prepared(india, consensus=consensus)


def test_two_readers_do_not_tell_who_errs(india):
    india.readings = lambda samples: three(samples).query("reader != 'Dr C'")
    with pytest.raises(ConfigError, match="2 readers cannot be told apart"):
        prepared(india, consensus="dawid_skene")


def test_a_film_nobody_voted_on_keeps_its_label():
    samples = pd.DataFrame({"sample_id": ["a", "b", "c"], "mass": [1.0, 1.0, NAN]})
    said = pd.DataFrame(
        {"sample_id": ["a", "a", "c"], "release": "r", "reader": ["x", "y", "x"], "finding": "mass", "vote": [0.0, 0.0, 1.0]}
    )
    table, _ = vote.decide(samples, said, consensus={"*": "majority"})
    assert table["mass"].tolist() == [0.0, 1.0, 1.0]


def test_the_sheet_of_disagreements_lists_films_and_counts_only():
    samples = pd.DataFrame({"sample_id": ["a", "b"], "patient_id": "p", "mass": [NAN, 1.0]})
    rows = [("a", "x", 1.0), ("a", "y", 0.0), ("b", "x", 1.0), ("b", "y", 1.0)]
    said = pd.DataFrame(rows, columns=["sample_id", "reader", "vote"]).assign(release="r", finding="mass")
    sheet = vote.disagreements(said, samples)
    assert list(sheet.columns) == list(vote.DISAGREEMENT_COLUMNS)
    assert sheet.drop(columns="label").values.tolist() == [["a", "mass", 1, 1]]
    assert sheet["label"].isna().all()


def test_one_class_needs_no_estimate():
    rows = pd.DataFrame({"sample_id": ["a"] * 3, "reader": list("xyz"), "vote": [0.0, 0.0, 0.0]})
    assert vote.fused(rows, rule="dawid_skene", where="test").tolist() == [0.0]
