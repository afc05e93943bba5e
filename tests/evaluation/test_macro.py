# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from evaluation.cohort import films, scored
from medsetu.evaluation.delong import auroc_estimate
from medsetu.evaluation.macro import macro_auroc
from medsetu.evaluation.score import score_matrix


def _matrices(*, seeds: int = 1, n: int = 100, per_patient: int = 1, same: bool = False):
    found = {}
    for index, finding in enumerate(("tuberculosis", "effusion")):
        facts = films("local", n, seed=0 if same else index, per_patient=per_patient, finding=finding)
        rows = [scored(facts, arm="a", seed=seed, fold=-1, split="test") for seed in range(seeds)]
        found[finding] = score_matrix(pd.concat(rows))
    return found


def test_the_mean_of_one_finding_twice_is_that_finding():
    matrices = _matrices(same=True)
    single = auroc_estimate(matrices["effusion"].label, matrices["effusion"].scores)
    twice = macro_auroc({"one": matrices["effusion"], "two": matrices["effusion"]})
    assert twice.value == pytest.approx(single.value)
    assert twice.high - twice.low == pytest.approx(single.high - single.low, rel=0.03)  # not narrower by the root of two


def test_independent_findings_narrow_the_mean():
    matrices = _matrices()
    singles = [auroc_estimate(one.label, one.scores) for one in matrices.values()]
    found = macro_auroc(matrices)
    assert found.value == pytest.approx(np.mean([one.value for one in singles]))
    assert found.high - found.low < np.mean([one.high - one.low for one in singles])
    assert found.n_patients == 100


def test_one_undefined_finding_makes_it_undefined():
    matrices = _matrices()
    found = macro_auroc(matrices | {"rare": matrices["effusion"].take(np.arange(16))})
    assert np.isnan(found.value)
    assert found.note == "macro undefined: finding rare has fewer than 10 positive or negative patients"


def test_seeds_and_clusters_are_taken_in():
    found = macro_auroc(_matrices(seeds=3, per_patient=2))
    assert found.n_patients == 50
    assert "3 seeds: descriptive" in found.note
    assert found.low < found.value < found.high
