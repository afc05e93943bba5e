# SPDX-License-Identifier: Apache-2.0
"""The checklists are whole, say how they were checked, and leave open what a program cannot know."""

import re
from dataclasses import replace

import pytest
import yaml

from fakes.report import SENTINEL
from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.report.checklist import CHECKLIST_COLUMNS, FILLED, OPEN, PARTLY, checklist_grids, fill, load_checklists
from medsetu.report.content import Report

SIZES = {"TRIPOD+AI": (27, 52), "CLAIM 2024": (44, 44), "STARD-AI": (40, 48)}


@pytest.fixture(scope="module")
def table(study_report):
    return fill(study_report)


def answers(table, checklist):
    return table[table["checklist"] == checklist].set_index("item")


@pytest.mark.parametrize("name", SIZES)
def test_a_checklist_has_all_its_items_in_order(name):
    (found,) = [checklist for checklist in load_checklists() if checklist.name == name]
    numbers = [int(re.match(r"\d+", item.item).group()) for item in found.items]
    assert numbers == sorted(numbers)
    assert (len(set(numbers)), len(numbers), numbers[-1]) == (*SIZES[name], SIZES[name][0])
    assert len({item.item for item in found.items}) == len(found.items)
    assert "second-hand" in found.numbering


@pytest.mark.parametrize("path", sorted((config_folder() / "checklist").glob("*.yaml")), ids=lambda path: path.stem)
def test_items_are_short_and_their_quotes_do_not_hide_a_key(path):
    for item in yaml.safe_load(path.read_text())["items"]:
        assert len(item["asks"].split()) <= 16
        assert set(item) <= {"item", "section", "asks", "facts", "partly"}


def test_what_only_authors_know_is_open(table):
    tripod = answers(table, "TRIPOD+AI")
    assert set(tripod.loc[["17", "18a", "18b", "19", "25"], "status"]) == {OPEN}
    assert set(tripod.loc[["17", "18a"], "answer"]) == {""}
    assert tripod.loc["5b", "status"] == OPEN  # no card says when its films were taken
    assert set(table.loc[table["status"] == OPEN, "answer"]) == {""}


def test_what_the_study_knows_is_filled(table):
    assert "4\u202f200 eligible" in answers(table, "STARD-AI").loc["24", "answer"]
    claim = answers(table, "CLAIM 2024")
    assert claim.loc["20", "status"] == FILLED
    assert claim.loc["33", "status"] == OPEN  # nothing external was tested
    assert claim.loc["40", "status"] == PARTLY
    assert tuple(table.columns) == CHECKLIST_COLUMNS


def test_a_sealed_plan_answers_the_protocol(study_report):
    sealed = fill(replace(study_report, seal=["Plan sealed on 2026-11-22.", "Primary: x.", "Planned power: y."]))
    assert "sealed on 2026-11-22" in answers(sealed, "TRIPOD+AI").loc["18c", "answer"]
    assert answers(sealed, "TRIPOD+AI").loc["10", "status"] == FILLED


def test_without_a_plan_the_sample_size_is_partly_told(table):
    assert answers(table, "TRIPOD+AI").loc["10", "status"] == PARTLY


def test_a_study_that_says_nothing_leaves_most_open():
    empty = fill(Report(title="t", question="", recipe_yaml="", made_on="2026-11-24"))
    assert (empty["status"] == OPEN).mean() > 0.5


def test_nobody_is_named(table):
    assert SENTINEL not in table.to_csv()


def test_tables_count_what_is_open(table):
    grids = checklist_grids(table)
    assert [len(grid.rows) for grid in grids] == [44, 48, 52]
    assert all(re.search(r": \d\d items, \d+ open \(", grid.caption) for grid in grids)


def write(folder, **changes):
    item = {"item": 1, "section": "Title", "asks": "x", "facts": ["question"]} | changes.pop("item", {})
    (folder / "own.yaml").write_text(yaml.safe_dump({"name": "own", "cite": "c", "doi": "d", "numbering": "n", "items": [item]} | changes))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"item": {"facts": ["questions"]}}, "Did you mean 'question'"),
        ({"item": {"colour": "red"}}, "does not hold item, section"),
        ({"items": [3]}, "cannot be read"),
        ({"items": None}, "cannot be read"),
    ],
)
def test_a_wrong_checklist_is_refused(study_report, tmp_path, changes, match):
    write(tmp_path, **changes)
    with pytest.raises(ConfigError, match=match):
        fill(study_report, tmp_path)
