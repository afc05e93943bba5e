# SPDX-License-Identifier: Apache-2.0
"""Arrays of an ``.npz`` file as single samples: ``breastmnist.npz/train_images/000012``, one picture or volume per first index."""

import functools
import math
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from medsetu.reader.colour import luma
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.picture import Facts, Picture, to_unit
from medsetu.reader.volume import RELATIVE, Volume, check_voxels

MAX_BYTES = 1 << 31
"""Bytes above which an array is not loaded: no item of it can be read without all that stand before."""

_RGB: Final = 3
_HELD: Final = 4  # arrays kept per process


@guarded("npz")
def array_shapes(path: Path, *, sample_id: str = "") -> dict[str, tuple[int, ...]]:
    """Read the shape of every array from its header, without loading one.

    Args:
        path: The ``.npz`` file.
        sample_id: Named in errors.

    Returns:
        Name to shape, in the order of the file.

    Raises:
        DataError: For broken archives, arrays of objects, larger ones than ``MAX_BYTES``, and headers that lie.
    """
    del sample_id  # used by the guard
    return _shapes(path)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                if npy.read_magic(stream) not in ((1, 0), (2, 0)):
                    raise Unreadable(expected="NumPy arrays of format 1 or 2", found="another format")
                stream.seek(0)
                reader = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = reader(stream)
            if dtype.hasobject or math.prod(shape) * dtype.itemsize > min(entry.file_size, MAX_BYTES):
                raise Unreadable(
                    expected=f"plain arrays of at most {MAX_BYTES} bytes",
                    found="objects, a larger array, or a header that lies",
                    remedy="Use the release in a smaller size",
                )
            shapes[entry.filename.removesuffix(".npy")] = tuple(shape)
    return shapes


@guarded("npz")
def read_item(path: Path, member: str, *, sample_id: str = "") -> Picture | Volume:
    """Read one item of an array.

    Args:
        path: The ``.npz`` file.
        member: Name of the array and first index: ``train_images/000012``.
        sample_id: Named in errors.

    Returns:
        A picture for (H, W) and (H, W, 3) items, a volume without orientation for (D, H, W) ones; 8 bits scaled to [0, 1].

    Raises:
        DataError: When there is no such item, or it is not of 8 bits.
    """
    del sample_id  # used by the guard
    item = _item(path, member)
    if item.dtype != np.uint8:
        raise Unreadable(expected="items of 8 bits", found=str(item.dtype))
    item = item.astype(np.uint8, copy=False)
    size = path.stat().st_size
    if item.ndim == 3 and item.shape[2] == _RGB:
        colour = Facts("npz", "RGB", item.shape[0], item.shape[1], 8, size, steps=("colour to grey by luma",))
        return Picture(luma(item), colour)
    scaled = to_unit(item, 255)
    steps = ("scaled by declared maximum 255",)
    if item.ndim == 2:
        return Picture(scaled, Facts("npz", "L", item.shape[0], item.shape[1], 8, size, steps=steps))
    if item.ndim != 3:
        raise Unreadable(expected="pictures or volumes", found=f"items of {item.ndim} dimensions")
    check_voxels(item.shape)
    facts = Facts("npz", "L", item.shape[1], item.shape[2], 8, size, depth=item.shape[0], steps=(*steps, "orientation is not declared"))
    return Volume(scaled, np.full((4, 4), math.nan), (math.nan,) * 3, RELATIVE, facts)


@guarded("npz")
def read_array(path: Path, name: str, *, sample_id: str = "") -> NDArray[Any]:
    """Read one array whole, such as labels.

    Args:
        path: The ``.npz`` file.
        name: Of the array.
        sample_id: Named in errors.

    Returns:
        The array, read-only.

    Raises:
        DataError: When there is none, or it is not plain.
    """
    del sample_id  # used by the guard
    state = path.stat()
    array = _array(path, name, state.st_size, state.st_mtime_ns).view()
    array.flags.writeable = False
    return array


@guarded("npz")
def item_bytes(path: Path, member: str, *, sample_id: str = "") -> bytes:
    """Bytes that tell an item from any other: shape, type and values.

    Raises:
        DataError: As ``read_item``.
    """
    del sample_id  # used by the guard
    item = _item(path, member)
    return f"{item.shape} {item.dtype.str} ".encode() + item.tobytes()


def _item(path: Path, member: str) -> NDArray[Any]:
    name, _, number = member.rpartition("/")
    state = path.stat()
    array = _array(path, name, state.st_size, state.st_mtime_ns)
    if not number.isdigit() or int(number) >= len(array):
        raise Unreadable(expected=f"a number below {len(array)}", found="another item")
    return np.asarray(array[int(number)])


@functools.lru_cache(maxsize=_HELD)
def _array(path: Path, name: str, size: int, modified: int) -> NDArray[np.generic]:
    """Load one array; size and time of the file are part of the key."""
    del size, modified
    shapes = _shapes(path)
    if name not in shapes or not shapes[name]:
        raise Unreadable(expected="an array of that name", found=f"{len(shapes)} others")
    with np.load(path, allow_pickle=False) as arrays:
        return np.asarray(arrays[name])
