# SPDX-License-Identifier: Apache-2.0
"""Writes small DICOM segmentations."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fakes.dicom import dataset, to_bytes
from fakes.series import AXIAL

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def items(**elements) -> Sequence:
    """Build a sequence of one item."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Sequence([item])


def segmentation(masks, frames, *, kind="BINARY", step=2.5, **elements) -> bytes:
    """Write frames (segment number, depth) of masks by number; fractional ones hold 0 to 200."""
    planes, groups = [], []
    for number, depth in frames:
        group = Dataset()
        group.PlanePositionSequence = items(ImagePositionPatient=[-10.0, -20.0, depth * step + 10])
        group.SegmentIdentificationSequence = items(ReferencedSegmentNumber=number)
        groups.append(group)
        planes.append(masks[number][1][depth])
    stored = np.stack(planes)
    data = np.packbits(stored.ravel(), bitorder="little").tobytes() if kind == "BINARY" else (stored * 200).astype(np.uint8).tobytes()
    listed = []
    for number, (label, _) in masks.items():
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel = number, label
        listed.append(item)
    shared = Dataset()
    shared.PlaneOrientationSequence = items(ImageOrientationPatient=list(AXIAL))
    shared.PixelMeasuresSequence = items(PixelSpacing=[0.75, 0.5], SliceThickness=step)
    facts = {
        "SOPClassUID": SEGMENTATION,
        "Modality": "SEG",
        "SegmentationType": kind,
        "SegmentSequence": Sequence(listed),
        "NumberOfFrames": len(frames),
        "PixelData": data + b"\0" * (len(data) % 2),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(groups),
    }
    facts |= {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0} if kind == "BINARY" else {"MaximumFractionalValue": 200}
    return to_bytes(dataset(np.zeros(stored.shape[1:], np.uint8), bits=8, **(facts | elements)))
