# SPDX-License-Identifier: Apache-2.0
"""COVID-19 collection: a tree of causes, the country at the end of a place, counted and never assumed."""

import math

import pytest

from fakes.covid_chestxray import write
from fakes.film import SENTINEL
from medsetu.core.errors import DataError
from medsetu.release.covid_chestxray import CovidChestxray


def case(samples, number):
    return samples[samples["path"].str.contains(f"case-{number:02d}")].iloc[0]


def test_the_tree_of_causes(tmp_path):
    samples = CovidChestxray(write(tmp_path)).index().samples
    covid, pneumonia, tb = case(samples, 0), case(samples, 4), case(samples, 5)
    assert (covid["pneumonia"], covid["viral_pneumonia"], covid["covid_19"], covid["tuberculosis"]) == (1.0, 1.0, 1.0, 0.0)
    assert (case(samples, 2)["viral_pneumonia"], case(samples, 2)["covid_19"]) == (1.0, 0.0)
    assert pneumonia["pneumonia"] == 1.0
    assert math.isnan(pneumonia["covid_19"])
    assert math.isnan(pneumonia["bacterial_pneumonia"])
    assert (tb["tuberculosis"], tb["pneumonia"]) == (1.0, 0.0)  # a finding of its own
    findings = list(CovidChestxray(tmp_path).findings)
    assert (case(samples, 6)[findings] == 0).all()
    assert case(samples, 7)[findings].isna().all()


def test_countries_are_counted_not_assumed(tmp_path):
    index = CovidChestxray(write(tmp_path)).index()
    assert [case(index.samples, number)["country"] for number in (0, 1, 2, 3, 4, 5)] == ["VNM", "CHN", "CAN", "IND", "", ""]
    assert any(note.startswith("2 of 16 films are from India; 4 name no country") for note in index.notes)
    assert any("none stated 8" in note and "CC BY-NC-SA 8" in note for note in index.notes)


def test_slices_volumes_and_lateral_films_stay_out(tmp_path):
    index = CovidChestxray(write(tmp_path)).index()
    assert index.excluded["reason"].value_counts().to_dict() == {"lateral film": 2, "no radiograph": 2, "volume, not a film": 2}
    assert set(index.samples["view"]) == {"PA", "AP"}
    assert set(index.samples["path"].str.rsplit(".", n=1).str[1]) == {"jpeg", "jpg", "png"}
    assert (CovidChestxray(tmp_path, frontal_only=False).index().samples["view"] == "LL").sum() == 2


def test_facts_and_a_repeated_row(tmp_path):
    root = write(tmp_path)
    samples = CovidChestxray(root).index().samples
    assert (case(samples, 0)["age_years"], case(samples, 0)["sex"]) == (65.0, "M")
    assert case(samples, 0)["patient_id"] == case(samples, 1)["patient_id"]
    path = root / "metadata.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(DataError, match="has a row already"):
        CovidChestxray(root).index()


def test_sentinel_never_appears(tmp_path):
    index = CovidChestxray(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
