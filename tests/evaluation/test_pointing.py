# SPDX-License-Identifier: Apache-2.0
"""The pointing game by hand, no alarm for maps that know nothing, and an alarm for maps that know the place."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.table import RESULT_COLUMNS
from medsetu.evaluation.pointing import METRICS, look, pointing_results, usual_place

SIDE = 16
FILM = np.ones((SIDE, SIDE), bool)


def box(row, column, size=4):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[row : row + size, column : column + size] = True
    return mask


def test_one_film_by_hand():
    heat = np.zeros((SIDE, SIDE), np.float32)
    heat[5, 6], heat[0, 0] = 1.0, 0.5
    film = FILM.copy()
    film[:, :4] = False  # padding is no film
    found = look(heat, box(4, 4), film=film)
    assert found == {"hit": 1.0, "energy": pytest.approx(2 / 3), "area": pytest.approx(16 / 192), "middle": 0.0}
    assert look(heat, box(7, 7), film=film) | {"energy": 0.0} == {"hit": 0.0, "energy": 0.0, "area": pytest.approx(16 / 192), "middle": 1.0}


@pytest.mark.parametrize(("cell", "middle"), [((0, 0), (2, 2)), ((3, 3), (14, 14)), ((0, 2), (2, 10)), ((2, 3), (10, 14))])
def test_a_coarse_map_that_was_grown_points_to_the_middle_of_its_cell(cell, middle):
    """Four by four cells of four pixels, grown as networks' maps are: beyond the outermost middles the border repeats."""
    coarse = np.full((4, 4), 0.2, np.float32)
    coarse[cell] = 1.0
    at = np.clip((np.arange(SIDE) + 0.5) / 4 - 0.5, 0, 3)
    low = np.minimum(at.astype(int), 2)
    weight = np.zeros((SIDE, 4))
    weight[np.arange(SIDE), low], weight[np.arange(SIDE), low + 1] = 1 - (at - low), at - low
    heat = (weight @ coarse @ weight.T).astype(np.float32)
    assert look(heat, box(middle[0] - 1, middle[1] - 1, size=2), film=FILM)["hit"] == 1


def test_no_hit_at_all_is_no_proof_of_none():
    table = played(np.random.default_rng(0), films=20, knows=False).assign(hit=0.0, usual=0.0)
    found = results(table)
    assert found.loc["pointing_game", ["value", "low"]].tolist() == [0, 0]
    assert 0.15 < found.loc["pointing_game", "high"] < 0.2  # Wilson, 0 of 20
    assert np.isnan(found.loc["pointing_over_usual_place", "low"])
    assert "all films are alike" in found.loc["pointing_over_usual_place", "note"]


def test_an_empty_map_is_a_miss_without_energy():
    found = look(np.zeros((SIDE, SIDE), np.float32), box(0, 0), film=FILM)  # the first pixel is no choice
    assert found["hit"] == 0
    assert np.isnan(found["energy"])


def test_a_patient_does_not_teach_the_usual_place_of_their_own_films():
    masks = [box(0, 0), box(0, 0), box(8, 8)]
    assert usual_place(masks, patient=["a", "a", "b"]).tolist() == [0.0, 0.0, 0.0]
    assert usual_place(masks, patient=["a", "c", "b"]).tolist() == [0.5, 0.5, 0.0]  # two places are drawn equally often
    assert np.isnan(usual_place(masks[:2], patient=["a", "a"])).all()


def played(rng, *, films, knows):
    """Films with lesions mostly in one corner; a map that knows nothing points anywhere."""
    masks = [box(*rng.integers(0, 5, 2)) if rng.random() < 0.7 else box(*rng.integers(0, 12, 2)) for _ in range(films)]
    told = []
    for number, mask in enumerate(masks):
        heat = rng.random((SIDE, SIDE)).astype(np.float32)
        heat = heat + 2 * mask.astype(np.float32) if knows else heat
        told.append({"sample_id": f"s{number}", "domain": "local", "finding": "mass", **look(heat, mask, film=FILM)})
    return pd.DataFrame(told).assign(usual=usual_place(masks, patient=[f"p{number}" for number in range(films)]))


def results(table, **options):
    patient = pd.Series({name: f"p{name[1:]}" for name in table["sample_id"]})
    return pointing_results(table, patient, run="r", arm="a", **options).set_index("metric")


def test_no_alarm_for_maps_that_know_nothing_and_one_for_those_that_do():
    rng = np.random.default_rng(0)
    alarms = {"pointing_over_anywhere": 0, "energy_over_anywhere": 0, "pointing_over_usual_place": 0}
    for run in range(100):
        found = results(played(rng, films=30, knows=False), replicates=200, seed=run)
        for metric in alarms:
            alarms[metric] += bool(found.loc[metric, "low"] > 0)
    assert max(alarms.values()) <= 8  # 2.5 expected
    assert alarms["pointing_over_usual_place"] == 0  # the corner beats a blind guess
    found = results(played(rng, films=30, knows=True), replicates=200)
    assert found.loc["pointing_game", "value"] == 1
    assert (found.loc[["energy_over_anywhere", "pointing_over_usual_place"], "low"] > 0).all()
    assert found.loc["pointing_over_anywhere", "value"] == 1 - 16 / SIDE**2
    assert "all films are alike" in found.loc["pointing_over_anywhere", "note"]  # every map hits, every box has one size


def test_rows():
    table = played(np.random.default_rng(1), films=5, knows=True)
    table.loc[0, "energy"] = np.nan
    found = results(table)
    assert set(found.index) == set(METRICS)
    assert set(RESULT_COLUMNS) == {"metric", *found.columns}
    assert found.loc["energy_inside", "n_samples"] == 4
    assert found.loc["pointing_game", ["n_samples", "n_patients", "unit", "split", "group"]].tolist() == [5, 5, "patient", "test", "all"]
    assert found["note"].str.contains("1 maps were empty").all()
    alone = pointing_results(table, pd.Series(dtype=str), run="r", arm="a")
    assert set(alone["unit"]) == {"image"}
    assert alone["note"].str.contains("no patient ids").all()
