# SPDX-License-Identifier: Apache-2.0
"""Writes small NIfTI files byte by byte, so that a test can plant any lie in a header."""

import gzip
import struct

import numpy as np

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
SENTINEL = "ZZ^SENTINEL"


def nifti(array: np.ndarray, *, sform=None, qform=None, pixdim=(1, 1, 1, 1), units=2, scaling=(1.0, 0.0), order="<", **lies) -> bytes:
    """Write a NIfTI-1 file; ``qform`` is (b, c, d, x, y, z). ``lies`` overwrite header fields: dim, datatype, bitpix, vox_offset, magic."""
    head = bytearray(352)
    kind = array.dtype.str[1:]
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + "8h", head, 40, *lies.get("dim", (array.ndim, *array.shape, *[1] * (7 - array.ndim))))
    struct.pack_into(order + "2h", head, 70, lies.get("datatype", CODES.get(kind, 0)), lies.get("bitpix", 8 * array.itemsize))
    struct.pack_into(order + "8f", head, 76, *pixdim, *[0.0] * (8 - len(pixdim)))
    struct.pack_into(order + "f", head, 108, lies.get("vox_offset", 352.0))
    struct.pack_into(order + "2f", head, 112, *scaling)
    head[123] = units
    head[148:159] = SENTINEL.encode()  # descrip: free text
    struct.pack_into(order + "2h", head, 252, int(qform is not None), int(sform is not None))
    if qform is not None:
        struct.pack_into(order + "6f", head, 256, *qform)
    if sform is not None:
        struct.pack_into(order + "12f", head, 280, *np.asarray(sform, float)[:3].ravel())
    head[344:348] = lies.get("magic", b"n+1\0")
    return bytes(head) + array.astype(array.dtype.newbyteorder(order)).tobytes(order="F")


def nifti2(array: np.ndarray, *, sform) -> bytes:
    """Write a NIfTI-2 file."""
    head = bytearray(544)
    struct.pack_into("<i", head, 0, 540)
    head[4:12] = b"n+2\0\r\n\x1a\n"
    struct.pack_into("<2h", head, 12, CODES[array.dtype.str[1:]], 8 * array.itemsize)
    struct.pack_into("<8q", head, 16, array.ndim, *array.shape, *[1] * (7 - array.ndim))
    struct.pack_into("<8d", head, 104, 1.0, *np.linalg.norm(np.asarray(sform)[:3, :3], axis=0), 0, 0, 0, 0)
    struct.pack_into("<q", head, 168, 544)
    struct.pack_into("<2d", head, 176, 1.0, 0.0)
    struct.pack_into("<2i", head, 344, 0, 1)
    struct.pack_into("<12d", head, 400, *np.asarray(sform, float)[:3].ravel())
    struct.pack_into("<i", head, 500, 2)
    return bytes(head) + array.tobytes(order="F")


def packed(data: bytes) -> bytes:
    """Pack by gzip."""
    return gzip.compress(data, mtime=0)
