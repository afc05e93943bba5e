# SPDX-License-Identifier: Apache-2.0
"""The table of detection: what is found, what is not and how well it could have been, what is refused."""

import math

import numpy as np
import pandas as pd
import pytest

from fakes.cluster import films
from medsetu.shift.acquisition import STATISTICS
from medsetu.shift.cohort import Cohort
from medsetu.shift.detect import DESCRIPTIVE, FOUND, NOT_FOUND, comparable, rows
from medsetu.shift.multiplicity import holm
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import SHIFT_COLUMNS, shift_table

PLAN = ShiftPlan(permutations=199)


def cohort(shift: float = 0.0, *, counts: tuple[int, int] = (60, 40), features: int = 4, seed: int = 0) -> Cohort:
    sides = [
        films(name, count, features=features, shift=by, seed=seed)
        for name, count, by in zip(("global", "local"), counts, (0.0, shift), strict=True)
    ]
    rng = np.random.default_rng(seed + 1000)
    for side, by in zip(sides, (0.0, shift), strict=True):
        age = 40 + 10 * (rng.normal(size=side.n_patients) + by)
        sex = np.where(rng.random(side.n_patients) < 0.5 - by / 6, "F", "M")
        side.facts["age_years"], side.facts["sex"] = age[side.cluster], sex[side.cluster]
    return Cohort("tuberculosis", "global-only", *sides)


@pytest.fixture(scope="module")
def shifted():
    return rows(cohort(1.5), PLAN)


@pytest.fixture(scope="module")
def same():
    return rows(cohort(0.0, seed=2), PLAN)


def _by(table, measure, subject=None):
    [row] = [row for row in table if row.measure == measure and subject in (None, row.subject)]
    return row


def test_planted_shift_is_found_everywhere(shifted) -> None:
    tested = [row for row in shifted if not math.isnan(row.p)]
    assert {(row.measure, row.subject) for row in tested} == {
        ("BBSD (KS)", "score"),
        ("energy", "age_years"),
        ("Cramér's V", "sex"),
        ("MMD²", "penultimate features"),
        ("C2ST", "penultimate features"),
        ("largest KS", "penultimate features"),
    }
    assert {row.verdict for row in tested} == {FOUND}
    assert [row.p_adjusted for row in tested] == pytest.approx(holm([row.p for row in tested]))


def test_without_shift_none_is_found_and_the_power_is_said(same) -> None:
    tested = [row for row in same if not math.isnan(row.p)]
    assert len(tested) == 6
    assert all(row.verdict.startswith(f"{NOT_FOUND} (power 0.") or row.verdict.startswith(f"{NOT_FOUND} (power 1.") for row in tested)
    assert "for a shift of 0.5 sd)" in _by(same, "energy").verdict
    assert "for a shift of 0.2 sd in every feature)" in _by(same, "MMD²").verdict
    assert "for Cramér's V 0.3)" in _by(same, "Cramér's V").verdict


def test_sizes_are_described_and_not_tested_twice(shifted, same) -> None:
    for table in (shifted, same):
        described = [row for row in table if row.verdict == DESCRIPTIVE]
        assert {row.measure for row in described} == {"wasserstein", "proxy A-distance"}
        assert all(math.isnan(row.p) and math.isnan(row.p_adjusted) for row in described)
    assert _by(shifted, "wasserstein").value == pytest.approx(15, abs=4)
    assert _by(shifted, "wasserstein").unit == "years"
    distance = _by(same, "proxy A-distance")
    assert distance.low < 0 < distance.high
    assert _by(shifted, "proxy A-distance").low > 0


def test_frechet_is_descriptive_with_its_floor_or_refused() -> None:
    refused = _by(rows(cohort(1.5), PLAN), "Fréchet distance")
    assert math.isnan(refused.value)
    assert refused.verdict.startswith("refused: needs more than 40 patients")
    given = _by(rows(cohort(1.5, counts=(100, 60)), PLAN), "Fréchet distance")
    assert given.verdict == DESCRIPTIVE
    assert "same-side floor" in given.note
    assert math.isnan(given.p)


def test_five_patients_are_refused_with_the_number_it_takes() -> None:
    [row] = rows(cohort(counts=(60, 5)), PLAN)
    assert row.verdict == "refused: 5 patients on the local side, 10 are needed"
    assert (row.n_global, row.n_local) == (60, 5)
    assert len(rows(cohort(counts=(60, 10), features=0), PLAN)) > 1


def test_patients_with_other_numbers_of_films_give_one_each() -> None:
    plain = cohort()
    assert comparable(plain, seed=0)[1] == ""
    single = plain.local_films.take(np.unique(plain.local_films.cluster, return_index=True)[1])
    sides, note = comparable(Cohort("tuberculosis", "global-only", plain.global_films, single), seed=0)
    assert [len(side) for side in sides] == [60, 40]
    assert "one film per patient" in note
    found = rows(Cohort("tuberculosis", "global-only", plain.global_films, single), PLAN)
    assert all("one film per patient" in row.note for row in found)


def test_image_statistics_join_the_family() -> None:
    drawn = cohort(features=0)
    rng = np.random.default_rng(3)
    names = np.r_[drawn.global_films.sample_id, drawn.local_films.sample_id]
    table = pd.DataFrame({"sample_id": names} | {name: rng.normal(size=names.size) for name in STATISTICS})
    table.loc[table["sample_id"].str.startswith("local"), "noise"] += 2
    found = [row for row in rows(drawn, PLAN, image_facts=table) if row.measure == "image statistic (KS)"]
    assert [row.subject for row in found] == list(STATISTICS)
    assert [row.subject for row in found if row.verdict == FOUND] == ["noise"]


def test_constant_model_and_separate_sides_work() -> None:
    drawn = cohort(features=0)
    drawn.global_films.scores[:] = drawn.local_films.scores[:] = 0.3
    score = _by(rows(drawn, PLAN), "BBSD (KS)")
    assert (score.value, score.p, score.verdict) == (0.0, 1.0, f"{NOT_FOUND} (the same value everywhere)")
    drawn.local_films.scores[:] = 0.9
    assert _by(rows(drawn, PLAN), "BBSD (KS)").value == 1.0


def test_table_is_reproducible_and_holds_its_columns(same) -> None:
    again = rows(cohort(0.0, seed=2), PLAN)
    assert shift_table(again).equals(shift_table(same))
    assert list(shift_table(same).columns) == list(SHIFT_COLUMNS)
    assert {row.section for row in same} == {"detect"}
    assert all(row.verdict for row in same)


def test_false_claims_of_the_whole_family_stay_below_alpha(monkeypatch) -> None:
    monkeypatch.setattr("medsetu.shift.detect.planted_power", lambda *_, **__: 0.5)
    claims = [any(row.verdict == FOUND for row in rows(cohort(counts=(20, 20), features=2, seed=seed), PLAN)) for seed in range(60)]
    assert sum(claims) <= 8  # 99.5 % of binomial draws with 60 families of size 5 %
