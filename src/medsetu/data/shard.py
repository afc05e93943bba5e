# SPDX-License-Identifier: Apache-2.0
"""One cache file: prepared images beside the hash of each, in the safetensors layout, so that it is written at once and mapped at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from medsetu.core.run import atomic_write, content_key, sha256_bytes
from medsetu.data.pipeline import Pipeline

SUFFIX = ".safetensors"
_LENGTH_BYTES = 8  # safetensors: little-endian length of the JSON header, the header, the data
_TENSOR = "images"


class DamagedShardError(Exception):
    """The file is not a shard of this pipeline any more: truncated, overwritten or foreign."""


@dataclass(frozen=True)
class Shard:
    """Prepared images of one file.

    Attributes:
        path: The file.
        keys: SHA-256 of the source file of each image.
        hashes: SHA-256 of each image's bytes.
        images: (n, H, W) in the storage dtype, mapped from the file.
    """

    path: Path
    keys: tuple[str, ...]
    hashes: tuple[str, ...]
    images: NDArray[Any]

    def is_sound(self, row: int) -> bool:
        """Compare one image with the hash that was written beside it."""
        return sha256_bytes(self.images[row].tobytes()) == self.hashes[row]


def write_shard(folder: Path, keys: Sequence[str], images: Sequence[NDArray[Any]]) -> Path:
    """Write images to one file named by its content, atomically.

    Args:
        folder: Folder of the pipeline.
        keys: SHA-256 of each source file.
        images: (H, W) arrays of one dtype.

    Returns:
        The file.

    Raises:
        ResourceError: The disk is full, or the folder cannot be written.
    """
    hashes = [sha256_bytes(image.tobytes()) for image in images]
    data = save({_TENSOR: np.stack(images)}, metadata={"keys": json.dumps(list(keys)), "hashes": json.dumps(hashes)})
    return atomic_write(folder / f"{content_key([list(keys), hashes])}{SUFFIX}", data)


def read_shard(path: Path, pipeline: Pipeline) -> Shard:
    """Map one file; pixels are read when they are used.

    Args:
        path: The file.
        pipeline: Decides size and dtype.

    Returns:
        The shard; its images are not compared with their hashes yet.

    Raises:
        DamagedShardError: Header or length is not what was written.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            header = json.loads(stream.read(min(length, path.stat().st_size)))
        keys, hashes = (tuple(map(str, json.loads(header["__metadata__"][name]))) for name in ("keys", "hashes"))
        begin, end = header[_TENSOR]["data_offsets"]
        shape = (len(keys), *pipeline.size)
        size = int(np.prod(shape)) * np.dtype(pipeline.storage).itemsize
        start = _LENGTH_BYTES + length + begin
        if len(hashes) != len(keys) or end - begin != size or path.stat().st_size != start + size:
            raise DamagedShardError(str(path))
        images = np.memmap(path, dtype=pipeline.storage, mode="r", offset=start, shape=shape)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DamagedShardError(str(path)) from error
    return Shard(path=path, keys=keys, hashes=hashes, images=images)
