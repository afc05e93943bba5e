# SPDX-License-Identifier: Apache-2.0
"""Films of both sides: folds joined, facts and features by name, bad tables refused."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.table import PREDICTION_COLUMNS
from medsetu.shift.cohort import Extras, cohort_of


def predictions(**changes: object) -> pd.DataFrame:
    rows = [
        {"sample_id": f"{domain}/{number}", "domain": domain, "label": float(number % 2), "score": 0.1 * number, "seed": seed}
        for domain in ("global", "local")
        for number in range(6)
        for seed in (0, 1)
    ]
    shared = {"run": "r", "arm": "global-only", "fold": -1, "patient_id": None, "split": "test", "finding": "tuberculosis", "site": ""}
    table = pd.DataFrame(rows).assign(**shared, sex="F", age_years=40.0, view="PA", device="", release="toy", seen="")
    return table.assign(**changes)[list(PREDICTION_COLUMNS)]


def test_sides_hold_every_seed_and_image_level_grouping_is_said():
    cohort = cohort_of(predictions(), finding="tuberculosis", arm="global-only")
    assert cohort.global_films.scores.shape == (2, 6)
    assert cohort.local_films.n_patients == 6
    assert cohort.local_films.unit == "by image (no patient ids)"
    assert cohort.global_val is None


def test_folds_of_one_seed_are_joined():
    table = predictions()
    again = table[table["domain"] == "global"].assign(fold=1, score=0.5)
    films = cohort_of(pd.concat([table.assign(fold=0), again]), finding="tuberculosis", arm="global-only").global_films
    assert films.scores.shape == (2, 6)
    assert films.scores[0, 2] == pytest.approx((0.2 + 0.5) / 2)


def test_features_votes_and_facts_come_by_name_not_by_position():
    names = [f"{domain}/{number}" for domain in ("local", "global") for number in (5, 4, 3, 2, 1, 0)]
    values = np.array([[float(name[-1])] for name in names], dtype=np.float32)
    facts = pd.DataFrame({"sample_id": names, "bits": [int(name[-1]) for name in names]})
    votes = pd.DataFrame({"reader_1": [float(name[-1]) for name in names]}, index=names)
    extras = Extras(facts=facts, features={name: row for row, name in enumerate(names)}, values=values, votes=votes)
    films = cohort_of(predictions(), finding="tuberculosis", arm="global-only", extras=extras).local_films
    expected = [float(name[-1]) for name in films.sample_id]
    assert films.features[:, 0].tolist() == films.facts["bits"].tolist() == films.votes[:, 0].tolist() == expected


def test_unknown_labels_stay_but_leave_the_matrix():
    table = predictions()
    table.loc[table["sample_id"] == "local/3", "label"] = np.nan
    films = cohort_of(table, finding="tuberculosis", arm="global-only").local_films
    assert len(films) == 6
    assert films.matrix.label.size == 5


@pytest.mark.parametrize("score", [np.nan, 1.5, -0.1])
def test_impossible_scores_are_counted_and_refused(score):
    with pytest.raises(DataError, match="24 scores"):
        cohort_of(predictions(score=score), finding="tuberculosis", arm="global-only")


def test_unknown_finding_and_arm_are_named():
    with pytest.raises(ConfigError, match="tuberculosis"):
        cohort_of(predictions(), finding="tuberculosi", arm="global-only")
    with pytest.raises(ConfigError, match="global-only"):
        cohort_of(predictions(), finding="tuberculosis", arm="global")


def test_duplicate_rows_and_a_missing_side_are_refused():
    table = predictions()
    with pytest.raises(DataError, match="scored twice"):
        cohort_of(pd.concat([table, table]), finding="tuberculosis", arm="global-only")
    with pytest.raises(DataError, match="local side has no test film"):
        cohort_of(table[table["domain"] == "global"], finding="tuberculosis", arm="global-only")


def test_films_that_a_seed_or_the_features_lack_are_counted():
    table = predictions()
    table = table[~((table["seed"] == 1) & table["sample_id"].isin(["local/1", "local/2"]))]
    extras = Extras(features={"global/0": 0}, values=np.zeros((1, 3), dtype=np.float32))
    cohort = cohort_of(table, finding="tuberculosis", arm="global-only", extras=extras)
    assert len(cohort.local_films) == 4
    assert "2 local films left out: not every seed has scored them" in cohort.local_films.note
    assert "5 global films have no features" in cohort.global_films.note
    assert cohort.global_films.features is None


def test_a_side_that_nobody_read_has_no_votes():
    table = predictions()
    names = sorted(set(table.loc[table["domain"] == "local", "sample_id"]))
    votes = pd.DataFrame({"r1": 1.0, "r2": 0.0, "elsewhere": float("nan")}, index=names)
    cohort = cohort_of(table, finding="tuberculosis", arm="global-only", extras=Extras(votes=votes))
    assert cohort.global_films.votes is None
    assert cohort.local_films.votes.shape == (len(cohort.local_films), 2)
