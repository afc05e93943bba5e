# SPDX-License-Identifier: Apache-2.0
"""A tiny CBIS-DDSM: four lists with the release's headers, paths with line breaks, crops beside the films, a woman on both sides."""

import csv
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from fakes.film import SENTINEL, film

HEADER = ["patient_id", "breast_density", "left or right breast", "image view", "abnormality id", "abnormality type",
          "mass shape", "mass margins", "assessment", "pathology", "subtlety",
          "image file path", "cropped image file path", "ROI mask file path"]  # fmt: skip
PATHOLOGY = ("MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK", "MALIGNANT")


def dicom(path: Path, picture: np.ndarray, *, key: str, modality: str = "MG", **elements) -> None:
    """Write a film of 12 bits, a mammogram unless said otherwise; further elements by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[key])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.Modality = SENTINEL, SENTINEL, modality
    data.PhotometricInterpretation, data.SamplesPerPixel = "MONOCHROME2", 1
    data.Rows, data.Columns = picture.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = np.round(picture * 4095).astype("<u2").tobytes()
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, data, enforce_file_format=True)


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: two thirds of the women in the training lists, one (P_00001) in both."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[list[str]]] = {f"{kind}_{split}": [] for kind in ("mass", "calc") for split in ("train", "test")}
    for number in range(1, 2 * per_class + 1):
        split = "test" if number % 3 == 0 else "train"
        kind = "mass" if number % 2 else "calc"
        _film(root, tables[f"{kind}_{split}"], rng, kind=kind, split=split, number=number, view="CC", brightness=brightness)
        _film(root, tables[f"{kind}_{split}"], rng, kind=kind, split=split, number=number, view="MLO", brightness=brightness)
    _film(root, tables["calc_test"], rng, kind="calc", split="test", number=1, view="CC", brightness=brightness)
    for name, rows in tables.items():
        kind, split = name.split("_")
        header = [cell.replace("breast_density", "breast density") if kind == "calc" else cell for cell in HEADER]
        with (root / f"{kind}_case_description_{split}_set.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
    return root


def _film(root: Path, rows: list, rng, *, kind: str, split: str, number: int, view: str, brightness: float) -> None:
    folder = f"{kind.capitalize()}-{'Training' if split == 'train' else 'Test'}_P_{number:05d}_LEFT_{view}"
    pathology = PATHOLOGY[number % 4]
    picture = film(rng, spots=[5] if pathology == "MALIGNANT" else [9], brightness=brightness)
    dicom(root / "CBIS-DDSM" / folder / "1.3.6" / "1.3.7" / "1-1.dcm", picture, key=folder)
    dicom(root / "CBIS-DDSM" / f"{folder}_1" / "1.3.6" / "1.3.8" / "1-1.dcm", picture[:32, :32], key=f"{folder}_1")
    mask = np.zeros(picture.shape)
    mask[10:30, 20:40] = 1
    dicom(root / "CBIS-DDSM" / f"{folder}_1" / "1.3.6" / "1.3.8" / "1-2.dcm", mask, key=f"{folder}_1m")
    crop = f"{folder}_1/1.3.6/1.3.8/000000.dcm\n"
    whole = f"{folder}/1.3.6/1.3.7/000000.dcm"
    for lesion in ("1", "2") if number == 2 else ("1",):
        told = pathology if lesion == "1" else "MALIGNANT"
        rows.append([f"P_{number:05d}", "3", "LEFT", view, lesion, kind, "ROUND", "SPICULATED", "4", told, "4", whole, crop, crop])
