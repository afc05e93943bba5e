# SPDX-License-Identifier: Apache-2.0
"""The DICOM grey pipeline as one lookup table: modality, then VOI, then inversion, then [0, 1] (PS3.3 C.11.1, C.11.2; PS3.4 N.2).

A stored value has at most 16 bits, so the whole pipeline is computed once per possible value, in double precision, and applied to the
image in a single pass. The scale is always what the header declares, never the brightest pixel.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medsetu.reader.guard import Unreadable
from medsetu.reader.header import number, values, whole, word
from medsetu.reader.volume import HOUNSFIELD

_Values = NDArray[np.float64]
_AIR: Final = -100.0  # HU: an unsigned CT that begins above this cannot show air


@dataclass(frozen=True)
class Coding:
    """How stored values are coded.

    Attributes:
        bits: Bits stored, 1 to 16.
        signed: Whether they are in two's complement.
    """

    bits: int
    signed: bool

    @property
    def span(self) -> tuple[int, int]:
        """Smallest and largest stored value."""
        half, full = 1 << (self.bits - 1), 1 << self.bits
        return (-half, half - 1) if self.signed else (0, full - 1)


def grey_table(header: Dataset, coding: Coding) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Grey of every possible stored value.

    Args:
        header: The data set with its modality, VOI and presentation elements.
        coding: How stored values are coded.

    Returns:
        (2 ** bits,) float32 in [0, 1], indexed by the unsigned bit pattern of the stored value; and the steps taken, in order.

    Raises:
        Unreadable: For non-finite numbers, zero slopes, impossible windows and broken tables.

    Example:
        >>> header = Dataset()
        >>> header.PhotometricInterpretation = "MONOCHROME1"
        >>> table, steps = grey_table(header, Coding(bits=8, signed=False))
        >>> float(table[0]), float(table[255]), steps
        (1.0, 0.0, ('scaled by stored range 0 to 255', 'inverted (MONOCHROME1)'))
    """
    stored = _patterns(coding)
    measured, ends, modality_steps = _modality(header, stored.astype(np.float64), coding)
    grey, voi_steps = _voi(header, measured, ends)
    inversion = _inversion(header)
    if inversion:
        grey = 1.0 - grey
    padded = _padding(header, coding)
    if padded is not None:
        grey[(stored >= padded[0]) & (stored <= padded[1])] = 0.0
    steps = modality_steps + voi_steps + inversion + (("padding to black",) if padded is not None else ())
    return grey.astype(np.float32), steps


def measured_table(header: Dataset, coding: Coding) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Look up what every possible stored value measures: the modality step alone, in its own unit (HU of a CT).

    Args:
        header: The data set, or the functional group that holds the rescale.
        coding: How stored values are coded.

    Returns:
        (2 ** bits,) float32 by the unsigned bit pattern, padding at the lowest value that is no padding; and the steps taken.

    Raises:
        Unreadable: For non-finite numbers, zero slopes and broken tables.

    Example:
        >>> header = Dataset()
        >>> header.RescaleSlope, header.RescaleIntercept = 1, -1024
        >>> table, steps = measured_table(header, Coding(bits=12, signed=False))
        >>> float(table[0]), float(table[-1]), steps
        (-1024.0, 3071.0, ('rescaled by slope 1 and intercept -1024',))
    """
    stored = _patterns(coding)
    measured, _, steps = _modality(header, stored.astype(np.float64), coding)
    padded = _padding(header, coding)
    if padded is not None:
        outside = (stored < padded[0]) | (stored > padded[1])
        measured[~outside] = measured[outside].min() if outside.any() else 0.0
        steps += ("padding to the lowest value",)
    return measured.astype(np.float32), steps


def unit_of(header: Dataset, rescale: Dataset) -> str:
    """Unit of the values after the modality step.

    Args:
        header: The data set.
        rescale: Where the rescale stands: the data set, or a functional group.

    Returns:
        ``HU`` for a CT that does not name another unit, else an empty string.

    Raises:
        Unreadable: For an unsigned CT without an offset: values stored with a sign and read without one (seen in RSNA 2019) look like that.
    """
    if word(header, "Modality") != "CT" or word(rescale, "RescaleType") not in ("", "HU"):
        return ""
    intercept = number(rescale, "RescaleIntercept")
    if intercept is None:
        return ""
    if whole(header, "PixelRepresentation") == 0 and intercept > _AIR:
        raise Unreadable(
            expected="Hounsfield units",
            found=f"unsigned values with the offset {intercept:g}, which cannot show air",
            remedy="Leave it out",
        )
    return HOUNSFIELD


def _patterns(coding: Coding) -> NDArray[np.int64]:
    """Stored value of every unsigned bit pattern."""
    codes = np.arange(1 << coding.bits)
    return np.where(codes > coding.span[1], codes - len(codes), codes)


def _modality(header: Dataset, stored: _Values, coding: Coding) -> tuple[_Values, tuple[float, float], tuple[str, ...]]:
    """Modality LUT, else rescale: values, their declared ends, and the step (PS3.3 C.11.1)."""
    if values(header, "ModalityLUTSequence"):
        table = _read_lut(header, "ModalityLUTSequence", signed_input=coding.signed)
        return table.look_up(stored), (0.0, float(table.top)), ("modality LUT",)
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    ends = [slope * end + intercept for end in coding.span]
    if not math.isfinite(ends[1] - ends[0]) or ends[0] == ends[1]:
        raise Unreadable(expected="a rescale slope that keeps values apart", found=f"slope {slope:g} and intercept {intercept:g}")
    step = () if (slope, intercept) == (1, 0) else (f"rescaled by slope {slope:g} and intercept {intercept:g}",)
    return slope * stored + intercept, (min(ends), max(ends)), step


def _voi(header: Dataset, measured: _Values, ends: tuple[float, float]) -> tuple[_Values, tuple[str, ...]]:
    """VOI LUT, else the first window, else the declared range, onto [0, 1] (PS3.3 C.11.2)."""
    if values(header, "VOILUTSequence"):
        table = _read_lut(header, "VOILUTSequence", signed_input=ends[0] < 0)
        return table.look_up(measured) / table.top, (f"VOI LUT{_first_of(header, 'VOILUTSequence')}",)
    center, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    if (center is None) != (width is None):
        raise Unreadable(expected="a window with centre and width", found="only one of them")
    if center is None or width is None:
        low, high = ends
        return (measured - low) / (high - low), (f"scaled by stored range {low:g} to {high:g}",)
    function = word(header, "VOILUTFunction") or "LINEAR"
    grey = window(measured, center, width, function=function)
    return grey, (f"window {function} centre {center:g} width {width:g}{_first_of(header, 'WindowCenter')}",)


def window(measured: _Values, center: float, width: float, *, function: str = "LINEAR") -> _Values:
    """Apply a window (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        measured: Values after the modality step, any shape.
        center: Window centre.
        width: Window width: at least 1 for LINEAR, above 0 for the others.
        function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.

    Returns:
        Grey in [0, 1], same shape.

    Raises:
        Unreadable: For an impossible width or an unknown function.

    Example:
        >>> window(np.array([0.0, 50.0, 100.0]), 50, 100, function="LINEAR_EXACT")
        array([0. , 0.5, 1. ])
    """
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise Unreadable(expected="the VOI function LINEAR, LINEAR_EXACT or SIGMOID", found="another one")
    if width <= 0 or (function == "LINEAR" and width < 1):
        raise Unreadable(expected="a window width above 0, for LINEAR at least 1", found=f"{width:g}")
    if function == "SIGMOID":
        return 0.5 * (1.0 + np.tanh(2.0 * (measured - center) / width))  # the same curve as 1 / (1 + exp(-4 (x - c) / w)), without overflow
    if function == "LINEAR_EXACT":
        return np.clip((measured - center) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (measured > center - 0.5).astype(np.float64)
    return np.clip((measured - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _first_of(header: Dataset, keyword: str) -> str:
    count = len(values(header, keyword))
    return f" (first of {count})" if count > 1 else ""


def _inversion(header: Dataset) -> tuple[str, ...]:
    """Whether low means white, and why: at most one inversion.

    PS3.3 pairs INVERSE with MONOCHROME1 and IDENTITY with MONOCHROME2: two names of one fact, not two inversions. Where they contradict
    each other, the one that says "inverted" is believed: writers leave an attribute at its default more often than they set it by mistake.
    """
    photometric, shape = word(header, "PhotometricInterpretation"), word(header, "PresentationLUTShape")
    if photometric == "MONOCHROME1":
        return ("inverted (MONOCHROME1, against shape IDENTITY)" if shape == "IDENTITY" else "inverted (MONOCHROME1)",)
    return ("inverted (shape INVERSE, against MONOCHROME2)",) if shape == "INVERSE" else ()


def _padding(header: Dataset, coding: Coding) -> tuple[int, int] | None:
    """Stored values that are no image, as an inclusive range (PS3.3 C.7.5.1.1.2); None when there are none."""
    first, last = number(header, "PixelPaddingValue"), number(header, "PixelPaddingRangeLimit")
    if first is None:
        return None
    low, high = sorted(_as_stored(int(value), coding) for value in (first, first if last is None else last))
    return (low, high) if high >= coding.span[0] and low <= coding.span[1] else None


def _as_stored(value: int, coding: Coding) -> int:
    """Undo the US reading of a value that was written with the sign of the pixels."""
    return value - 65536 if coding.signed and value > 32767 else value


@dataclass(frozen=True)
class _Lut:
    entries: NDArray[np.uint16]
    first: int
    top: int

    def look_up(self, measured: _Values) -> _Values:
        """Entries for values; beyond the table its first or last entry holds."""
        places = np.clip(np.rint(measured) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        grey: _Values = self.entries[places].astype(np.float64)
        return grey


def _read_lut(header: Dataset, keyword: str, *, signed_input: bool) -> _Lut:
    """First item of a LUT sequence: descriptor (entries, first value mapped, bits) and data (PS3.3 C.11.1.1)."""
    item = header[keyword].value[0]
    descriptor = [int(str(value)) for value in values(item, "LUTDescriptor")]
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise Unreadable(expected=f"a descriptor of three values with 8 to 16 bits in {keyword}", found="another one")
    count, first, bits = descriptor[0] or 65536, descriptor[1], descriptor[2]
    entries = _lut_data(item, count, bits, little=header.original_encoding[1] is not False)
    if len(entries) != count or int(entries.max()) >= 1 << bits:
        raise Unreadable(expected=f"{count} entries of {bits} bits in {keyword}", found=f"{len(entries)} entries, or wider ones")
    return _Lut(entries, first - 65536 if signed_input and first > 32767 else first, (1 << bits) - 1)


def _lut_data(item: Dataset, count: int, bits: int, *, little: bool) -> NDArray[np.uint16]:
    data = item.get("LUTData")
    if not isinstance(data, bytes):
        return np.array([int(str(value)) & 0xFFFF for value in values(item, "LUTData")], dtype=np.uint16)
    if bits == 8 and len(data) == count + count % 2:  # one byte per entry, padded to an even length
        return np.frombuffer(data, dtype=np.uint8, count=count).astype(np.uint16)
    return np.frombuffer(data, dtype="<u2" if little else ">u2").astype(np.uint16)


def coding_of(header: Dataset) -> Coding:
    """How the stored values of a grey image are coded (PS3.3 C.7.6.3.1).

    Args:
        header: The data set.

    Returns:
        Bits stored and signedness.

    Raises:
        Unreadable: Unless 8 or 16 bits are allocated, and bits stored, high bit and representation agree with them.

    Example:
        >>> header = Dataset()
        >>> header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
        >>> coding_of(header)
        Coding(bits=12, signed=False)
    """
    allocated, stored, high = (whole(header, name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated not in (8, 16) or not 1 <= stored <= allocated or high != stored - 1:
        raise Unreadable(
            expected="8 or 16 bits allocated, with bits stored and high bit to match",
            found=f"{allocated} allocated, {stored} stored, high bit {high}",
        )
    representation = whole(header, "PixelRepresentation")
    if representation not in (0, 1):
        raise Unreadable(expected="pixel representation 0 or 1", found=str(representation))
    return Coding(bits=stored, signed=representation == 1)
