# SPDX-License-Identifier: Apache-2.0
"""A tiny NITRD: DatasetA as jpg in Training and Testing with repeated file names, DatasetB as DICOM in folders, by prefix."""

from itertools import product
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from fakes.film import SENTINEL, eight_bit, film


def write(root: Path, *, seed=0, per_class=6, brightness=0.15, parts="AB", testing=True) -> Path:
    """Write the release; ``brightness`` is the planted shift against the global fakes, DatasetB has it doubled."""
    rng = np.random.default_rng(seed)
    folders = ("Training", "Testing") if testing else ("Training",)
    if "A" in parts:
        for folder, prefix, number in product(folders, ("nx", "px"), range(1, per_class + 1)):
            path = root / "DatasetA" / folder / f"{prefix}{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = eight_bit(film(rng, spots=[5] if prefix == "px" else [], brightness=brightness))
            Image.fromarray(picture).convert("RGB").save(path, quality=95)
    if "B" in parts:
        for folder, prefix, number in product(folders, "np", range(1, per_class // 2 + 1)):
            path = root / "DatasetB" / folder / f"{prefix}{number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            _dicom(path, film(rng, spots=[5] if prefix == "p" else [], brightness=2 * brightness))
        (root / "DatasetB" / "notes.txt").write_text("a text that is no film\n")
    return root


def _dicom(path: Path, picture: np.ndarray) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name, path.parent.name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID = SENTINEL, SENTINEL
    data.Modality, data.ViewPosition, data.PatientSex, data.PatientAge = "DX", "PA", "F", "045Y"
    data.PhotometricInterpretation, data.SamplesPerPixel = "MONOCHROME2", 1
    data.Rows, data.Columns = picture.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 14, 13, 0
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = np.round(picture * (2**14 - 1)).astype("<u2").tobytes()
    pydicom.dcmwrite(path, data, enforce_file_format=True)
