# SPDX-License-Identifier: Apache-2.0
"""The leakage ledger: every link is in it, with its certainty and what was done."""

import numpy as np
import pandas as pd
import pytest

from fakes.folder import write
from medsetu.core.errors import LeakageError
from medsetu.core.sample import pseudonym
from medsetu.manifest.build import build
from medsetu.manifest.overlap import backbone_links, judge, ledger_table, links, looked_at, names_of
from medsetu.manifest.plan import LeakagePolicy, SplitPlan
from medsetu.manifest.prepared import LINK_COLUMNS
from medsetu.release.tbx11k import Tbx11k

NAN = float("nan")
PAIRS = ["a", "b", "kind", "distance", "correlation", "action"]
RELATED = {"tbx11k": "tbx11k", "nitrd": "nitrd"}


def rows(*samples):
    """Samples of (sample_id, domain, patient, split); the release is the part before the slash, hashes never pair."""
    table = pd.DataFrame(samples, columns=["sample_id", "domain", "patient_id", "split"])
    release = table["sample_id"].str.split("/").str[0]
    hashes = [f"{n:016x}" for n in range(len(table))]
    return table.assign(release=release, study_id=NAN, seen="", tuberculosis=1.0, phash=hashes, sha256=hashes)


def two_sides():
    return rows(("tbx11k/1", "global", "p", "train"), ("tbx11k/2", "global", "p", "train"), ("nitrd/1", "local", NAN, "test"))


def alike(*pairs):
    return pd.DataFrame([(*pair, "near", 3, 0.98, "") for pair in pairs], columns=PAIRS)


def judged(table, pairs=None, *, names=None, known=None, **policy):
    return judge(table, alike() if pairs is None else pairs, policy=LeakagePolicy(**policy), known=known or {}, names=names or {})


def ledger(table, *args, **options):
    found = judged(table, *args, **options)
    return links(found.settled.manifest, found), found


def brief(table, *columns):
    return table[list(columns)].to_numpy().tolist()


def test_nothing_found_is_an_empty_table_with_its_columns():
    found, _ = ledger(rows(("a/1", "local", "p", "test"), ("b/1", "global", "q", "test")))
    assert found.empty
    assert list(found.columns) == list(LINK_COLUMNS)
    assert list(ledger_table(found).columns)[:2] == ["rule", "certainty"]


def test_films_of_one_patient_are_proven_and_share_a_part():
    found, _ = ledger(two_sides())
    assert brief(found, "sample_id", "rule", "certainty", "action") == [
        ["tbx11k/1", "patient", "proven", "kept in one group"],
        ["tbx11k/2", "patient", "proven", "kept in one group"],
    ]


def test_a_patient_on_two_sides_is_told_with_the_side_of_the_other_film():
    table = rows(
        ("a/1", "global", "p", "train"), ("b/1", "local", "p", "test"), ("b/2", "local", "q", "test"), ("b/3", "local", "q", "test")
    )
    found, one = ledger(table, patient="drop")
    assert one.settled.excluded["sample_id"].tolist() == ["a/1"]
    assert brief(found, "sample_id", "other", "other_domain", "action") == [
        ["b/1", "a", "global", "the other left"],
        ["b/2", "b", "local", "kept in one group"],
        ["b/3", "b", "local", "kept in one group"],
    ]


def test_both_ends_of_a_pair_that_stayed_and_one_end_of_a_pair_that_left():
    table = rows(
        ("a/1", "global", NAN, "train"), ("a/2", "global", NAN, "train"), ("a/3", "global", NAN, "val"), ("b/1", "local", NAN, "test")
    )
    found, one = ledger(table, alike(("a/1", "a/2"), ("a/3", "b/1")))
    assert one.settled.excluded["sample_id"].tolist() == ["a/3"]
    columns = ("sample_id", "other_sample", "other_domain", "other_split", "certainty", "action")
    assert sorted(brief(found, *columns)) == [
        ["a/1", "a/2", "global", "train", "likely", "kept in one group"],
        ["a/2", "a/1", "global", "train", "likely", "kept in one group"],
        ["b/1", "a/3", "global", "left", "likely", "the other left"],
    ]
    assert (found["distance"] == 3).all()


def test_pictures_alike_on_two_sides_that_are_only_tagged_are_seen():
    found, one = ledger(two_sides(), alike(("tbx11k/2", "nitrd/1")), near="tag")
    seen = one.settled.manifest.set_index("sample_id")["seen"].to_dict()
    assert seen == {"tbx11k/1": "", "tbx11k/2": "alike a film of the local side", "nitrd/1": "alike a film of the global side"}
    assert set(found.loc[found["rule"] == "near", "action"]) == {"kept on both sides and tagged"}


@pytest.mark.parametrize(("policy", "left"), [("tag", []), ("drop", ["nitrd/1"])])
def test_a_pretraining_list_tags_or_drops(policy, left):
    table = two_sides()
    known = {"weights": pd.DataFrame({"sha256": [table["sha256"][2]]})}
    found, one = ledger(table, known=known, listed=policy)
    assert one.settled.excluded[["sample_id", "reason"]].to_numpy().tolist() == [[name, "in a pretraining list"] for name in left]
    seen = one.settled.manifest["seen"]
    assert seen[seen != ""].tolist() == [] if left else ["in the pretraining list weights"]
    listed = found[found["rule"] == "listed"]
    assert brief(listed, "sample_id", "other", "certainty") == ([] if left else [["nitrd/1", "weights", "proven"]])
    with pytest.raises(LeakageError, match=r"stand in a pretraining list \(1 affected\). Between local and weights, first: nitrd/1"):
        judged(table, known=known, listed="refuse")


def test_releases_that_share_images_are_tagged_on_both_sides():
    found, one = ledger(two_sides().assign(seen=["", "", "said before"]), names=RELATED)
    assert one.settled.manifest["seen"].tolist()[0] == "tbx11k holds films of nitrd, says the catalogue"
    assert one.settled.manifest["seen"].tolist()[2] == "said before; tbx11k holds films of nitrd, says the catalogue"
    own = found[found["rule"] == "catalogue"]
    assert brief(own, "sample_id", "other", "other_domain", "certainty", "action")[-1] == [
        "nitrd/1",
        "tbx11k",
        "global",
        "possible",
        "tagged",
    ]
    assert brief(found[found["rule"] == "release"], "sample_id", "other", "certainty") == [["nitrd/1", "said before", "stated"]]


def test_releases_that_share_images_are_dropped_from_the_earlier_side_or_refused():
    one = judged(two_sides(), names=RELATED, catalogue="drop").settled
    assert one.manifest["sample_id"].tolist() == ["nitrd/1"]
    assert one.manifest["seen"].tolist() == [""], "what left can no longer have been seen"
    assert set(one.excluded["reason"]) == {"release shares films with nitrd of the local side, says the catalogue"}
    with pytest.raises(LeakageError, match=r"Tbx11k|tbx11k holds films of nitrd") as caught:
        judged(two_sides(), names=RELATED, catalogue="refuse")
    assert "manifest.leakage.catalogue" in str(caught.value)


def test_on_one_side_related_releases_stay_and_are_told():
    table = two_sides().assign(domain="global")
    for policy in ("refuse", "drop", "tag"):
        found, one = ledger(table, names=RELATED, catalogue=policy)
        assert set(one.settled.manifest["seen"]) == {""}
        assert set(found.loc[found["rule"] == "catalogue", "action"]) == {"pictures alike share one part"}


def test_what_the_weights_were_taught_on_is_stated_and_what_shares_images_is_possible():
    reasons = {
        "tbx11k": "w was taught on tbx11k",
        "nitrd": "shares images with tbx11k, on which w was taught",
        "absent": "w was taught on it",
    }
    found = backbone_links(two_sides().assign(group_id=["p", "p", "nitrd/1"]), reasons, weights="w")
    assert brief(found, "sample_id", "other", "certainty") == [
        ["tbx11k/1", "w", "stated"],
        ["tbx11k/2", "w", "stated"],
        ["nitrd/1", "w", "possible"],
    ]
    assert brief(ledger_table(found), "release", "rows", "tested", "groups") == [["tbx11k", 2, 0, 1], ["nitrd", 1, 1, 1]]
    assert backbone_links(two_sides().assign(group_id=""), {}, weights="w").empty


def test_what_was_looked_at_is_counted():
    table = two_sides()
    found = judged(table, known={"one": pd.DataFrame({"sha256": ["x", "y"]})}, names=RELATED)
    assert looked_at(table, {"one": pd.DataFrame({"sha256": ["x", "y"]})}, found) == {
        "files": 3,
        "patient ids": 1,
        "study ids": 0,
        "entries": 2,
        "releases": 2,
        "related": 1,
    }


def test_equal_patient_numbers_of_two_releases_are_two_patients(tmp_path):
    """Both folders call their patients 0, 1, 2: the pseudonym is keyed by the release, so nothing is joined or refused."""
    sides = {side: [write(tmp_path / side, name=side, patients=40, seed=n)] for n, side in enumerate(("global", "local"))}
    assert pseudonym("nih_chestxray14", "1") != pseudonym("rsna_pneumonia", "1")
    prepared = build(sides, plan=SplitPlan(), seed=0, workers=0)
    assert prepared.excluded.empty
    assert prepared.manifest.groupby("patient_id")["release"].nunique().max() == 1


def test_the_ledger_of_a_build_holds_its_films_of_one_patient_and_costs_no_fingerprint(tmp_path):
    release = write(tmp_path / "india", name="india", patients=70, films=(1, 2))
    prepared = build({"local": [release]}, plan=SplitPlan(), seed=0, workers=0)
    several = prepared.manifest["patient_id"].duplicated(keep=False)
    assert set(prepared.links["sample_id"]) == set(prepared.manifest.loc[several, "sample_id"])
    assert prepared.facts["looked_at"]["files"] == len(prepared.manifest)
    tagged = build({"local": [release]}, plan=SplitPlan(leakage={"backbone": "refuse"}), seed=0, workers=0)
    assert tagged.fingerprint == prepared.fingerprint


def test_releases_are_named_as_in_the_catalogue(tmp_path):
    (tmp_path / "tbx").mkdir()
    assert names_of([Tbx11k(tmp_path / "tbx", name="world"), write(tmp_path / "x", name="x", patients=2)]) == {"world": "tbx11k", "x": "x"}


def test_a_million_rows_need_no_loop_per_row(monkeypatch):
    """Calls of Python functions do not grow with the rows: a hundred times more of them make hardly more calls."""
    calls = []
    for count in (500, 50_000):
        names = np.arange(count).astype(str)
        table = pd.DataFrame({"sample_id": "nitrd/" + pd.Series(names), "domain": "local", "patient_id": "p" + pd.Series(names).str[:-1]})
        table = table.assign(release="nitrd", study_id=NAN, seen="", split="test", tuberculosis=1.0, sha256=names, phash=f"{0:016x}")
        calls.append(_calls(table))
    assert calls[1] < 1.5 * calls[0]


def _calls(table):
    import sys

    count = 0

    def watch(_frame, event, _argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(watch)
    try:
        found, _ = ledger(table)
    finally:
        sys.setprofile(None)
    assert len(found) > 0.9 * len(table)
    return count
