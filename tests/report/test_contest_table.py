# SPDX-License-Identifier: Apache-2.0
import io
from dataclasses import replace

import pytest
from rich.console import Console

from contest.cohort import PLAN, field
from medsetu.contest.contestant import Cost
from medsetu.contest.tournament import hold
from medsetu.evaluation.decision import Rule
from medsetu.report.contest_table import (
    WIDTH,
    against_sheet,
    contest_tables,
    cost_sheet,
    metric_sheet,
    pair_sheet,
    sheet_grid,
    standings_sheet,
)

RULED = replace(PLAN, rule=Rule("sensitivity", 0.9), bootstrap=20)
COST = Cost(1.5, 0.01, "CPU", 1200, 372497, 2**30, 70, 3)


@pytest.fixture(scope="module")
def found():
    skill = {"transfer:lp_ft": 2.0, "transfer:gradual_last_to_first": 1.5, "transfer:lora": 1.0}
    return hold(field(skill, val=20), RULED, costs={"transfer:lora": COST})


def printed(found):
    text = io.StringIO()
    Console(file=text, width=WIDTH).print(contest_tables(found))
    return text.getvalue()


def test_it_fits_100_columns_and_names_the_claim(found):
    lines = printed(found).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert sum("claim: this model" in line for line in lines) == 1
    joined = " ".join(lines)
    assert all(name in joined for name in ("transfer:lp_ft", "transfer:lora", "372 497".replace(" ", "\u202f")))


def test_long_names_and_many_contestants_fit():
    skill = {f"transfer:{'unfreezing_' * 3}{number}": 1.0 for number in range(7)}
    lines = printed(hold(field(skill), replace(PLAN, bootstrap=0))).splitlines()
    assert max(map(len, lines)) <= WIDTH


def test_everybody_stands_against_the_leader_in_words():
    found = hold(field({"a": 4.0, "b": 0.5, "c": 0.5}, per_class=60), replace(PLAN, bootstrap=0))
    sheet = against_sheet(found)
    assert [(row[0], row[-1]) for row in sheet.rows] == [(name, "worse") for name in found.standings["contestant"][1:]]
    bound = hold(field({"a": 4.0, "b": 0.5, "c": 0.5}, per_class=60), replace(PLAN, bootstrap=0, reference="b"))
    assert {row[0]: row[-1] for row in against_sheet(bound).rows} == {"a": "better", "c": "not told apart"}


def test_standings_are_measured_against_the_leader_or_the_reference(found):
    sheet = standings_sheet(found)
    assert sheet.columns[3] == f"minus {found.leader}"
    assert [row[0] for row in sheet.rows] == found.standings["contestant"].tolist()
    assert sheet.rows[0][3] == "–"
    assert all(row[3].startswith("−0.") for row in sheet.rows[1:])
    other = hold(field({"a": 2.0, "b": 1.0}), replace(PLAN, reference="b"))
    assert standings_sheet(other).columns[3] == "minus b"
    assert standings_sheet(other).rows[0][3].startswith("+0.")


def test_costs_are_written_with_units_and_unknown_ones_as_a_dash(found):
    rows = {row[0]: row[1:] for row in cost_sheet(found).rows}
    assert rows["transfer:lora"] == ["70", "1.50 h CPU", "0.6 min CPU", "1\u202f200", "372\u202f497", "1.00 GiB", "3"]
    assert rows["transfer:lp_ft"] == ["–"] * 6 + ["0"]


def test_pairs_of_other_metrics_are_called_exploratory_and_name_their_test(found):
    sheet = pair_sheet(found, "sensitivity")
    assert "exploratory" in sheet.caption
    assert all("McNemar" in row[4] for row in sheet.rows)
    assert "Holm" in pair_sheet(found).caption


def test_a_refused_pair_says_why():
    mixed = hold(field({"a": 2.0, "b": 1.0}), RULED)
    assert {row[-1] for row in pair_sheet(mixed, "specificity").rows} == {"no validation film to choose a threshold on"}


def test_every_sheet_becomes_a_grid(found):
    for sheet in (standings_sheet(found), metric_sheet(found), cost_sheet(found), pair_sheet(found)):
        grid = sheet_grid(sheet)
        assert [entry.text for entry in grid.columns] == list(sheet.columns)
        assert {len(row) for row in grid.rows} == {len(sheet.columns)}
        assert {row[0].kind for row in grid.rows} == {"head"}
