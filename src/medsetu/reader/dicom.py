# SPDX-License-Identifier: Apache-2.0
"""Single-frame DICOM images (CR, DX, MG, US and their like) to grey in [0, 1], with the facts of their header."""

import io
import math
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset

from medsetu.reader import header as element
from medsetu.reader.colour import decode_colour, is_colour, luma
from medsetu.reader.decoder import decode, has_embedded_overlay, look_up
from medsetu.reader.grey import coding_of, grey_table, unit_of
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import MAX_PIXELS, Facts, Picture, check_size
from medsetu.reader.ultrasound import regions

_FOR_PROCESSING: Final = ("1.2.840.10008.5.1.4.1.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.1.3.1")
_PREAMBLE: Final = 128
_MAX_INFLATED: Final = 2 * MAX_PIXELS + (1 << 26)  # bytes


def is_dicom(data: bytes) -> bool:
    """Whether bytes look like DICOM: ``DICM`` after the preamble, or a first group 0002 or 0008 where the preamble was left out.

    Args:
        data: The file, or at least its first 132 bytes.

    Returns:
        True when the DICOM reader should try.

    Example:
        >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"P5 1 1 255 x")
        (True, False)
    """
    return data.startswith(b"DICM", _PREAMBLE) or (data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] == b"\0")


@guarded("DICOM")
def read_dicom(data: bytes, *, sample_id: str = "") -> Picture:
    """Read a single-frame DICOM image.

    Modality LUT or rescale, then VOI LUT or the first window, then at most one inversion, then the declared range onto [0, 1]
    (PS3.4 N.2). Padding becomes black. No overlay is drawn. Colour, as ultrasound has it, is reduced to luma.

    Args:
        data: The whole file.
        sample_id: Named in errors.

    Returns:
        The picture; ``facts.steps`` lists each step in order.

    Raises:
        DataError: For anything but one intact frame meant for presentation.
    """
    del sample_id  # used by the guard
    header = open_header(data)
    _check_kind(header)
    pixels, bits, steps = _pixels(header)
    spacing_mm, spacing_steps = _spacing(header)
    height, width = pixels.shape
    facts = Facts(
        file_format="dicom",
        color_mode=element.word(header, "PhotometricInterpretation"),
        height=height,
        width=width,
        bits=bits,
        file_bytes=len(data),
        spacing_mm=spacing_mm,
        modality=element.word(header, "Modality"),
        view=element.view(header),
        laterality=element.laterality(header),
        sex=element.sex(header),
        age_years=element.age(header),
        device=element.device(header),
        steps=steps + (("overlay bits masked",) if has_embedded_overlay(header) else ()) + spacing_steps,
    )
    return Picture(pixels, facts)


def _pixels(header: Dataset) -> tuple[NDArray[np.float32], int, tuple[str, ...]]:
    """Grey in [0, 1], bits per sample, and the steps taken."""
    if is_colour(header):
        return luma(decode_colour(header)), 8, ("colour to grey by luma",)
    coding = coding_of(header)
    unit_of(header, header)  # refuses a CT that was read with the wrong sign
    table, steps = grey_table(header, coding)
    return look_up(table, decode(header, coding), coding), coding.bits, steps


def _spacing(header: Dataset) -> tuple[float, tuple[str, ...]]:
    """Distance of pixel centres, mm; of ultrasound that of its tissue regions, where they agree."""
    spacing_mm, steps = element.spacing(header)
    found = {region.spacing_mm for region in regions(header) if region.kind == "tissue"}
    if not math.isnan(spacing_mm) or len(found) != 1:
        return spacing_mm, steps
    across, down = found.pop()
    return math.sqrt(across * down), ("spacing of the tissue region",)


def open_header(data: bytes) -> Dataset:
    """Parse the header; deflated files are inflated here, because a limit has to stand before the memory is gone.

    Args:
        data: The whole file.

    Returns:
        The data set; its pixels are not decoded.

    Raises:
        Unreadable: When a deflated data set is truncated or too large. pydicom's own errors pass through to the guard.
    """
    meta_end = 144 + int.from_bytes(data[140:144], "little")  # PS3.10 section 7.1: the group length comes first
    if data.startswith(b"DICM", _PREAMBLE) and uid.DeflatedExplicitVRLittleEndian.encode() in data[144:meta_end]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        plain = inflater.decompress(data[meta_end:], _MAX_INFLATED)
        if not inflater.eof:
            raise Unreadable(expected="a complete deflated data set", found="a truncated one, or more than an image can hold")
        header = read_dataset(io.BytesIO(plain), is_implicit_VR=False, is_little_endian=True)
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        return header
    header = dcmread(io.BytesIO(data), force=True)
    if "TransferSyntaxUID" not in header.file_meta:
        implicit = header.original_encoding[0]
        header.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    return header


def _check_kind(header: Dataset) -> None:
    """Refuse what is no single grey frame for presentation."""
    if element.word(header, "PresentationIntentType") == "FOR PROCESSING" or str(header.get("SOPClassUID")) in _FOR_PROCESSING:
        raise Unreadable(
            expected="an image for presentation", found="one for processing", remedy="Use the image of the same exposure for presentation"
        )
    if "PixelData" not in header:
        raise Unreadable(expected="pixel data", found="a DICOM object without it")
    frames = element.number(header, "NumberOfFrames")
    if frames not in (None, 1):
        raise Unreadable(expected="one frame", found=f"{frames:g} frames", remedy="Export the frame that is meant to a file of its own")
    grey = element.word(header, "PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
    if not is_colour(header) and (element.whole(header, "SamplesPerPixel") != 1 or not grey):
        raise Unreadable(expected="grey, RGB, YBR or palette pixels", found="others or none declared")
    check_size(element.whole(header, "Rows"), element.whole(header, "Columns"))
