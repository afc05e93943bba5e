# SPDX-License-Identifier: Apache-2.0
"""Writes small DICOM series, enhanced multi-frame files and ultrasound; every file carries the patient ``ZZ^SENTINEL``."""

from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fakes.dicom import dataset, to_bytes

CT, ENHANCED_CT, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4.1"
US, US_FILM = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1"
AXIAL = (1, 0, 0, 0, 1, 0)


def head(shape=(5, 6, 8), *, seed=0) -> np.ndarray:
    """Values in HU whose every voxel differs: (depth from the feet, rows from the front, columns from the right)."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.arange(np.prod(shape)) % 2000 - 900).reshape(shape).astype(np.int16)


def slice_file(pixels: np.ndarray, *, z: float, series="1.2.3.4", y=-20.0, **elements) -> bytes:
    """Write one CT slice: HU in 12 bits with intercept -1024, 0.5 mm between columns, 0.75 between rows."""
    facts = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid.generate_uid(entropy_srcs=[series, str(z), str(y)]),
        "SeriesInstanceUID": series,
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "ImagePositionPatient": [-10.0, y, z],
        "ImageOrientationPatient": list(AXIAL),
        "PixelSpacing": [0.75, 0.5],
        "SliceThickness": 2.5,
    }
    facts = {keyword: value for keyword, value in (facts | elements).items() if value is not None}
    return to_bytes(dataset((pixels.astype(np.int32) + 1024).astype(np.uint16), bits=12, **facts))


def write(folder: Path, *, volume=None, step=2.5, skip=(), tilt=0.0, names=None, **elements) -> Path:
    """Write a series; file names run against the order of the patient. ``skip`` leaves slices out, ``tilt`` shears by degrees."""
    volume = head() if volume is None else volume
    folder.mkdir(parents=True, exist_ok=True)
    shear = np.tan(np.deg2rad(tilt))
    for depth, pixels in enumerate(volume):
        if depth not in skip:
            name = f"CT{len(volume) - depth:06d}.dcm" if names is None else names[depth]
            data = slice_file(pixels, z=depth * step + 10, y=-20 + depth * step * shear, **elements)
            (folder / name).write_bytes(data)
    return folder


def _item(**elements) -> Sequence:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Sequence([item])


def enhanced(volume: np.ndarray, *, order=None, step=2.5, modality="CT", rescale=None, **elements) -> bytes:
    """Write an enhanced CT or MR; frame n is slice ``order[n]``, ``rescale`` gives (slope, intercept) of each frame."""
    order = list(range(len(volume))) if order is None else order
    rescale = [(1, -1024)] * len(order) if rescale is None else rescale
    stored = [
        np.round((volume[depth].astype(float) - shift) / slope).astype(np.uint16)
        for depth, (slope, shift) in zip(order, rescale, strict=True)
    ]
    frames = []
    for depth, (slope, shift) in zip(order, rescale, strict=True):
        frame = Dataset()
        frame.PlanePositionSequence = _item(ImagePositionPatient=[-10.0, -20.0, depth * step + 10])
        frame.PixelValueTransformationSequence = _item(
            RescaleSlope=slope, RescaleIntercept=shift, RescaleType="HU" if modality == "CT" else "US"
        )
        frames.append(frame)
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=list(AXIAL))
    shared.PixelMeasuresSequence = _item(PixelSpacing=[0.75, 0.5], SliceThickness=step)
    facts = {
        "SOPClassUID": ENHANCED_CT if modality == "CT" else ENHANCED_MR,
        "Modality": modality,
        "NumberOfFrames": len(order),
        "PixelData": np.stack(stored).tobytes(),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(frames),
    }
    return to_bytes(dataset(stored[0], bits=16, **(facts | elements)))


def region(box, *, kind=1, delta=0.02, units=3) -> Dataset:
    """Build an ultrasound region; ``box`` is x0, y0, x1, y1 with both ends inside."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = kind, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta, -delta
    return item


def ultrasound(rgb: np.ndarray, *, photometric="RGB", syntax=uid.ExplicitVRLittleEndian, found=(), **elements) -> bytes:
    """Write ultrasound from (H, W, 3) or (T, H, W, 3) uint8."""
    film = rgb if rgb.ndim == 4 else rgb[None]
    data = film.tobytes()
    facts = {
        "SOPClassUID": US_FILM if len(film) > 1 else US,
        "Modality": "US",
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": photometric,
        "PlanarConfiguration": 0,
        "PixelData": data + b"\0" * (len(data) % 2),
    }
    if len(film) > 1:
        facts |= {"NumberOfFrames": len(film), "FrameTime": 40}
    if found:
        facts["SequenceOfUltrasoundRegions"] = Sequence(list(found))
    return to_bytes(dataset(np.zeros(film.shape[1:3], np.uint8), bits=8, **(facts | elements)), syntax)
