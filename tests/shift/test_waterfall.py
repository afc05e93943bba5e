# SPDX-License-Identifier: Apache-2.0
"""Shapley averages: order by order, symmetric, nothing for a player that does nothing, sums that hold."""

from itertools import permutations

import numpy as np
import pytest

from medsetu.shift.waterfall import Part, Waterfall, coalitions, known_parts, play, shapley


def worths(players: tuple[str, ...], *, seed: int = 0, replicates: int = 6):
    rng = np.random.default_rng(seed)
    return {one: rng.normal(size=replicates) for one in coalitions(players)}


def test_equals_the_average_over_every_order():
    players = ("a", "b", "c")
    value = worths(players)
    total = {name: [] for name in players}
    for order in permutations(players):
        before: frozenset[str] = frozenset()
        for name in order:
            total[name].append(value[before | {name}] - value[before])
            before = before | {name}
    assert shapley(players, value) == pytest.approx(np.array([np.mean(total[name], axis=0) for name in players]))


def test_every_replicate_adds_up():
    players = ("a", "b", "c", "d")
    value = worths(players, replicates=500)
    assert shapley(players, value).sum(axis=0) == pytest.approx(value[frozenset(players)] - value[frozenset()], abs=1e-12)


def test_a_player_that_does_nothing_gets_nothing():
    found = play(("a", "idle"), lambda changed: np.array([-2.0 if "a" in changed else 0.0]))
    assert found[:, 0].tolist() == [2.0, 0.0]  # positive is loss


def test_order_matters_before_the_average():
    # one world, two orders: 1 or 3 for the first player
    value = {frozenset(): 0.0, frozenset("a"): 1.0, frozenset("b"): 1.0, frozenset("ab"): 4.0}
    assert shapley(("a", "b"), {key: np.array(one) for key, one in value.items()}).tolist() == [2.0, 2.0]


def test_parts_carry_simultaneous_intervals_and_replicates_stay_out_of_comparison():
    draws = np.random.default_rng(0).normal(size=(3, 2000))
    parts = known_parts(("a", "b", "c"), np.zeros(3), replicate=draws, level=0.95)
    assert all(2.2 < part.high < 2.6 for part in parts.values())  # 1.96 for one part alone
    one = Waterfall("AUROC", tuple(parts.values()), Part("gap", 0.0), 0.9, 0.9, (), draws, draws.sum(axis=0))
    assert one == Waterfall("AUROC", tuple(parts.values()), Part("gap", 0.0), 0.9, 0.9, ())
