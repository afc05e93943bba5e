# SPDX-License-Identifier: Apache-2.0
"""The phantom as a release: written once, recognised afterwards, never over anything else."""

import json

import numpy as np
import pandas as pd
import pydicom
import pytest
import yaml

from fakes.film import SENTINEL
from fakes.phantom import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.place import config_folder
from medsetu.core.run import sha256_file
from medsetu.reader.image import read_image
from medsetu.release.phantom import Phantom

SMALL = {"patients": 6, "size": 32}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    phantom = Phantom(tmp_path_factory.mktemp("phantom"), patients=24, size=64, country="local", knobs={"monochrome1_share": 0.5})
    phantom.index()
    return phantom


def test_index_has_patients_with_several_studies(release):
    samples = release.index().samples
    films = samples.groupby("patient_id").size()
    assert len(films) == 24
    assert films.between(1, 4).all()
    assert (films > 1).mean() > 0.3
    assert samples["study_id"].is_unique
    assert set(samples["country"]) == {"XLO"}
    assert release.index().notes


def test_labels_are_joined_by_image_id(release):
    """T02: shuffling a table changes nothing."""
    samples = release.index().samples
    truth = release.truth().sample(frac=1, random_state=0).set_index("image_id")
    for finding in release.findings:
        expected = [truth.loc[path.removeprefix("images/").removesuffix(".dcm"), f"{finding}_label"] for path in samples["path"]]
        assert samples[finding].tolist() == expected


def test_films_are_read_as_the_header_says(release):
    truth = release.truth()
    for row in truth.head(12).itertuples():
        picture = read_image(release.root / "images" / f"{row.image_id}.dcm")
        facts = picture.facts
        assert picture.pixels.shape == (row.rows, row.rows)
        assert (facts.sex, facts.age_years, facts.view) == ("F" if row.female else "M", row.age_years, "AP" if row.ap else "PA")
        assert facts.color_mode == ("MONOCHROME1" if row.monochrome1 else "MONOCHROME2")
        assert facts.spacing_mm == pytest.approx(400 / row.rows, rel=1e-4)
        assert facts.modality in ("CR", "DX")
        assert 0 < picture.pixels.mean() < 1
        assert row.sha256 == sha256_file(release.root / "images" / f"{row.image_id}.dcm")


def test_photometric_pair_is_equal(tmp_path):
    """T22: the same phantom stored as MONOCHROME1 and as MONOCHROME2 reads to equal arrays."""
    pair = [Phantom(tmp_path / str(share), **SMALL, knobs={"monochrome1_share": share}) for share in (0, 1)]
    for path in pair[0].index().samples["path"]:
        first, second = (read_image(phantom.root / path) for phantom in pair if phantom.index())
        assert (first.facts.color_mode, second.facts.color_mode) == ("MONOCHROME2", "MONOCHROME1")
        np.testing.assert_allclose(first.pixels, second.pixels, atol=1e-6)


def test_equal_settings_give_equal_bytes(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        Phantom(folder, **SMALL).index()
    one, two = ({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in folders)
    assert one == two
    assert len(one) > 6


def test_other_seeds_and_countries_are_other_people(tmp_path):
    plain = Phantom(tmp_path / "0", **SMALL)
    preset = dict(plain.cohort.country.__dict__)
    others = [Phantom(tmp_path / "1", **SMALL, seed=1), Phantom(tmp_path / "2", **SMALL, country="local", knobs=preset)]
    paths = set(plain.index().samples["path"])
    pictures = {sha256_file(plain.root / path) for path in paths}
    for other in others:
        samples = other.index().samples
        assert paths.isdisjoint(samples["path"])
        assert set(plain.index().samples["patient_id"]).isdisjoint(samples["patient_id"])
        assert pictures.isdisjoint({sha256_file(other.root / path) for path in samples["path"]})


def test_exposure_leaves_people_labels_and_lesions_as_they_were(tmp_path):
    one, other = (Phantom(tmp_path / str(dose), **SMALL, knobs={"exposure": dose}) for dose in (1.0, 0.5))
    samples = one.index().samples
    pd.testing.assert_frame_equal(samples, other.index().samples)
    kept = one.truth().columns.drop(["exposure", "sha256"])
    pd.testing.assert_frame_equal(one.truth()[kept], other.truth()[kept])
    for path in samples["path"]:
        brighter, darker = read_image(other.root / path).pixels, read_image(one.root / path).pixels
        assert brighter.mean() > darker.mean()
        assert np.corrcoef(brighter.ravel(), darker.ravel())[0, 1] > 0.97


def test_a_second_index_writes_nothing(tmp_path):
    phantom = Phantom(tmp_path, **SMALL)
    phantom.index()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    phantom.index()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"patients": 7}, {"size": 48}, {"country": "local"}, {"knobs": {"exposure": 0.5}}])
def test_another_phantom_in_the_folder_is_refused(tmp_path, change):
    Phantom(tmp_path, **SMALL).index()
    named = {"country": "population", "knobs": "exposure"}.get(*change, *change)
    with pytest.raises(
        DataError, match=rf"Another phantom lies in this folder; it differs in {named}.*Remove that folder, or set another root"
    ):
        Phantom(tmp_path, **SMALL | change).index()


def test_a_whole_number_is_the_same_knob(tmp_path):
    phantom = Phantom(tmp_path, **SMALL, knobs={"exposure": 1})
    phantom.index()
    assert len(Phantom(tmp_path, **SMALL, knobs={"exposure": 1.0}).index().samples) == len(phantom.index().samples)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="Something other than this phantom"):
        Phantom(tmp_path, **SMALL).index()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_changed_label_table_is_refused(tmp_path):
    phantom = Phantom(tmp_path, **SMALL)
    phantom.index()
    (tmp_path / "labels.csv").write_text("image_id\n")
    with pytest.raises(DataError, match=r"'labels.csv' of the phantom is missing or was changed"):
        phantom.index()


def test_missing_and_stray_films_are_listed(tmp_path):
    phantom = Phantom(tmp_path, **SMALL)
    samples = phantom.index().samples
    (tmp_path / samples["path"].iloc[0]).rename(tmp_path / "images" / "stray.dcm")
    index = phantom.index()
    assert dict(zip(index.excluded["sample_id"], index.excluded["reason"], strict=True)) == {
        samples["sample_id"].iloc[0]: "label row without image",
        "phantom/images/stray.dcm": "image without label row",
    }
    assert len(index.samples) == len(samples) - 1


def test_settings_are_checked_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'local'"):
        Phantom(tmp_path / "new", country="locall")
    with pytest.raises(ConfigError, match="Did you mean 'exposure'"):
        Phantom(tmp_path / "new", knobs={"exposur": 1})
    for setting in ({"patients": 0}, {"seed": -1}, {"size": 8}, {"patients": True}):
        with pytest.raises(ConfigError, match="Give a whole number"):
            Phantom(tmp_path / "new", **setting)
    assert not (tmp_path / "new").exists()


def test_truth_states_the_knobs(release):
    statement = json.loads((release.root / "truth.json").read_text())
    assert statement["knobs"]["monochrome1_share"] == 0.5
    assert (statement["population"], statement["seed"], statement["films"]) == ("local", 0, len(release.truth()))
    assert statement["sha256"]["truth.csv"] == sha256_file(release.root / "truth.csv")


def test_config_names_the_settings():
    config = yaml.safe_load((config_folder() / "release" / "phantom.yaml").read_text())
    assert config.pop("_target_") == f"{Phantom.__module__}.{Phantom.__qualname__}"
    assert set(config) == set(Phantom.__dataclass_fields__)


def test_the_fake_carries_the_sentinel_and_no_table_repeats_it(tmp_path):
    root = write(tmp_path, patients=4)
    index = Phantom(root, patients=4, size=64).index()
    names = [str(pydicom.dcmread(root / path, stop_before_pixels=True).PatientName) for path in index.samples["path"]]
    assert names.count(SENTINEL) == 1
    for table in (index.samples, index.excluded, pd.read_csv(root / "labels.csv"), pd.read_csv(root / "truth.csv")):
        assert SENTINEL not in table.to_csv()
