# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from contest.cohort import PLAN, contestants, field, rows
from medsetu.contest.operating import decision_duels, operating_of
from medsetu.core.errors import ConfigError
from medsetu.evaluation.decision import Rule
from medsetu.evaluation.mcnemar import mcnemar

RULED = replace(PLAN, rule=Rule("sensitivity", 0.9))


def duels(pair, plan=RULED):
    return decision_duels(*pair, plan, points=tuple(operating_of(one, plan) for one in pair))


def test_mcnemar_counts_the_decisions_at_the_thresholds_of_validation():
    pair = contestants(field({"transfer:a": 2.5, "transfer:b": 0.5}, val=30), RULED)
    decided = []
    for one in pair:
        val = one.validation
        threshold = np.sort(val.loc[val["label"] == 1, "score"])[3]  # 27 of 30 positives
        decided.append((one.matrix.scores[0] >= threshold) == (one.matrix.label == 1))
    for duel, truth in zip(duels(pair), (1, 0), strict=True):
        kept = pair[0].matrix.label == truth
        test = mcnemar(decided[0][kept], decided[1][kept], cluster=pair[0].matrix.cluster[kept])
        assert (duel.value, duel.test_value, duel.test_p) == pytest.approx((test.difference, test.statistic, test.p), nan_ok=True)
        assert "McNemar" in duel.test
        assert duel.low <= duel.value <= duel.high


def test_several_seeds_quote_mcnemar_seed_by_seed():
    pair = contestants(field({"transfer:a": 2.5, "transfer:b": 0.5}, val=30, seeds=3), RULED)
    for duel in duels(pair):
        assert np.isnan(duel.test_p)
        assert "seed by seed: p " in duel.note


def test_the_thresholds_own_validation_widens_the_difference():
    table = field({"transfer:a": 2.0, "transfer:b": 1.0}, val=15)
    pair = contestants(table, RULED)
    fixed, moved = (duels(pair, replace(RULED, bootstrap=size))[0] for size in (0, 200))
    assert fixed.value == moved.value
    assert moved.high - moved.low > fixed.high - fixed.low


def test_kinds_follow_the_labels_an_arm_may_spend_and_are_never_mixed():
    table = field({"global-only": 2.0, "transfer": 1.0}, val=20)
    label = np.tile([1.0, 0.0], 20)
    score = np.random.default_rng(0).random(40)
    there = [rows(arm, label, score, split="val", domain="global", stem="g") for arm in ("global-only", "transfer")]
    pair = contestants(pd.concat([table, *there]), RULED)
    assert [operating_of(one, RULED).kind for one in pair] == ["transported", "refitted"]
    assert all("refused: a transported against a refitted threshold" in duel.note for duel in duels(pair))
    transported = replace(RULED, kind="transported")
    assert [operating_of(one, transported).kind for one in pair] == ["transported", "transported"]
    assert all(duel.value == duel.value for duel in duels(pair, transported))
    with pytest.raises(ConfigError, match=r"'global-only' has no refitted threshold.*Use threshold=transported"):
        operating_of(pair[0], replace(RULED, kind="refitted"))


def test_without_validation_or_rule_there_is_no_operating_point():
    bare = contestants(field({"a": 2.0, "b": 1.0}))
    assert "no validation film" in operating_of(bare[0], RULED).note
    assert all("no validation film" in duel.note and np.isnan(duel.value) for duel in duels(bare))
    ruled = contestants(field({"a": 2.0, "b": 1.0}, val=10))
    assert operating_of(ruled[0], PLAN).note == "no operating point was asked for"


def test_an_operating_point_that_came_with_the_scores_is_used_and_not_mixed_with_others():
    table = field({"a": 2.5, "b": 0.5}, val=20).assign(threshold=0.6)
    pair = contestants(table, RULED)
    points = [operating_of(one, RULED) for one in pair]
    assert [point.kind for point in points] == ["given", "given"]
    called = pair[0].matrix.scores[0] >= 0.6
    assert points[0].estimates["sensitivity"].value == pytest.approx(called[pair[0].matrix.label == 1].mean())
    assert "not established" not in points[0].estimates["sensitivity"].note
    assert all("McNemar" in duel.test for duel in duels(pair))
    half = contestants(table.assign(threshold=table["threshold"].mask(table["arm"] == "b")), RULED)
    assert all("refused: a given against a refitted threshold" in duel.note for duel in duels(half))
    assert operating_of(half[0], replace(RULED, kind="refitted")).kind == "refitted"
