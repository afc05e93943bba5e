# SPDX-License-Identifier: Apache-2.0
"""Overlap: none planted, chance; more planted, larger; far apart, refused with both numbers."""

import numpy as np
import pytest
from scipy.stats import norm
from scripts.gate_explain import World

from medsetu.core.errors import ConfigError
from medsetu.shift.measured import Measured, case_mix
from medsetu.shift.overlap import NO_OVERLAP, domain_probability, overlap, patient_folds
from medsetu.shift.plan import ShiftPlan

PLAN = ShiftPlan()


def sides(shift: float, *, seed: int = 0, sizes: tuple[int, int] = (600, 400), each: int = 1):
    cohort = World("toy").cohort(sizes, rng=np.random.default_rng(seed), each=each)
    moved = cohort.local_films.facts.assign(age_years=cohort.local_films.facts["age_years"] + 10 * shift)
    films = cohort.global_films, cohort.local_films
    films[1].facts["age_years"] = moved["age_years"]
    return films


def test_domain_auroc_and_effective_patients_of_known_normals():
    films = sides(1.0)
    found = overlap(case_mix(films), films, plan=PLAN, toward="local")
    assert found.domain.low <= norm.cdf(1 / np.sqrt(2)) <= found.domain.high
    # weights exp(x - 1/2): effective share exp(-1)
    assert found.effective["global", 0.0] == pytest.approx(300 * np.exp(-1), rel=0.35)
    assert found.effective["local", 1.0] == pytest.approx(200)
    assert not found.refused
    assert found.verdict == ""


def test_no_shift_is_chance_and_more_shift_is_larger():
    areas = [overlap(case_mix(films), films, plan=PLAN).domain for films in map(sides, (0.0, 0.5, 1.5))]
    assert areas[0].low <= 0.5
    assert areas[0].value < areas[1].value < areas[2].value


def test_no_overlap_is_refused_with_the_two_numbers():
    films = sides(4.0)
    found = overlap(case_mix(films), films, plan=PLAN)
    assert found.verdict == NO_OVERLAP == "refused: no overlap"
    assert "domain AUROC 0.99" in found.sentence
    assert "effective" in found.sentence
    assert "20 needed" in found.sentence


def test_few_effective_patients_are_refused_though_the_domain_auroc_is_low():
    films = sides(0.0, sizes=(400, 30))
    found = overlap(case_mix(films), films, plan=PLAN, toward="local")
    assert found.domain.value < 0.95
    assert found.worst[0] == "local"
    assert found.refused


def test_films_of_a_patient_stay_in_one_fold_so_memory_is_not_skill():
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(60), 4)
    local = (cluster >= 30).astype(float)
    fold = patient_folds(local, cluster, folds=5, seed=0)
    assert all(np.unique(fold[cluster == code]).size == 1 for code in range(60))
    values = rng.normal(size=(60, 20))[cluster]  # a fingerprint of the patient, nothing of the side
    chance = domain_probability(values, local, cluster=cluster, within=np.zeros(240), seed=0)
    right = ((chance > 0.5) == (local == 1)).mean()
    assert right < 0.7


def test_shared_weights_are_bounded_and_leave_more_than_density_ratios():
    films = sides(1.5)
    values = case_mix(films)
    shared, both = (overlap(values, films, plan=PLAN, toward=name) for name in ("shared", "both"))
    assert shared.effective[shared.worst] > both.effective[both.worst]


def test_nothing_measured_is_chance_and_unknown_directions_are_named():
    films = sides(0.0)
    nothing = Measured(np.zeros((600, 0)), np.zeros((400, 0)), ())
    assert np.isnan(overlap(nothing, films, plan=PLAN).domain.value)  # a constant score is not ranked
    with pytest.raises(ConfigError, match="shared"):
        overlap(nothing, films, plan=PLAN, toward="global")
