# SPDX-License-Identifier: Apache-2.0
"""Side and view from the head of a file, whose pixels may be missing."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fakes.dicom import dataset, to_bytes
from fakes.film import SENTINEL, film
from medsetu.core.errors import DataError
from medsetu.reader.heading import read_patient, read_side_and_view


def coded(code):
    item = Dataset()
    item.CodeValue = code
    return Sequence([item])


def test_side_and_coded_view_are_read_without_pixels(tmp_path):
    picture = (film(np.random.default_rng(0)) * 255).astype(np.uint8)
    data = to_bytes(dataset(picture, bits=8, ImageLaterality="R", ViewCodeSequence=coded("399368009")))
    path = tmp_path / "1-1.dcm"
    path.write_bytes(data[:-2000])
    assert read_side_and_view(path) == ("R", "MLO")


def test_what_is_no_dicom_is_refused_and_not_quoted(tmp_path):
    path = tmp_path / "1-1.dcm"
    path.write_text(SENTINEL)
    with pytest.raises(DataError, match="heading reader") as caught:
        read_side_and_view(path, sample_id="cmmd/1-1.dcm")
    assert SENTINEL not in str(caught.value)


def test_the_patient_is_read_for_a_pseudonym(tmp_path):
    path = tmp_path / "1.dcm"
    path.write_bytes(to_bytes(dataset(np.zeros((4, 4), np.uint8), bits=8, PatientID=" P17 ")))
    assert read_patient(path) == "P17"
    path.write_bytes(to_bytes(dataset(np.zeros((4, 4), np.uint8), bits=8, PatientID=None)))
    assert read_patient(path) == ""
    path.write_text(SENTINEL)
    with pytest.raises(DataError, match="heading reader"):
        read_patient(path, sample_id="r/1.dcm")
