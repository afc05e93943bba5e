# SPDX-License-Identifier: Apache-2.0
"""A phantom film as a real DICOM file: Computed Radiography or Digital X-Ray for presentation, 12 bits of 16, uncompressed.

UIDs stand under 1.3.6.1.4.1.32473, the enterprise number that IANA keeps for examples (RFC 5612); names, ids and dates are invented.
"""

import datetime
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from medsetu.release.phantom_chest import FIELD_MM
from medsetu.release.phantom_detector import BITS

UID_ROOT = "1.3.6.1.4.1.32473."
MAKER = "Example Imaging"
DEVICES = {"global": (("DX", "Phantom DX 1"), ("DX", "Phantom DX 2")), "local": (("CR", "Phantom CR 1"), ("DX", "Phantom DX 3"))}

_FIRST_DAY = datetime.date(2020, 1, 1)


@dataclass(frozen=True)
class Header:
    """What the file says of a film besides its pixels.

    Attributes:
        image_id: Name of the image in the label table.
        patient_id: Patient ID.
        study_id: Study ID; the Study Instance UID follows from it.
        modality: CR or DX.
        model: Model name of the device.
        sex: F or M.
        age_years: Age in whole years.
        view: PA or AP.
        day: Days since the first day of the cohort.
        exposure: Relative dose; written as exposure in microampere seconds.
        monochrome1: Stored values are inverted.
        marker: Text is burned into the pixels.
    """

    image_id: str
    patient_id: str
    study_id: str
    modality: str
    model: str
    sex: str
    age_years: int
    view: str
    day: int
    exposure: float
    monochrome1: bool
    marker: bool


def uid(*parts: str) -> UID:
    """Derive a UID from text; equal text gives the equal UID.

    Example:
        >>> uid("study", "a") == uid("study", "a"), str(uid("study", "a")).startswith("1.3.6.1.4.1.32473.")
        (True, True)
    """
    return generate_uid(prefix=UID_ROOT, entropy_srcs=["medsetu phantom", *parts])


def encode(stored: NDArray[np.uint16], header: Header) -> bytes:
    """Write one film as a DICOM file; equal input gives equal bytes.

    Args:
        stored: Stored values from 0 to 4095, shape (rows, columns).
        header: Facts of the film.

    Returns:
        The file: preamble, file meta information, data set in Explicit VR Little Endian.
    """
    data = Dataset()
    _add_patient_and_study(data, header)
    _add_equipment_and_view(data, header)
    _add_pixels(data, stored, monochrome1=header.monochrome1)
    digital = header.modality == "DX"
    data.SOPClassUID = DigitalXRayImageStorageForPresentation if digital else ComputedRadiographyImageStorage
    data.SOPInstanceUID = uid("image", header.image_id)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(UID_ROOT + "1")
    meta.ImplementationVersionName = "MEDSETU_PHANTOM"
    data.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()


def _add_patient_and_study(data: Dataset, header: Header) -> None:
    date = (_FIRST_DAY + datetime.timedelta(days=header.day)).strftime("%Y%m%d")
    data.PatientName = f"Phantom^{header.patient_id}"
    data.PatientID = header.patient_id
    data.PatientBirthDate = ""
    data.PatientSex = header.sex
    data.PatientAge = f"{header.age_years:03d}Y"
    data.StudyInstanceUID = uid("study", header.study_id)
    data.StudyID = header.study_id[-16:]
    data.StudyDate = data.SeriesDate = data.ContentDate = data.AcquisitionDate = date
    data.StudyTime = data.SeriesTime = data.ContentTime = data.AcquisitionTime = "120000"
    data.AccessionNumber = ""
    data.ReferringPhysicianName = ""
    data.StudyDescription = "Chest phantom"
    data.SeriesInstanceUID = uid("series", header.study_id)
    data.SeriesNumber = 1
    data.InstanceNumber = 1


def _add_equipment_and_view(data: Dataset, header: Header) -> None:
    data.Modality = header.modality
    data.Manufacturer = MAKER
    data.ManufacturerModelName = header.model
    data.SoftwareVersions = "phantom"
    data.BodyPartExamined = "CHEST"
    data.ViewPosition = header.view
    data.PatientOrientation = ["L", "F"]
    data.KVP = "120"
    data.ExposureInuAs = max(1, round(header.exposure * 2500))
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.BurnedInAnnotation = "YES" if header.marker else "NO"
    data.LossyImageCompression = "00"
    if header.modality == "DX":
        data.PresentationIntentType = "FOR PRESENTATION"
        data.ImageLaterality = "U"
        data.PixelIntensityRelationship = "LOG"
        data.PixelIntensityRelationshipSign = -1 if not header.monochrome1 else 1


def _add_pixels(data: Dataset, stored: NDArray[np.uint16], *, monochrome1: bool) -> None:
    rows, columns = stored.shape
    spacing = f"{FIELD_MM / rows:.6g}"
    data.ImagerPixelSpacing = [spacing, spacing]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    data.PresentationLUTShape = "INVERSE" if monochrome1 else "IDENTITY"
    data.Rows, data.Columns = rows, columns
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, BITS, BITS - 1
    data.PixelRepresentation = 0
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "0", "1", "US"
    data.WindowCenter, data.WindowWidth = str(2 ** (BITS - 1)), str(2**BITS)
    data.PixelData = np.ascontiguousarray(stored, dtype="<u2").tobytes()
