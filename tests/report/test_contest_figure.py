# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from contest.cohort import PLAN, field
from medsetu.contest.critical import Critical
from medsetu.contest.tournament import hold
from medsetu.report.contest_figure import critical_panel, difference_forest, standings_forest

PLAIN = replace(PLAN, bootstrap=0)


@pytest.fixture(scope="module")
def found():
    return hold(field({"a": 3.0, "b": 1.0, "c": 1.0}), PLAIN)


def test_the_forest_shows_every_contestant_with_rank_and_interval(found):
    drawn = standings_forest(found, name="forest")
    assert all(f"{name} (rank " in drawn for name in "abc")
    assert drawn.count("AUROC, 95% interval") == 1
    assert standings_forest(found, name="forest") == drawn


def test_differences_are_those_from_the_leader_or_the_reference(found):
    assert all(f"{name} − {found.leader}" in difference_forest(found, name="d") for name in "abc" if name != found.leader)
    bound = hold(field({"a": 3.0, "b": 1.0, "c": 1.0}), replace(PLAIN, reference="b"))
    drawn = difference_forest(bound, name="d")
    assert "a − b" in drawn
    assert "b − a" not in drawn
    assert "within the margin of 0.05" in drawn


def test_nothing_to_draw_is_nothing():
    few = hold(field({"a": 3.0, "b": 1.0}, per_class=8), PLAIN)
    assert difference_forest(few, name="d") == ""
    assert critical_panel(few.critical, name="c") == ""


def test_average_ranks_carry_their_critical_difference():
    drawn = critical_panel(Critical(tuple("vwxyz"), (("a", 1.2), ("b", 1.8), ("c", 3.0)), 1.48, 0.01), name="critical")
    assert all(word in drawn for word in ("critical difference 1.48", "a 1.20", "c 3.00", "average rank over 5 releases"))
