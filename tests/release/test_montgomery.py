# SPDX-License-Identifier: Apache-2.0
"""Montgomery: one film one patient, unless the reading says otherwise."""

import pytest

from fakes.film import SENTINEL
from fakes.montgomery import write
from medsetu.core.errors import DataError
from medsetu.release.montgomery import Montgomery


def test_labels_and_facts(tmp_path):
    samples = Montgomery(write(tmp_path)).index().samples
    assert (samples["tuberculosis"] == samples["path"].str.contains("_1.png").astype(float)).all()
    assert set(samples["sex"]) == {"F", "M", "O"}
    assert samples["age_years"].tolist() == [20.0 + number for number in range(1, 13)]


def test_the_same_patient_is_one_patient(tmp_path):
    samples = Montgomery(write(tmp_path)).index().samples
    assert samples["patient_id"].nunique() == len(samples) - 1
    first, third = (samples.loc[samples["path"].str.contains(name), "patient_id"].item() for name in ("0001", "0003"))
    assert first == third


def test_a_wrong_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="CXR_png"):
        Montgomery(tmp_path).index()


def test_sentinel_never_appears(tmp_path):
    index = Montgomery(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
