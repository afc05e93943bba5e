# SPDX-License-Identifier: Apache-2.0
"""The benchmark's truth adds up, each cause moves its own part alone, and the pool is drawn once."""

import numpy as np
import pytest

from medsetu.shift import counterfactual
from medsetu.shift.counterfactual import (
    APPEARANCE,
    BEYOND,
    CASE_MIX,
    CAUSES,
    LABELS,
    MARKER,
    MEASURES,
    PARTS,
    PREVALENCE,
    Knobs,
    oracle_power,
    pool_of,
    true_auroc,
    true_parts,
    truths,
    worlds,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pool")


@pytest.fixture(scope="module")
def pool(folder):
    return pool_of(folder, patients=60, size=32)


def test_every_knob_alone_and_every_pair():
    assert [len(causes) for causes in worlds().values()] == [0] + [1] * 5 + [2] * 10


def test_parts_add_up_in_every_world(pool):
    knobs = Knobs()
    for name, active in worlds().items():
        lost = true_auroc(pool, knobs, active & {PREVALENCE}) - true_auroc(pool, knobs, active)
        assert sum(true_parts(pool, knobs, active).values()) == pytest.approx(lost, abs=1e-12), name


@pytest.mark.parametrize(("cause", "part"), [(CASE_MIX, 0), (APPEARANCE, 1), (MARKER, 1), (LABELS, 2)])
def test_a_cause_alone_moves_its_own_part(pool, cause, part):
    parts = true_parts(pool, Knobs(), frozenset({cause}))
    assert abs(parts[PARTS[part]]) > 0.003
    assert all(value == pytest.approx(0, abs=1e-12) for name, value in parts.items() if name != PARTS[part])


def test_prevalence_alone_moves_no_auroc(pool):
    start = true_auroc(pool, Knobs(), frozenset())
    assert true_auroc(pool, Knobs(), frozenset({PREVALENCE})) == pytest.approx(start, abs=1e-12)


def test_a_side_has_exactly_the_shares_of_its_world(pool):
    weight = pool.weights(Knobs(), frozenset({PREVALENCE, CASE_MIX}))
    bedside = (pool.facts["view"] == "AP").to_numpy()
    assert [weight.sum(), weight[pool.present].sum(), weight[bedside].sum()] == pytest.approx([1, 0.25, 0.7])
    assert weight[pool.present & bedside].sum() == pytest.approx(0.25 * 0.7)  # independent: one cause does not bring the other


def test_a_pool_is_drawn_once_and_depends_on_its_settings(pool, folder, monkeypatch):
    monkeypatch.setattr(counterfactual, "draw_pool", lambda **_: pytest.fail("drawn again"))
    same = pool_of(folder, patients=60, size=32)
    np.testing.assert_array_equal(same.features, pool.features)
    np.testing.assert_array_equal(same.score, pool.score)
    assert same.facts.equals(pool.facts)
    with pytest.raises(pytest.fail.Exception, match="drawn again"):
        pool_of(folder, patients=60, size=32, seed=1)


def test_truths_are_given_for_every_measure_and_the_beyond_is_the_rest(pool):
    for values in truths(pool, Knobs()).values():
        assert tuple(values) == MEASURES
        assert values["gap"] == pytest.approx(values[CASE_MIX] + values[BEYOND], abs=1e-12)


def test_the_oracle_is_sure_of_large_knobs_and_a_knob_that_is_not_turned_has_the_size_of_the_test():
    assert set(oracle_power(Knobs(), patients=150)) == set(CAUSES) - {APPEARANCE}
    assert min(oracle_power(Knobs(), patients=150).values()) > 0.9
    assert oracle_power(Knobs(prevalence=(0.5, 0.5)), patients=150)[PREVALENCE] == pytest.approx(0.025)  # one tail
