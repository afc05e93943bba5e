# SPDX-License-Identifier: Apache-2.0
"""PadChest: lists in cells, inverted films, rows to exclude, and tuberculosis apart from its sequelae."""

import csv
import math

import pandas as pd
import pytest

from fakes.film import SENTINEL
from fakes.padchest import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.reader.image import read_image
from medsetu.release.padchest import PadChest


def case(samples, stem):
    return samples[samples["path"].str.contains(stem)].iloc[0]


def test_labels_are_read_from_lists(tmp_path):
    """T04: what a label says of its parents is kept; sequelae are no tuberculosis."""
    samples = PadChest(write(tmp_path)).index().samples
    ill = case(samples, "film01")
    assert (ill["atelectasis"], ill["effusion"], ill["tuberculosis_sequelae"]) == (1.0, 1.0, 1.0)
    assert (ill["tuberculosis"], ill["pneumonia"], ill["infiltrates"]) == (0.0, 0.0, 0.0)
    assert (case(samples, "film00")[list(PadChest(tmp_path).findings)] == 0).all()
    assert case(samples, "odd09")["tuberculosis"] == 1.0


def test_what_says_nothing_is_unknown(tmp_path):
    release = PadChest(write(tmp_path))
    samples = release.index().samples
    for stem in ("odd06", "odd07"):
        assert case(samples, stem)[list(release.findings)].isna().all()
    vague = case(samples, "odd08")
    assert math.isnan(vague["pulmonary_mass"])  # "mass" does not say of what
    assert vague["nodule"] == 0.0


def test_what_is_left_out_is_named(tmp_path):
    excluded = PadChest(write(tmp_path)).index().excluded
    stems = excluded["sample_id"].str.extract(r"_(odd\d+)\.png")[0]
    assert dict(zip(stems, excluded["reason"], strict=True)) == {
        "odd00": "lateral film",
        "odd01": "not a frontal film",
        "odd02": "the release says to exclude it",
        "odd03": "the release says to exclude it",
        "odd04": "inverted grey values, which the file does not tell",
        "odd05": "labels cannot be read",
    }
    lateral = PadChest(tmp_path, frontal_only=False).index().samples
    assert (case(lateral, "odd00")["view"], case(lateral, "odd01")["view"]) == ("LL", "")


def test_facts(tmp_path):
    samples = PadChest(write(tmp_path)).index().samples
    first = case(samples, "film00")
    assert (first["age_years"], first["sex"], first["view"], first["country"]) == (84.0, "F", "PA", "ESP")
    assert math.isnan(case(samples, "odd08")["age_years"])
    assert (case(samples, "odd09")["sex"], case(samples, "odd07")["view"]) == ("", "AP")
    assert samples["patient_id"].nunique() < len(samples)


def test_films_without_a_study_are_no_study_together(tmp_path):
    root = write(tmp_path, packed=False)
    path = next(root.glob("*.csv"))
    with path.open(newline="") as stream:
        head, *rows = csv.reader(stream)
    place = head.index("StudyID")
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([head, *([*row[:place], "", *row[place + 1 :]] for row in rows)])
    assert PadChest(root).index().samples["study_id"].isna().all()


def test_films_that_a_network_labelled_can_be_left_out(tmp_path):
    index = PadChest(write(tmp_path), physicians_only=True).index()
    assert (index.excluded["reason"] == "labelled by a network").sum() == 1
    assert index.notes[0] == "Labels were set by physicians"


def test_any_label_of_the_list_can_be_a_finding(tmp_path):
    release = PadChest(write(tmp_path), also=["Chronic  changes"])
    samples = release.index().samples
    assert release.findings[-1] == "chronic_changes"
    assert (case(samples, "film01")["chronic_changes"], case(samples, "film00")["chronic_changes"]) == (1.0, 0.0)
    assert math.isnan(case(samples, "odd06")["chronic_changes"])
    with pytest.raises(ConfigError, match="chronic changes"):
        PadChest(tmp_path, also=["chronic change"]).index()
    for twice in (["pneumonia"], ["chronic changes", "chronic changes"]):
        with pytest.raises(ConfigError, match="already"):
            PadChest(tmp_path, also=twice)


def test_the_list_may_be_unpacked_but_must_be_there(tmp_path):
    packed = PadChest(write(tmp_path / "a")).index().samples
    pd.testing.assert_frame_equal(PadChest(write(tmp_path / "b", packed=False)).index().samples, packed)
    next((tmp_path / "b").glob("*.csv")).unlink()
    with pytest.raises(DataError, match="PADCHEST"):
        PadChest(tmp_path / "b").index()


def test_sixteen_bits_are_read_and_a_broken_film_is_refused_by_the_reader(tmp_path):
    index = PadChest(write(tmp_path, broken=True)).index()
    pictures = {}
    for path in index.samples["path"][:6]:
        try:
            pictures[path] = read_image(tmp_path / path).facts.bits
        except DataError:
            pictures[path] = 0
    assert sorted(pictures.values()) == [0, 16, 16, 16, 16, 16]


def test_sentinel_never_appears(tmp_path):
    index = PadChest(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
