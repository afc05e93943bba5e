# SPDX-License-Identifier: Apache-2.0
"""The head of a DICOM file, for releases whose tables do not say which breast or whom a file shows; pixels are not touched."""

from pathlib import Path

from pydicom import dcmread

from medsetu.reader import header
from medsetu.reader.guard import guarded

_TAGS = ["ImageLaterality", "Laterality", "ViewPosition", "ViewCodeSequence"]


@guarded("heading")
def read_side_and_view(path: Path, *, sample_id: str = "") -> tuple[str, str]:
    """Read side and projection from a file, and no other element.

    Args:
        path: The file.
        sample_id: Named in errors.

    Returns:
        Side (``L``, ``R``, ``B`` or empty) and view (one of ``core.sample.VIEWS``).

    Raises:
        DataError: The file is no DICOM file.
    """
    heading = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    return header.laterality(heading), header.view(heading)


@guarded("heading")
def read_patient(path: Path, *, sample_id: str = "") -> str:
    """Read PatientID (0010,0020) from a file, and no other element; give it to ``core.sample.pseudonym`` and to nothing else.

    Args:
        path: The file.
        sample_id: Named in errors.

    Returns:
        The identifier as written; empty when there is none.

    Raises:
        DataError: The file is no DICOM file.
    """
    return str(dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"]).get("PatientID", "")).strip()
