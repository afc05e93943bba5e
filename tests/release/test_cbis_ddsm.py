# SPDX-License-Identifier: Apache-2.0
"""CBIS-DDSM: whole films only, patients from the lists, no official split for a woman on both sides."""

import pytest

from fakes.cbis_ddsm import write
from fakes.film import SENTINEL
from medsetu.core.errors import DataError
from medsetu.release.cbis_ddsm import CbisDdsm


def test_films_patients_and_labels(tmp_path):
    samples = CbisDdsm(write(tmp_path)).index().samples
    assert len(samples) == 25
    assert samples["patient_id"].nunique() == 12
    assert not samples["path"].str.contains("_1/").any()  # crops
    assert set(samples["view"]) == {"CC", "MLO"}
    assert set(samples["laterality"]) == {"L"}
    by_patient = samples.set_index("path")["malignant"]
    assert by_patient[by_patient.index.str.contains("P_00003")].tolist() == [1.0, 1.0]


def test_any_malignant_lesion_makes_a_film_malignant(tmp_path):
    samples = CbisDdsm(write(tmp_path)).index().samples
    assert samples.loc[samples["path"].str.contains("P_00002"), "malignant"].tolist() == [1.0, 1.0]  # one benign lesion, one malignant


def test_a_woman_on_both_sides_has_no_official_split(tmp_path):
    index = CbisDdsm(write(tmp_path)).index()
    splits = index.samples.assign(person=index.samples["path"].str.extract(r"(P_\d+)")[0])
    assert set(splits.loc[splits["person"] == "P_00001", "official_split"]) == {""}
    assert set(splits.loc[splits["person"] == "P_00003", "official_split"]) == {"test"}
    assert any("1 patients stand on both sides" in note for note in index.notes)


def test_films_without_row_or_file_are_named(tmp_path):
    root = write(tmp_path)
    (root / "CBIS-DDSM" / "Mass-Training_P_00001_LEFT_CC").rename(root / "CBIS-DDSM" / "Mass-Training_P_99999_LEFT_CC")
    reasons = CbisDdsm(root).index().excluded.set_index("reason")["sample_id"]
    assert reasons["row without image"] == "cbis_ddsm/CBIS-DDSM/Mass-Training_P_00001_LEFT_CC"
    assert "P_99999" in reasons["image without row"]


def test_edited_lists_are_refused(tmp_path):
    root = write(tmp_path)
    path = root / "mass_case_description_train_set.csv"
    text = path.read_text()
    path.write_text(text.replace("BENIGN", "HARMLESS"))
    with pytest.raises(DataError, match="three words"):
        CbisDdsm(root).index()
    path.write_text(text.replace("pathology", "diagnosis", 1))
    with pytest.raises(DataError, match="'pathology' is missing"):
        CbisDdsm(root).index()
    path.unlink()
    with pytest.raises(DataError, match="mass_case"):
        CbisDdsm(root).index()


def test_sentinel_never_appears(tmp_path):
    index = CbisDdsm(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
