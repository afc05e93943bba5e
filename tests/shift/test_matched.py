# SPDX-License-Identifier: Apache-2.0
"""Pairs within strata: the AUROC of pairs counted by hand, the kernel of one stratum, coverage, and refusals."""

import math

import numpy as np
import pandas as pd
import pytest

from fakes.marked import of_arrays
from medsetu.core.errors import DataError
from medsetu.evaluation.delong import difference_from, estimate_from
from medsetu.evaluation.kernel import kernel_parts
from medsetu.shift.matched import TOGETHER, confounders, rows, stratified_parts
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan()


def world(rng, *, n=200, strata=5, confounding=1.0, skill=1.2, films=1):
    """Scores that follow the label and, as far as the confounder goes with the label, the stratum."""
    stratum = rng.integers(0, strata, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-confounding * (stratum - (strata - 1) / 2)))).astype(float)
    score = skill * label + 0.7 * confounding * stratum + 0.8 * rng.normal(size=n)
    patient = np.repeat(np.arange(n), films)
    return label[patient], score[patient] + 0.6 * (films > 1) * rng.normal(size=n * films), stratum[patient], patient


def by_hand(label, score, stratum):
    wins = [
        (score[i] > score[j]) + 0.5 * (score[i] == score[j])
        for i in np.flatnonzero(label == 1)
        for j in np.flatnonzero(label == 0)
        if stratum[i] == stratum[j]
    ]
    return np.mean(wins)


def test_pairs_are_counted_within_strata_and_ties_are_half():
    rng = np.random.default_rng(0)
    label, score, stratum, _ = world(rng, n=60)
    score = score.round()
    parts = stratified_parts(label, [score, -score], stratum=stratum)
    assert parts.auroc[0] == pytest.approx(by_hand(label, score, stratum))
    assert parts.auroc[1] == pytest.approx(1 - parts.auroc[0])


@pytest.mark.parametrize("films", [1, 3])
def test_one_stratum_is_the_ordinary_auroc(films):
    label, score, _, patient = world(np.random.default_rng(1), n=40, films=films)
    one, plain = stratified_parts(label, score, stratum=np.zeros(label.size), cluster=patient), kernel_parts(label, score, cluster=patient)
    assert one.variance()[0] == pytest.approx(plain.variance()[0])
    assert (one.positive_patients, one.negative_patients, one.n_positive) == (
        plain.positive_patients,
        plain.negative_patients,
        plain.n_positive,
    )
    assert estimate_from(one).low == pytest.approx(estimate_from(plain).low)


def test_unknown_labels_leave_with_their_strata():
    label, score, stratum, patient = world(np.random.default_rng(2), n=60)
    label[::7] = np.nan
    known = ~np.isnan(label)
    whole = stratified_parts(label, score, stratum=stratum, cluster=patient)
    assert whole.auroc[0] == stratified_parts(label[known], score[known], stratum=stratum[known], cluster=patient[known]).auroc[0]


def test_no_pair_is_nan():
    parts = stratified_parts([1, 0, 1], [0.1, 0.2, 0.3], stratum=["a", "b", "a"])
    assert np.isnan(parts.auroc[0])
    assert parts.n_positive == 0
    with pytest.raises(DataError, match="strata"):
        stratified_parts([1, 0], [0.1, 0.2], stratum=["a"])


@pytest.mark.parametrize(("n", "strata", "films"), [(60, 5, 1), (200, 20, 1), (100, 5, 3)])
def test_intervals_cover(n, strata, films):
    size = 1.0 if strata < 20 else 0.3
    label, score, stratum, patient = world(np.random.default_rng(0), n=50_000, strata=strata, confounding=size, films=films)
    truth = stratified_parts(label, score, stratum=stratum).auroc[0]
    lost = kernel_parts(label, score).auroc[0] - truth
    assert lost > 0.03
    inside, inside_lost, cohorts = 0, 0, 0
    rng = np.random.default_rng(3)
    for _ in range(120):
        label, score, stratum, patient = world(rng, n=n, strata=strata, confounding=size, films=films)
        parts = stratified_parts(label, score, stratum=stratum, cluster=patient)
        found = estimate_from(parts)
        if math.isnan(found.low):
            continue
        cohorts += 1
        inside += found.low <= truth <= found.high
        difference = difference_from(kernel_parts(label, score, cluster=patient), parts, paired=True)
        inside_lost += difference.low <= lost <= difference.high
    assert cohorts > 90
    assert min(inside, inside_lost) / cohorts > 0.91


def test_few_effective_partners_are_fewer_than_patients():
    label = np.r_[np.ones(30), np.zeros(30)]
    stratum = np.r_[np.zeros(20), np.arange(1, 11), np.zeros(20), np.arange(1, 11)]
    parts = stratified_parts(label, np.arange(60.0), stratum=stratum)
    assert parts.n_positive == 30
    assert parts.positive_patients == 20


def facts_of(stratum):
    return pd.DataFrame({"view": np.where(stratum % 2, "PA", "AP"), "device": stratum.astype(str), "sex": "F"})


def found(lines, measure, name):
    (row,) = [row for row in lines if (row.measure, row.subject) == (measure, f"global: {name}")]
    return row


def test_a_confounder_takes_auroc_away_and_chance_does_not():
    label, score, stratum, patient = world(np.random.default_rng(4), n=400)
    lines = rows(of_arrays(label, 1 / (1 + np.exp(-score)), patient=patient, facts=facts_of(stratum)), PLAN, counts=(400, 0))
    assert found(lines, "auroc lost by matching", "device").low > 0
    assert found(lines, "auroc lost by matching", "device").verdict == "part of the AUROC comes from this fact"
    assert found(lines, "matched auroc", TOGETHER).value < kernel_parts(label, score).auroc[0]
    label, score, stratum, patient = world(np.random.default_rng(4), n=400, confounding=0.0)
    lines = rows(of_arrays(label, 1 / (1 + np.exp(-score)), patient=patient, facts=facts_of(stratum)), PLAN, counts=(400, 0))
    assert found(lines, "auroc lost by matching", "device").verdict == "no loss by matching shown"


def test_too_few_pairs_are_refused_with_the_number_it_takes():
    label = np.r_[np.ones(20), np.zeros(20)]
    facts = pd.DataFrame({"view": np.where(label == 1, "AP", "PA")})
    (line,) = rows(of_arrays(label, np.linspace(0.1, 0.9, 40), facts=facts), PLAN, counts=(40, 0))
    assert line.verdict == "refused: 0 positive and 0 negative patients (effective) have a partner, 10 of each are needed"
    assert math.isnan(line.value)


def test_no_fact_is_not_identified():
    (line,) = rows(of_arrays([0, 1] * 10, np.linspace(0.1, 0.9, 20)), PLAN, counts=(20, 0))
    assert (line.verdict, line.note) == ("not identified", "no fact varies")


def test_numbers_become_bands_and_unknown_is_its_own():
    facts = pd.DataFrame(
        {"age_years": [10, 30, 50, 70, np.nan], "file_bytes": [1.0, 2, 2, 1, 1], "height": 10.0, "width": 10.0, "site": "", "release": "a"}
    )
    found = confounders(facts)
    assert list(found) == ["age band", "file size"]
    assert np.unique(found["age band"]).size == 5
    assert found["file size"][[0, 3]].tolist() == found["file size"][[4, 0]].tolist()
    many = confounders(pd.DataFrame({"file_bytes": np.arange(100.0)}))["file size"]
    assert np.unique(many, return_counts=True)[1].tolist() == [20] * 5
