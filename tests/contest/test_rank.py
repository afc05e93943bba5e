# SPDX-License-Identifier: Apache-2.0
from itertools import combinations

import pytest

from medsetu.contest.duel import Duel
from medsetu.contest.rank import beaten, leader, ranks

NAMES = ["a", "b", "c", "d"]


def duels(**p):
    """All pairs of four; a before b before c before d, p = 0.9 unless told."""
    return [Duel(one, other, "auroc", value=0.1, p=p.get(one + other, 0.9)) for one, other in combinations(NAMES, 2)]


def test_nobody_told_apart_is_one_tie():
    found = ranks(NAMES, duels(), alpha=0.05)
    assert [rank.told for rank in found] == ["1-4"] * 4
    assert found[0].tied == ("b", "c", "d")


def test_ties_need_not_pass_on():
    """a beats c and d, b only d: a and b tie, b and c tie, a and c do not."""
    found = {rank.name: rank for rank in ranks(NAMES, duels(ac=0.001, ad=0.001, bd=0.001), alpha=0.05)}
    assert [found[name].told for name in NAMES] == ["1-2", "1-3", "2-4", "3-4"]
    assert found["b"].tied == ("a", "c")


def test_holm_over_all_pairs_decides_not_the_single_p():
    assert beaten(duels(ab=0.02), alpha=0.05) == set()
    assert beaten(duels(ab=0.008), alpha=0.05) == {("a", "b")}
    assert beaten([Duel("a", "b", "auroc", value=-0.1, p=0.01)], alpha=0.05) == {("b", "a")}


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_no_difference_and_no_test_beat_nobody(value):
    p = 0.001 if value == 0 else float("nan")
    assert beaten([Duel("a", "b", "auroc", value=value, p=p)], alpha=0.05) == set()


def test_the_leader_has_the_largest_value():
    assert leader(NAMES, [0.5, 0.7, float("nan"), 0.6]) == "b"
