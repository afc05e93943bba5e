# SPDX-License-Identifier: Apache-2.0
"""Common names: a label says of a finding what it implies and no more; tuberculosis is a finding of its own."""

import importlib

import numpy as np
import pandas as pd
import pytest

from fakes import covid_chestxray, inbreast, nih_chestxray14, vindr_cxr
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.place import config_folder
from medsetu.release import cq500, medmnist, rsna_ich_2019
from medsetu.release.covid_chestxray import CovidChestxray
from medsetu.release.harmonised import EXACT, INCOMPARABLE, Harmonised, Name, findings_of, harmonise, kind_of, read_names, translate
from medsetu.release.inbreast import Inbreast
from medsetu.release.nih_chestxray14 import NihChestXray14
from medsetu.release.vindr_cxr import VindrCxr

NAN = float("nan")
KINDS = sorted({name.release for name in read_names()})


def adapter(kind, root):
    module = importlib.import_module(f"medsetu.release.{kind}")
    return next(
        value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__ and hasattr(value, "index")
    )(root)


def labels_of(kind, root):
    if kind == "medmnist":
        return {finding for findings, _, _ in medmnist._SETS.values() for finding in findings}
    return set(adapter(kind, root).findings)


def test_every_published_release_is_in_the_table():
    assert set(KINDS) == {path.stem for path in (config_folder() / "release").glob("*.yaml")} - {"phantom", "table"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_label_of_a_release_has_a_row_and_every_row_a_label(kind, tmp_path):
    assert {name.label for name in read_names() if name.release == kind} == labels_of(kind, tmp_path)


def test_a_bleed_of_a_slice_stands_for_a_scan_only_when_declared(tmp_path):
    """The two head CT releases name their bleeds differently and label different things."""
    sliced = rsna_ich_2019.RsnaIch2019(tmp_path)
    assert "epidural_haemorrhage" not in Harmonised(sliced).findings
    assert "epidural_haemorrhage" in Harmonised(cq500.Cq500(tmp_path)).findings
    assert "epidural_haemorrhage" in Harmonised(sliced, {"epidural_haemorrhage": ["epidural"]}).findings


def test_tuberculosis_is_a_finding_of_its_own():
    """Never pneumonia, never infiltration, and nothing else is tuberculosis."""
    names = [name for name in read_names() if name.relation != INCOMPARABLE]
    assert {name.label for name in names if name.finding == "tuberculosis"} == {"tuberculosis"}
    assert {name.finding for name in names if "tubercul" in name.label} == {
        "tuberculosis",
        "active_tuberculosis",
        "latent_tuberculosis",
        "tuberculosis_sequelae",
    }
    assert {name.relation for name in names if "tubercul" in name.finding} == {EXACT}


def test_an_assessment_is_no_pathology():
    assert {name.relation for name in read_names() if name.label == "suspicious" and name.finding == "malignant"} == {INCOMPARABLE}


@pytest.mark.parametrize(
    ("relation", "expected"),
    [("exact", [1, 0, NAN]), ("broader", [NAN, 0, NAN]), ("narrower", [1, NAN, NAN]), ("unknown", None)],
)
def test_a_label_says_what_it_implies_and_no_more(relation, expected):
    labels = pd.DataFrame({"label": [1.0, 0.0, NAN]})
    found, contradictions = translate(labels, [Name("x", "label", relation, "finding")])
    assert contradictions == {}
    assert ("finding" in found) == (expected is not None)
    if expected:
        assert np.array_equal(found["finding"], expected, equal_nan=True)
    assert ("label" in found) == (relation != "exact")


def test_several_labels_are_joined_and_contradictions_are_counted():
    names = [
        Name("x", "rib", "narrower", "fracture"),
        Name("x", "clavicle", "narrower", "fracture"),
        Name("x", "bone", "broader", "fracture"),
    ]
    labels = pd.DataFrame({"rib": [1.0, 0.0, 0.0, 1.0], "clavicle": [0.0, 1.0, 0.0, 0.0], "bone": [1.0, 1.0, 0.0, 0.0]})
    found, contradictions = translate(labels, names)
    assert np.array_equal(found["fracture"], [1, 1, 0, NAN], equal_nan=True)
    assert contradictions == {"fracture": 1}
    assert list(found["bone"]) == [1.0, 1.0, 0.0, 0.0]


def test_films_of_two_releases_meet_under_common_names(tmp_path):
    """T03: heads are aligned by name; a label that is there on one side only is not made up on the other."""
    nih = Harmonised(NihChestXray14(nih_chestxray14.write(tmp_path / "nih", patients=30, films=1, prevalence=0.3)))
    vindr = Harmonised(VindrCxr(vindr_cxr.write(tmp_path / "vindr")))
    before, world, local = nih.release.index().samples, nih.index().samples, vindr.index().samples
    assert np.array_equal(world["effusion"], before["effusion"])
    lesion = (before["mass"] == 1) | (before["nodule"] == 1)
    assert np.array_equal(world["lung_lesion"], np.where(lesion, 1.0, NAN), equal_nan=True)
    assert "tuberculosis" not in world
    assert local["tuberculosis"].sum() == 9
    assert (local["nodule"].dropna() == 0).all()
    assert set(nih.findings) & set(vindr.findings) >= {"effusion", "nodule", "mass", "lung_lesion", "infiltration", "fibrosis"}
    assert set(nih.findings) <= set(world.columns)


def test_votes_bear_common_names_too(tmp_path):
    index = Harmonised(VindrCxr(vindr_cxr.write(tmp_path))).index()
    assert index.readings["tuberculosis"].sum() == 12
    assert "chest_calcification" in index.readings
    assert "calcification" not in index.readings
    assert set(index.readings.columns) - {"sample_id", "reader"} == set(Harmonised(VindrCxr(tmp_path)).findings)


def test_a_proxy_is_declared_used_and_noted(tmp_path):
    root = inbreast.write(tmp_path)
    plain = Harmonised(Inbreast(root))
    assert "malignant" not in plain.findings
    assert "Not comparable: suspicious and malignant" in plain.index().notes
    sides = harmonise({"global": {"a": Inbreast(root)}}, proxy={"malignant": ["suspicious"]})
    index = sides["global"]["a"].index()
    assert index.samples["malignant"].sum() == plain.index().samples["suspicious"].sum() > 0
    assert "Declared proxy: suspicious stands for malignant" in index.notes
    with pytest.raises(ConfigError, match="no pair of 'dense' and 'malignant'"):
        harmonise({"global": {"a": Inbreast(root)}}, proxy={"malignant": ["dense"]})


def test_name_root_and_kind_stay(tmp_path):
    release = CovidChestxray(covid_chestxray.write(tmp_path), name="own_name")
    wrapped = Harmonised(release)
    assert (wrapped.name, wrapped.root) == ("own_name", tmp_path)
    assert kind_of(wrapped) == kind_of(release) == "covid_chestxray"


def test_a_release_without_rows_keeps_its_names():
    assert findings_of(["own", "effusion"], []) == ("own", "effusion")


@pytest.mark.parametrize(
    "lines",
    [["x,a,same,b"], ["x,a,exact,b", "x,a,exact,c"], ["x,a,exact,b", "x,a,narrower,b"]],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, lines):
    path = tmp_path / "names.csv"
    path.write_text("\n".join(["release,label,relation,finding", *lines]) + "\n")
    with pytest.raises(DataError, match="A relation is unknown"):
        read_names(path)
