# SPDX-License-Identifier: Apache-2.0
"""Sorting by site is found where prevalence follows the site, and only there; few films are refused with the number it takes."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fakes.marked import of_arrays
from medsetu.evaluation.delong import estimate_from
from medsetu.shift.cohort import Cohort
from medsetu.shift.guard import BOTH, pooled, rows, sorted_by
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import shift_table

PLAN = ShiftPlan(bootstrap=200)


def side(rng, name, *, n=150, confounded=0.0, prevalence=0.5, seeds=1, width=16):
    """Films of three sites; ``confounded`` shifts the share of positives from site to site and the scores with it."""
    site = rng.integers(0, 3, n)
    share = np.clip(prevalence + confounded * (site - 1), 0.05, 0.95)
    label = (rng.random(n) < share).astype(float)
    score = 1 / (1 + np.exp(-(1.5 * label + 4 * confounded * (site - 1) + rng.normal(size=(seeds, n)))))
    facts = pd.DataFrame({"site": np.array(["x", "y", "z"])[site], "view": np.where(rng.random(n) < 0.5, "PA", "AP"), "device": ""})
    features = (rng.normal(size=(n, width)) + 3 * np.eye(width)[site]).astype(np.float32)
    return of_arrays(label, score, side=name, facts=facts, features=features)


def cohort(seed=0, **changes):
    rng = np.random.default_rng(seed)
    return Cohort("tb", "global-only", side(rng, "global", **changes), side(rng, "local", **changes))


def found(lines, measure, subject):
    (row,) = [row for row in lines if (row.measure, row.subject) == (measure, subject)]
    return row


def test_a_site_that_goes_with_the_label_is_found_and_matching_takes_it_away():
    lines = rows(cohort(confounded=0.35), PLAN)
    assert found(lines, "sort by site", "global").low > 0.6
    assert found(lines, "sort by site", "global").verdict.startswith("site tells the classes apart")
    assert found(lines, "sort by view", "global").low < 0.5
    assert found(lines, "auroc lost by matching", "global: site").low > 0
    assert found(lines, "sort by device", "global").verdict == "not identified"


def test_a_site_that_does_not_is_not():
    lines = rows(cohort(confounded=0.0), PLAN)
    for subject in ("global", "local"):
        assert found(lines, "sort by site", subject).verdict == "site does not tell the classes apart"
        assert found(lines, "model above sort by site", subject).low > 0
        assert found(lines, "auroc lost by matching", f"{subject}: site").verdict == "no loss by matching shown"


def test_sides_of_other_prevalence_are_sorted_together():
    """Zech's trap: within each hospital nothing is confounded, together the hospital is the label."""
    rng = np.random.default_rng(1)
    both = Cohort("tb", "global-only", side(rng, "global", prevalence=0.8), side(rng, "local", prevalence=0.2))
    both.local_films.facts["site"] = both.local_films.facts["site"] + "'"
    lines = rows(both, PLAN)
    assert found(lines, "sort by site", BOTH).low > 0.7
    assert found(lines, "sort by site", "global").low < 0.5
    assert (found(lines, "sort by site", BOTH).n_global, found(lines, "sort by site", BOTH).n_local) == (150, 150)


def test_features_that_know_the_site_are_named():
    lines = rows(cohort(), PLAN)
    known = found(lines, "features predict", "global: site")
    assert known.verdict == "the features know the site"
    assert known.unit == "balanced accuracy"
    assert found(lines, "features predict", "global: view").verdict == "not shown that the features know the view"
    assert found(lines, "features predict", f"{BOTH}: side").unit == "AUROC"
    assert found(lines, "features predict", "global: device").verdict == "not identified"


def test_ranking_by_shares_in_sample_would_find_a_site_that_is_none():
    """Many small sites, labels by coin: in-sample shares give an AUROC well above one half, cross-fitted ones do not, nor below."""
    rng = np.random.default_rng(2)
    values, naive = [], []
    for _ in range(40):
        label, site = rng.permutation(np.arange(120) % 2.0), rng.integers(0, 30, 120)
        values.append(sorted_by(label, site, cluster=np.arange(120)).auroc[0])
        share = np.bincount(site, weights=label, minlength=30) / np.maximum(np.bincount(site, minlength=30), 1)
        naive.append(sorted_by(label, site, cluster=np.arange(120), validation=(label, site)).auroc[0])
        assert np.isfinite(share).all()
    assert np.mean(naive) > 0.7
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)


def test_false_alarms_of_sorting_are_few():
    rng, false = np.random.default_rng(3), 0
    for _ in range(200):
        label, site = rng.permutation(np.arange(100) % 2.0), rng.integers(0, 3, 100).astype(str)
        false += estimate_from(sorted_by(label, site, cluster=np.arange(100))).low > 0.5
    assert false <= 10


def test_sides_without_a_shared_seed_are_told_apart_and_not_pooled():
    drawn = cohort()
    apart = rows(replace(drawn, local_films=replace(drawn.local_films, seed=np.array([9]))), PLAN)
    assert found(apart, "auroc", BOTH).verdict == "refused: the sides share no training seed"
    assert found(apart, "auroc", "local").verdict == "the model"


def test_validation_shares_are_used_where_there_are_some():
    rng = np.random.default_rng(4)
    tested, val = side(rng, "global"), side(rng, "global")
    with_val = Cohort("tb", "a", tested, side(rng, "local"), global_val=replace(val, patient=np.char.add("val ", val.patient)))
    lines = rows(with_val, PLAN)
    assert "from validation" in found(lines, "sort by site", "global").method
    assert "other patients" in found(lines, "sort by site", "local").method
    again = rows(replace(with_val, global_val=tested), PLAN)  # cross-fitting: whoever is validated in one fold is tested in another
    assert "other patients" in found(again, "sort by site", "global").method
    turned = sorted_by([0, 1] * 20, ["a", "b"] * 20, cluster=np.arange(40), validation=([1, 0] * 20, ["a", "b"] * 20))
    assert turned.auroc[0] == 0


def test_patients_are_never_on_both_sides_of_a_fold():
    """Each patient a site of his own: films of one patient would give each other's label away."""
    patient = np.repeat(np.arange(40), 4)
    label = (patient % 2).astype(float)
    assert sorted_by(label, patient, cluster=patient).auroc[0] == pytest.approx(0.5)


def test_five_films_are_refused_with_the_number_it_takes():
    rng = np.random.default_rng(5)
    lines = rows(Cohort("tb", "a", side(rng, "global", n=5), side(rng, "local", n=5)), PLAN)
    assert found(lines, "auroc", "global").verdict == "refused: 5 labelled patients, 10 are needed"
    assert all(math.isnan(row.value) for row in lines)


def test_one_class_and_unknown_labels_are_refused():
    rng = np.random.default_rng(6)
    here, there = side(rng, "global"), side(rng, "local")
    here.label[:] = 1.0
    there.label[:] = np.nan
    lines = rows(Cohort("tb", "a", here, there), PLAN)
    assert found(lines, "auroc", "global").verdict == "refused: 0 patients of the rarer class, 10 are needed"
    assert found(lines, "auroc", "local").verdict == "refused: 0 labelled patients, 10 are needed"
    assert found(lines, "features predict", f"{BOTH}: side").value > 0


def test_without_features_and_facts_it_is_said():
    label = np.arange(60) % 2
    films = [of_arrays(label, np.linspace(0.1, 0.9, 60), side=name) for name in ("global", "local")]
    lines = rows(Cohort("tb", "a", *films), PLAN)
    assert found(lines, "features predict", f"{BOTH}: side").note == "no features"
    assert found(lines, "matched auroc", "global").verdict == "not identified"
    assert len(shift_table(lines)) == len(lines)


def test_seeds_of_both_sides_are_paired():
    rng = np.random.default_rng(7)
    first, second = side(rng, "global", seeds=3), side(rng, "local", seeds=2)
    both = pooled(first, second)
    assert both.seed.tolist() == [0, 1]
    assert both.scores.shape == (2, 300)
    assert both.n_patients == 300


def test_the_same_twice():
    again = [shift_table(rows(cohort(confounded=0.2), PLAN)) for _ in range(2)]
    pd.testing.assert_frame_equal(*again)
