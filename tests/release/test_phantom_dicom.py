# SPDX-License-Identifier: Apache-2.0
"""Films are real DICOM: pydicom reads them without a warning, and every UID is valid, stable and of the example root."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from medsetu.release.phantom_dicom import UID_ROOT, Header, encode, uid

HEADER = Header(
    image_id="global-0-00001-0",
    patient_id="PH-global-0-00001",
    study_id="study-global-0-00001-0",
    modality="DX",
    model="Phantom DX 1",
    sex="F",
    age_years=47,
    view="PA",
    day=40,
    exposure=1.0,
    monochrome1=False,
    marker=True,
)
PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8) * 65


@pytest.mark.parametrize(("modality", "storage"), [("CR", "1.2.840.10008.5.1.4.1.1.1"), ("DX", "1.2.840.10008.5.1.4.1.1.1.1")])
@pytest.mark.parametrize("monochrome1", [False, True])
def test_a_film_comes_back_as_written(modality, storage, monochrome1):
    content = encode(PIXELS, replace(HEADER, modality=modality, monochrome1=monochrome1))
    film = pydicom.dcmread(io.BytesIO(content))
    np.testing.assert_array_equal(film.pixel_array, PIXELS)
    assert film.SOPClassUID == film.file_meta.MediaStorageSOPClassUID == storage
    assert film.SOPInstanceUID == film.file_meta.MediaStorageSOPInstanceUID
    assert film.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation) == (16, 12, 11, 0)
    assert film.PhotometricInterpretation == ("MONOCHROME1" if monochrome1 else "MONOCHROME2")
    assert (film.PatientAge, film.PatientSex, film.ViewPosition, film.BurnedInAnnotation) == ("047Y", "F", "PA", "YES")
    assert [float(value) for value in film.ImagerPixelSpacing] == [50.0, 50.0]
    assert film.StudyDate == "20200210"


def test_uids_are_valid_stable_and_of_the_example_root():
    film = pydicom.dcmread(io.BytesIO(encode(PIXELS, HEADER)))
    uids = [film.StudyInstanceUID, film.SeriesInstanceUID, film.SOPInstanceUID, film.file_meta.ImplementationClassUID]
    assert len(set(uids)) == 4
    assert all(one.is_valid and one.startswith(UID_ROOT) for one in uids)
    assert uid("image", "a") != uid("study", "a")


def test_equal_films_are_equal_bytes():
    assert encode(PIXELS, HEADER) == encode(PIXELS, HEADER)
    assert encode(PIXELS, HEADER) != encode(PIXELS, replace(HEADER, age_years=48))
