# SPDX-License-Identifier: Apache-2.0
"""Files that name a patient who does not exist, one way each."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import dcmwrite, uid
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from medsetu.privacy.profile import Row, rows

SENTINEL = "ZZ^SENTINEL"
AADHAAR = "2345 6789 0124"  # of no one: the check digit is right, the number invented
MOBILE = "98765 43210"
UID = "1.2.826.0.1.3680043.8.498.12345678901234567890"
BORN = "19450312"
SECRETS = ("SENTINEL", "2345", "98765", "12345678901234567890", "19450312", "ABCPE1234F", "zz.sentinel")
_DEFAULT_TAG = {"50XXXXXX": 0x50003000, "60XX3000": 0x60003000, "60XX4000": 0x60004000, "private": 0x00091001}
_VALUES = {
    "PN": SENTINEL,
    "DA": BORN,
    "DT": f"{BORN}101112",
    "TM": "101112",
    "UI": UID,
    "AS": "067Y",
    "DS": "67.5",
    "IS": "67",
    "UR": "file:zz.sentinel",
    **dict.fromkeys(("US", "UL", "SS", "SL", "FL", "FD", "UV", "SV"), 67),
    **dict.fromkeys(("OB", "OW", "UN", "OF", "OD"), b"ZZ^SENTINEL "),
}


def tag_of(row: Row) -> int:
    """A tag the row covers."""
    return _DEFAULT_TAG.get(row.tag) or int(row.tag, 16)


def plant(dataset: Dataset, row: Row) -> Dataset:
    """Put a telling value of a row's attribute into a data set."""
    tag = Tag(tag_of(row))
    if row.tag == "private":
        dataset.add_new(0x00090010, "LO", "ACME 1.0")
        dataset.add_new(tag, "LO", SENTINEL)
        return dataset
    try:
        vr = dictionary_VR(tag)[:2]
    except KeyError:
        vr = "UN" if row.tag != "50XXXXXX" else "OW"  # younger than the dictionary of pydicom
    if vr == "SQ":
        item = Dataset()
        item.PatientComments = SENTINEL
        item.ReferencedSOPInstanceUID = UID
        dataset.add_new(tag, vr, Sequence([item]))
    else:
        dataset.add_new(tag, vr, _VALUES.get(vr, SENTINEL if vr != "CS" else "SENTINEL"))
    return dataset


def places(row: Row) -> Iterator[tuple[str, Dataset]]:
    """The attribute of a row at the top, in a sequence, and in a sequence of a private block."""
    meta = row.tag.startswith("0002")
    top = Dataset()
    top.file_meta = FileMetaDataset()
    plant(top.file_meta if meta else top, row)
    yield "top", top
    if meta:
        return
    nested = Dataset()
    nested.DerivationCodeSequence = Sequence([plant(Dataset(), row)])
    yield "nested", nested
    hidden = Dataset()
    hidden.add_new(0x00110010, "LO", "ACME 2.0")
    hidden.add_new(0x00111002, "SQ", Sequence([plant(Dataset(), row)]))
    yield "private", hidden


def every_row() -> list[Row]:
    """All rows of Table E.1-1."""
    return list(rows().values())


def image_header(*, modality: str = "DX") -> Dataset:
    """A small grey DICOM image that names nobody."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = "2.25.1"
    header.Modality = modality
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = "by hand"
    header.BurnedInAnnotation = "NO"
    header.Rows, header.Columns = 64, 48
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    ramp = np.linspace(0, 4095, 64 * 48).reshape(64, 48).astype("<u2")
    header.PixelData = ramp.tobytes()
    header["PixelData"].VR = "OW"
    return header


def patient_header() -> Dataset:
    """The same image with a name, numbers, dates, a private block and a nested name."""
    header = image_header()
    del header.PatientIdentityRemoved
    header.PatientName, header.PatientID, header.PatientBirthDate = SENTINEL, "P-2345678", BORN
    header.PatientAge, header.PatientSex = "067Y", "F"
    header.StudyDate, header.SeriesDate, header.StudyTime = "20240301", "20240303", "101112"
    header.StudyInstanceUID, header.SeriesInstanceUID = f"{UID}.1", f"{UID}.2"
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = f"{UID}.3"
    header.AccessionNumber, header.InstitutionName, header.DeviceSerialNumber = "ACC2345678", "SENTINEL HOSPITAL", "SN2345"
    header.StudyDescription = f"CHEST PA {MOBILE}"
    header.add_new(0x00090010, "LO", "ACME 1.0")
    header.add_new(0x00091001, "LO", SENTINEL)
    item = Dataset()
    item.PatientName, item.ReferencedSOPInstanceUID = SENTINEL, f"{UID}.3"
    header.ReferencedImageSequence = Sequence([item])
    return header


def dicom_bytes(header: Dataset) -> bytes:
    """Write a header as a DICOM file."""
    buffer = io.BytesIO()
    dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue()


def identified_folder(folder: Path) -> Path:
    """A folder with a DICOM file, a table and a picture that name the patient."""
    place = folder / "SENTINEL_98765 43210"
    place.mkdir(parents=True)
    (place / "a.dcm").write_bytes(dicom_bytes(patient_header()))
    (folder / "list.csv").write_text(f"Patient Name,Mobile,remark\n{SENTINEL},{MOBILE},aadhaar {AADHAAR}\n")
    (folder / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"ZZ^SENTINEL" * 9)
    return folder
