# SPDX-License-Identifier: Apache-2.0
"""Single-frame grey DICOM images (CR, DX, MG and their like) to grey in [0, 1], with the facts of their header."""

import io
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder

from medsetu.reader import header as element
from medsetu.reader.codestream import parse_codestream
from medsetu.reader.grey import Coding, coding_of, grey_table
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import MAX_PIXELS, Facts, Picture, check_size

_PLUGINS: Final = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "gdcm",
    uid.JPEGLSNearLossless: "gdcm",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
}
"""Decoder of each transfer syntax: gdcm only where nothing else reads it, for it can end the process on broken bytes."""

_FOR_PROCESSING: Final = ("1.2.840.10008.5.1.4.1.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.1.3.1")
_PREAMBLE: Final = 128
_MAX_INFLATED: Final = 2 * MAX_PIXELS + (1 << 26)  # bytes
_BLOCK: Final = 1 << 14  # pixels


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
    """Read a single-frame grey DICOM image.

    Modality LUT or rescale, then VOI LUT or the first window, then at most one inversion, then the declared range onto [0, 1]
    (PS3.4 N.2). Padding becomes black. No overlay is drawn.

    Args:
        data: The whole file.
        sample_id: Named in errors.

    Returns:
        The picture; ``facts.steps`` lists each step in order.

    Raises:
        DataError: For anything but one intact grey frame meant for presentation.
    """
    del sample_id  # used by the guard
    header = _open(data)
    _check_kind(header)
    coding = coding_of(header)
    table, steps = grey_table(header, coding)
    spacing_mm, spacing_steps = element.spacing(header)
    pixels = _look_up(table, _decode(header, coding), coding)
    height, width = pixels.shape
    facts = Facts(
        file_format="dicom",
        color_mode=element.word(header, "PhotometricInterpretation"),
        height=height,
        width=width,
        bits=coding.bits,
        file_bytes=len(data),
        spacing_mm=spacing_mm,
        modality=element.word(header, "Modality"),
        view=element.view(header),
        laterality=element.laterality(header),
        sex=element.sex(header),
        age_years=element.age(header),
        device=element.device(header),
        steps=steps + (("overlay bits masked",) if _has_embedded_overlay(header) else ()) + spacing_steps,
    )
    return Picture(pixels, facts)


def _open(data: bytes) -> Dataset:
    """Parse the header; deflated files are inflated here, because a limit has to stand before the memory is gone."""
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
    if element.whole(header, "SamplesPerPixel") != 1 or not grey:
        raise Unreadable(expected="one grey sample per pixel", found="a colour image or none declared")
    check_size(element.whole(header, "Rows"), element.whole(header, "Columns"))


def _decode(header: Dataset, coding: Coding) -> NDArray[np.integer]:
    """Stored values, (H, W); a view on the file's bytes where nothing was compressed."""
    syntax = uid.UID(header.file_meta.TransferSyntaxUID)
    if syntax not in _PLUGINS:
        raise Unreadable(expected="a transfer syntax for still images", found="another one", remedy="Convert it, for example with dcmdjpeg")
    if syntax.is_encapsulated and syntax != uid.RLELossless:
        stream = parse_codestream(get_frame(header.PixelData, 0, number_of_frames=1), syntax)
        shape = (stream.height, stream.width, stream.components)
        if shape != (header.Rows, header.Columns, 1) or stream.precision > header.BitsAllocated:
            raise Unreadable(expected="a codestream of the declared size", found="another size")
    options: dict[str, Any] = {"view_only": True, "correct_unused_bits": False}
    stored, _ = get_decoder(syntax).as_array(header, raw=True, index=0, decoding_plugin=_PLUGINS[syntax], **options)
    low, high = coding.span
    if not _has_embedded_overlay(header) and (int(stored.min()) < low or int(stored.max()) > high):
        raise Unreadable(expected=f"stored values of {coding.bits} bits", found="values beyond them")
    return stored


def _has_embedded_overlay(header: Dataset) -> bool:
    """Whether unused high bits hold a graphic (retired use, PS3.3 C.9.2: Overlay Bit Position above 0), which is masked away."""
    return any(int(header[group, 0x0102].value or 0) > 0 for group in range(0x6000, 0x6020, 2) if (group, 0x0102) in header)


def _look_up(table: NDArray[np.float32], stored: NDArray[np.integer], coding: Coding) -> NDArray[np.float32]:
    """Grey of each stored value, some rows at a time: numpy widens indices to eight bytes, and these should not leave the cache."""
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    codes: NDArray[np.unsignedinteger] = native.view(f"u{native.itemsize}")
    mask = codes.dtype.type((1 << coding.bits) - 1)
    grey = np.empty(codes.shape, np.float32)
    rows = max(1, _BLOCK // codes.shape[1])
    for top in range(0, codes.shape[0], rows):
        np.take(table, codes[top : top + rows] & mask, out=grey[top : top + rows], mode="clip")
    return grey
