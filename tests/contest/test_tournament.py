# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from contest.cohort import PLAN, contestants, delong88, field
from medsetu.contest.contestant import Cost
from medsetu.contest.duel import auroc_duel
from medsetu.contest.family import ALL_PAIRS, DECLARED, EXPLORATORY, PAIR_COLUMNS
from medsetu.contest.rank import beaten, ranks
from medsetu.contest.tournament import METRIC_COLUMNS, STANDING_COLUMNS, hold
from medsetu.core.errors import ConfigError
from medsetu.evaluation.decision import Rule
from medsetu.shift.multiplicity import benjamini_hochberg, holm

RULED = replace(PLAN, rule=Rule("sensitivity", 0.9), bootstrap=40)


@pytest.fixture(scope="module")
def found():
    skill = {"transfer:good": 3.5, "transfer:fair": 1.0, "transfer:twin": 1.0}
    costs = {"transfer:good": Cost(hours=2.0, device="GPU", parameters_trained=10.0, runs=3, labels_used=70)}
    return hold(field(skill, per_class=60, seeds=3, val=20), RULED, costs=costs)


def test_the_tables_have_their_columns_and_no_number_without_a_reason(found):
    for table, columns in ((found.standings, STANDING_COLUMNS), (found.metrics, METRIC_COLUMNS), (found.pairs, PAIR_COLUMNS)):
        assert list(table.columns) == list(columns)
    assert len(found.metrics) == 3 * 9
    assert len(found.pairs) == 3 * 6
    assert (found.metrics.loc[found.metrics["value"].isna(), "note"] != "").all()
    assert set(found.metrics["claim"]) == {"this recipe on these films, 3 seeds: descriptive"}


def test_one_that_is_told_apart_from_all_wins(found):
    assert found.winner == found.leader == "transfer:good"
    assert found.standings["rank"].tolist() == ["1", "2-3", "2-3"]
    assert found.standings["tied_with_leader"].tolist() == [True, False, False]


def test_costs_stand_beside_and_unknown_ones_are_nan(found):
    by_name = found.standings.set_index("contestant")
    assert by_name.loc["transfer:good", ["hours", "device", "labels_used"]].tolist() == [2.0, "GPU", 70.0]
    assert math.isnan(by_name.loc["transfer:fair", "hours"])


def test_each_family_is_adjusted_by_itself(found):
    pairs = found.pairs
    decides = pairs["metric"] == "auroc"
    assert set(pairs.loc[decides, "family"]) == {DECLARED}
    assert set(pairs.loc[~decides, "family"]) == {EXPLORATORY}
    np.testing.assert_allclose(pairs.loc[decides, "p_holm"], holm(pairs.loc[decides, "p"]))
    np.testing.assert_allclose(pairs.loc[~decides, "p_bh"], benjamini_hochberg(pairs.loc[~decides, "p"]))
    assert pairs.loc[~decides, ["p_holm", "p_pairs"]].isna().all(axis=None)
    assert pairs.loc[~decides & pairs["value"].notna(), "verdict"].str.startswith("exploratory").all()


def test_a_reference_makes_the_declared_family_smaller_and_the_ranks_stay():
    table = field({"a": 3.0, "b": 1.0, "c": 1.0}, per_class=40)
    free, bound = hold(table, PLAN), hold(table, replace(PLAN, reference="a"))
    pairs = bound.pairs[bound.pairs["metric"] == "auroc"]
    assert pairs["family"].tolist() == [DECLARED, DECLARED, ALL_PAIRS]
    assert pairs.loc[pairs["family"] == DECLARED, "second"].tolist() == ["a", "a"]
    assert bound.standings["rank"].tolist() == free.standings["rank"].tolist()
    with pytest.raises(ConfigError, match=r"'aa' does not take part.*Did you mean"):
        hold(field({"aaa": 1.0, "b": 1.0}), replace(PLAN, reference="aa"))


def test_the_markers_of_delong_1988_to_the_printed_digits():
    found = hold(delong88(), replace(PLAN, reference="kg"))
    pairs = found.pairs[found.pairs["metric"] == "auroc"].set_index(["first", "second"])
    albumin, protein = pairs.loc[("alb", "kg")], pairs.loc[("tp", "kg")]
    assert (albumin["value"], albumin["test_value"], albumin["test_p"]) == pytest.approx((0.010753, 0.012719, 0.910206), abs=5e-7)
    assert (albumin["test_low"], albumin["test_high"]) == pytest.approx((-0.176117, 0.197623), abs=5e-7)
    assert (protein["value"], protein["test_value"], protein["test_p"]) == pytest.approx((-0.077957, 0.555350, 0.456140), abs=5e-7)
    assert found.joint == pytest.approx((2.533978, 2, 0.281678), abs=5e-7)
    assert found.winner == ""


def test_the_size_under_holm_is_larger_than_for_one_pair():
    found = hold(field({"a": 1.5, "b": 1.5, "c": 1.4}, per_class=30), PLAN)
    near = found.pairs[
        (found.pairs["metric"] == "auroc") & ((found.pairs["first"] == found.leader) | (found.pairs["second"] == found.leader))
    ]
    assert found.n_family > near["n_per_class"].max()


def test_rescaled_scores_have_no_losses():
    found = hold(field({"a": 1.5, "b": 1.5}), replace(PLAN, score_kind="rescaled"))
    assert not set(found.metrics["metric"]) & {"brier", "log_loss", "calibration_slope"}


def test_equal_contestants_are_seldom_told_apart():
    """Any false claim among six pairs at 5 %, over 80 cohorts of four contestants and two seeds; gate_compare.py does 4,000."""
    claims, winners = 0, 0
    for seed in range(80):
        made = contestants(field(dict.fromkeys("abcd", 1.5), per_class=26, seeds=2, seed=seed))
        duels = [auroc_duel(*pair, PLAN) for pair in combinations(made, 2)]
        claims += bool(beaten(duels, alpha=0.05))
        winners += any(rank.worst == 1 for rank in ranks(list("abcd"), duels, alpha=0.05))
    assert winners <= claims <= 8  # the 97.5 % quantile of 80 tosses at 5 %
