# SPDX-License-Identifier: Apache-2.0
"""NIfTI-1 and NIfTI-2 (``.nii``, ``.nii.gz``) to voxels in RAS+; the header is believed only as far as the bytes bear it out.

Standard: https://nifti.nimh.nih.gov (nifti1.h, nifti2.h). The header is 348 or 540 fixed bytes, so it is read here and every number checked
before anything is allocated.
"""

import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.nifti_form import geometry
from medsetu.reader.picture import Facts
from medsetu.reader.volume import MAX_VOXELS, Volume, check_voxels, finite, orient, spacing_of

_TYPES: Final = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_MAX_RATIO: Final = 1032  # what deflate can reach at best
_LONGEST: Final = 540
_MAX_OFFSET: Final = 1 << 24  # bytes of extensions before the voxels
_CHUNK: Final = 1 << 22

_Field = tuple[int, str]
_Take = Callable[[_Field], tuple[float, ...]]


@dataclass(frozen=True)
class Layout:
    """Where a version of the standard keeps its fields: offset and struct code."""

    size: int
    dim: _Field
    datatype: _Field
    pixdim: _Field
    vox_offset: _Field
    scaling: _Field
    units: _Field
    codes: _Field
    quaternion: _Field
    rows: _Field


_ONE = Layout(348, (40, "8h"), (70, "2h"), (76, "8f"), (108, "f"), (112, "2f"), (123, "B"), (252, "2h"), (256, "6f"), (280, "12f"))
_TWO = Layout(540, (16, "8q"), (12, "2h"), (104, "8d"), (168, "q"), (176, "2d"), (500, "i"), (344, "2i"), (352, "6d"), (400, "12d"))


@dataclass(frozen=True)
class Header:
    """Checked facts of a header.

    Attributes:
        shape: Sizes along i, j, k and time.
        dtype: Stored type, in the byte order of the file.
        offset: First byte of the voxels.
        slope: Factor of stored values.
        intercept: Added after the factor.
        affine: (4, 4) to mm in RAS+; all NaN when neither form is declared.
        spacing: Along i, j, k, mm.
        steps: What to record.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype[np.generic]
    offset: int
    slope: float
    intercept: float
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    steps: tuple[str, ...]


def is_nifti(data: bytes) -> bool:
    """Whether bytes look like NIfTI, packed by gzip or not: only then should this reader try.

    Args:
        data: The file, or at least its first 2 KiB.

    Example:
        >>> is_nifti(bytes(344) + b"n+1" + bytes(1)), is_nifti(b"P5 1 1 255 x")
        (True, False)
    """
    try:
        head = _Packed(data).read(_LONGEST) if data[:2] == b"\x1f\x8b" else data
    except (Unreadable, zlib.error):
        return False
    return head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2")


@guarded("NIfTI")
def read_nifti(data: bytes, *, frame: int | None = None, sample_id: str = "") -> Volume:
    """Read one volume.

    Stored values are scaled by ``scl_slope`` and ``scl_inter``; axes are turned and flipped to RAS+, never interpolated. The sform is
    preferred to the qform. NIfTI does not say what the values are, so the unit stays empty.

    Args:
        data: The whole file.
        frame: Number of the volume of a four-dimensional file, from 0; needed when there are several.
        sample_id: Named in errors.

    Returns:
        The volume.

    Raises:
        DataError: For broken or lying headers, other sample types than real numbers, several volumes without ``frame``, and bombs.
    """
    del sample_id  # used by the guard
    header, stored = _load(data, frame=frame)
    scaled = np.asarray(stored, dtype=np.float32)
    if (header.slope, header.intercept) != (1.0, 0.0):
        scaled = (stored.astype(np.float64) * header.slope + header.intercept).astype(np.float32)
    voxels, missing = finite(scaled)
    affine = header.affine
    turned: tuple[str, ...] = ("orientation is not declared",)
    if np.isfinite(affine).all():
        voxels, affine, turned = orient(voxels, affine)
        spacing = spacing_of(affine)
    else:
        voxels, spacing = np.ascontiguousarray(voxels.transpose(2, 1, 0)), header.spacing[::-1]
    depth, height, width = voxels.shape
    facts = Facts(
        file_format="nifti",
        color_mode=str(header.dtype.name),
        height=height,
        width=width,
        bits=8 * header.dtype.itemsize,
        file_bytes=len(data),
        spacing_mm=math.sqrt(spacing[1] * spacing[2]),
        depth=depth,
        slice_mm=spacing[0],
        steps=(*header.steps, *missing, *turned),
    )
    return Volume(voxels, affine, spacing, "", facts)


@guarded("NIfTI label map")
def read_label_map(data: bytes, *, sample_id: str = "") -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Read a map of whole numbers, one structure each.

    Args:
        data: The whole file.
        sample_id: Named in errors.

    Returns:
        (D, H, W) int32 labels, oriented as ``read_nifti`` does, and the (4, 4) affine from (w, h, d, 1) to mm; NaN where not declared.

    Raises:
        DataError: As ``read_nifti``; and for values that are not whole, negative, or too many to be labels.
    """
    del sample_id  # used by the guard
    header, stored = _load(data, frame=None)
    values = stored.astype(np.float64) * header.slope + header.intercept
    if not np.isfinite(values).all() or (values != np.rint(values)).any() or values.min() < 0 or values.max() >= 1 << 20:
        raise Unreadable(expected="whole numbers from 0 to a million as labels", found="other values")
    affine = header.affine
    labels = values.astype(np.float32)  # exact below 2 ** 24
    if np.isfinite(affine).all():
        labels, affine, _ = orient(labels, affine)
    else:
        labels = labels.transpose(2, 1, 0)
    return np.ascontiguousarray(labels.astype(np.int32)), affine


class _Packed:
    """Bytes of a gzip file, inflated only as far as asked."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def read(self, count: int) -> bytes:
        """First ``count`` bytes; fewer when the file ends. Memory grows with what is really there, never with what is promised."""
        parts: list[bytes] = []
        rest: bytes | memoryview = self._data
        missing = count
        while missing > 0 and len(rest):
            part = self._inflater.decompress(rest, min(missing, _CHUNK))
            rest = self._inflater.unconsumed_tail
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def _load(data: bytes, *, frame: int | None) -> tuple[Header, NDArray[np.generic]]:
    """Header and (I, J, K) stored values."""
    packed = data[:2] == b"\x1f\x8b"
    header = _parse(_Packed(data).read(_LONGEST) if packed else data[:_LONGEST])
    chosen = _frame(header.shape[3], frame)
    size = header.dtype.itemsize * math.prod(header.shape[:3])
    begin = header.offset + chosen * size
    whole = header.offset + header.shape[3] * size
    if whole > (len(data) * _MAX_RATIO if packed else len(data)):
        raise Unreadable(expected=f"{whole} bytes, as the header promises", found="a file that cannot hold them")
    content = _Packed(data).read(begin + size) if packed else data
    if len(content) < begin + size:
        raise Unreadable(expected=f"{begin + size} bytes, as the header promises", found=f"{len(content)}")
    stored = np.frombuffer(content, dtype=header.dtype, count=size // header.dtype.itemsize, offset=begin)
    return header, stored.reshape(header.shape[:3], order="F")


def _frame(frames: int, asked: int | None) -> int:
    if asked is None and frames > 1:
        raise Unreadable(
            expected="one volume", found=f"{frames}", remedy="Name the frame, as in 'scan.nii.gz/0', or export it to a file of its own"
        )
    if not 0 <= (asked or 0) < frames:
        raise Unreadable(expected=f"a frame from 0 to {frames - 1}", found=f"{asked}")
    return asked or 0


def _parse(head: bytes) -> Header:
    layout, order = _version(head)

    def take(field: _Field) -> tuple[float, ...]:
        return struct.unpack_from(order + field[1], head, field[0])

    shape = _shape([int(value) for value in take(layout.dim)])
    code, bits = (int(value) for value in take(layout.datatype))
    if code not in _TYPES or bits != 8 * int(_TYPES[code][1]):
        raise Unreadable(expected="real numbers of 8 to 64 bits as voxels", found=f"data type {code} of {bits} bits")
    (offset,) = take(layout.vox_offset)
    if not math.isfinite(offset) or offset != int(offset) or not layout.size <= offset <= _MAX_OFFSET:
        raise Unreadable(expected="voxels that begin after the header", found="another offset")
    slope, intercept = take(layout.scaling)
    if slope == 0 or not math.isfinite(slope):  # nifti1.h: 0 means no scaling; some writers leave NaN
        slope, intercept = 1.0, 0.0
    if not math.isfinite(intercept):
        raise Unreadable(expected="a finite scl_inter", found="another value")
    affine, spacing, steps = geometry(
        shape[:3],
        pixdim=take(layout.pixdim),
        units=int(take(layout.units)[0]),
        quaternion=take(layout.quaternion) if take(layout.codes)[0] > 0 else None,
        rows=take(layout.rows) if take(layout.codes)[1] > 0 else None,
    )
    scaled = () if (slope, intercept) == (1, 0) else (f"scaled by slope {slope:g} and intercept {intercept:g}",)
    return Header(shape, np.dtype(order + _TYPES[code]), int(offset), slope, intercept, affine, spacing, scaled + steps)


def _version(head: bytes) -> tuple[Layout, str]:
    """Layout and byte order, by the first number and the magic."""
    for order in ("<", ">"):
        size = struct.unpack_from(order + "i", head)[0] if len(head) >= 4 else 0
        for layout, magic in ((_ONE, head[344:348]), (_TWO, head[4:8])):
            if size == layout.size and len(head) >= layout.size:
                if magic[:3] in (b"n+1", b"n+2"):
                    return layout, order
                if magic[:3] in (b"ni1", b"ni2"):
                    raise Unreadable(expected="one .nii file", found="the header of a pair", remedy="Convert .hdr and .img to one .nii")
                raise Unreadable(expected="a NIfTI header", found="an Analyze header, which does not tell left from right")
    raise Unreadable(expected="a NIfTI header of 348 or 540 bytes", found="another beginning, or a truncated one")


def _shape(dim: list[int]) -> tuple[int, int, int, int]:
    count = dim[0]
    if not 1 <= count <= 7:
        raise Unreadable(expected="1 to 7 dimensions", found=str(count))
    sizes = [*dim[1 : count + 1], 1, 1, 1, 1][: max(4, count)]
    if any(size != 1 for size in sizes[4:]):
        raise Unreadable(expected="at most four dimensions", found=f"{count}")
    check_voxels(tuple(sizes[:3]))
    if not 1 <= sizes[3] <= MAX_VOXELS:
        raise Unreadable(expected="at least one volume", found=str(sizes[3]))
    return sizes[0], sizes[1], sizes[2], sizes[3]
