# SPDX-License-Identifier: Apache-2.0
"""Portable grey maps, plain (P2) and raw (P5), scaled by the maxval of their header (netpbm's pgm format)."""

import re

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.guard import Unreadable
from medsetu.reader.picture import check_size

_GAP = rb"(?:[ \t\r\n\v\f]|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([25])" + (_GAP + rb"(\d{1,10})") * 3 + rb"(?:#[^\r\n]*)?[ \t\r\n\v\f]")
_COMMENT = re.compile(rb"#[^\r\n]*")


def parse_pgm(data: bytes) -> tuple[NDArray[np.unsignedinteger], int]:
    """Read the stored values of a PGM file.

    Args:
        data: The whole file.

    Returns:
        (H, W) unsigned values and the maxval that means white.

    Raises:
        Unreadable: When header, length or values contradict each other.

    Example:
        >>> parse_pgm(b"P2 2 1 # a comment" + bytes([10]) + b"100 0 50 ")
        (array([[ 0, 50]], dtype=uint32), 100)
    """
    header = _HEADER.match(data)
    if header is None:
        raise Unreadable(expected="a PGM header with width, height and maxval", found="another header")
    width, height, top = (int(number) for number in header.groups()[1:])
    check_size(height, width)
    if not 1 <= top <= 65535:
        raise Unreadable(expected="a maxval from 1 to 65535", found=str(top))
    parse = _plain if header.group(1) == b"2" else _raw
    stored = parse(data, header.end(), height * width, top)
    if stored.max() > top:
        raise Unreadable(expected=f"values up to the declared maxval of {top}", found="a larger value")
    return stored.reshape(height, width), top


def _plain(data: bytes, start: int, count: int, top: int) -> NDArray[np.unsignedinteger]:
    del top
    numbers = np.fromstring(_COMMENT.sub(b"", data[start:]), dtype=np.int64, sep=" ")
    if numbers.size != count or numbers.min() < 0:
        raise Unreadable(expected=f"{count} non-negative values", found=f"{numbers.size} readable ones")
    return numbers.clip(max=65536).astype(np.uint32)


def _raw(data: bytes, start: int, count: int, top: int) -> NDArray[np.unsignedinteger]:
    dtype = np.dtype(np.uint8 if top < 256 else ">u2")
    end = start + count * dtype.itemsize
    if len(data) < end:
        raise Unreadable(expected=f"{end - start} bytes of pixels", found=f"{len(data) - start} (truncated)")
    if data[end : end + 4096].strip(b"\0\r\n\t ") or len(data) > end + 4096:
        raise Unreadable(expected="one image", found="further data behind it")
    return np.frombuffer(data, dtype=dtype, count=count, offset=start)
