# SPDX-License-Identifier: Apache-2.0
import pandas as pd

from fakes.report import SENTINEL, flow, splits
from medsetu.catalog.card import load_card
from medsetu.evaluation.published import published_beside, published_of
from medsetu.report.material import card_view, duplicate_grid, flows, pairs_grid, published_grid, quarantine_grid, split_grid, weight_grid


def test_card_without_a_licence_says_so():
    view = card_view(load_card("nitrd"))
    assert view.licence.startswith("no licence text known")
    assert "publishing weights: not known" in view.uses
    assert "number of patients not known" in view.size
    assert ("Collection", "case-control") in view.facts
    assert ("Reference standard", "–") in view.facts


def test_flow_adds_up_and_names_reasons():
    first, second = flows(flow())
    assert (first.eligible, first.analysed) == ("4\u202f200", "4\u202f185")
    assert first.left == ["12 excluded: near duplicate of another image", "3 quarantined: the file ends early"]
    assert second.left == []
    assert flows(pd.DataFrame()) == []


def test_quarantine_and_duplicates_are_counted_not_named(study_report):
    for grid in (quarantine_grid(study_report.quarantine), duplicate_grid(study_report.duplicates)):
        assert grid.rows
        assert SENTINEL not in str(grid)
    assert quarantine_grid(study_report.quarantine).rows[0][1].text == "3"
    assert {line[1].text for line in duplicate_grid(study_report.duplicates).rows} == {"within a release", "between releases"}


def test_nothing_in_quarantine_gives_no_row():
    assert quarantine_grid(pd.DataFrame(columns=["sample_id", "release", "reason"])).rows == []
    assert duplicate_grid(pd.DataFrame(columns=["a", "b", "kind", "distance"])).rows == []


def test_duplicates_without_an_action_are_counted_too():
    grid = duplicate_grid(pd.DataFrame({"a": ["x/1"], "b": ["x/2"], "kind": ["exact"], "distance": [0]}))
    assert [entry.text for entry in grid.rows[0]] == ["exact", "within a release", "1", "–"]


def test_weights_of_unknown_licence_give_no_permission():
    grid = weight_grid([{"stage": "pretrain", "origin": "scratch", "licence": "", "sha256": "", "trained_on": ()}])
    assert grid.rows[0][2].text == "unknown: no permission beyond research"


def test_weights_made_here_say_what_they_permit_and_what_binds_them():
    made = {"stage": "pretrain", "licence": "", "permits": {"research": "yes", "commercial": "no"}, "clauses": ["NonCommercial of X"]}
    assert weight_grid([made]).rows[0][2].text.endswith("made here: research yes, commercial no; NonCommercial of X")


def test_splits_tell_the_unit():
    assert split_grid(splits()).rows[0][-1].text == "2\u202f720 by image"


def test_pairs_of_any_value():
    values = {"labels_spent": {"local": 3}, "hours": 0.5, "unknown": float("nan"), "flag": True}
    assert [line[1].text for line in pairs_grid("x", values, names=("a", "b")).rows] == ["local: 3", "0.5", "–", "True"]


def test_published_numbers_stand_beside_ours_with_their_source(study_report):
    paper = {
        "arm": "global-only",
        "side": "local",
        "finding": study_report.primary,
        "metric": "auroc",
        "value": 0.71,
        "source": "A <b> 2026",
    }
    grid = published_grid(
        published_beside(published_of([paper, paper | {"arm": "nobody", "n": 155}]), study_report.results, pd.DataFrame())
    )
    (head, theirs, ours, source), absent = grid.rows
    assert (head.text, theirs.text, source.text) == ("global-only, local", "0.710", "A <b> 2026")
    assert ours.text not in ("", "–")
    assert absent[2].text == "–"
    assert "n = 155" in absent[1].small
