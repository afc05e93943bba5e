# SPDX-License-Identifier: Apache-2.0
"""The deterministic steps for volumes: read, scale, resize with antialiasing in millimetres, pad or crop, store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from medsetu.core.errors import ConfigError, DataError
from medsetu.data.intensity import Percentile
from medsetu.data.pipeline import Pipeline
from medsetu.reader.frame import centred
from medsetu.reader.guard import guarded
from medsetu.reader.sample import read_volume
from medsetu.reader.volume import Volume, to_unit_range


def prepare_volume(pipeline: Pipeline, *, path: Path, sample_id: str) -> NDArray[Any]:
    """Run the steps on one volume.

    Args:
        pipeline: The pipeline, with a size of depth, height and width.
        path: File, folder of slices, or member of a file.
        sample_id: Name of the sample, for messages.

    Returns:
        (D, H, W) in the storage dtype, in the orientation of ``reader.volume.Volume``.

    Raises:
        ConfigError: An intensity step is made for pictures.
        DataError: The volume is unreadable, or a step refuses it.
    """
    volume = _scaled(read_volume(path, sample_id=sample_id), pipeline.window, sample_id=sample_id)
    shape = volume_shape(volume.voxels.shape, pipeline.size, spacing=volume.spacing_mm, fit=pipeline.fit)
    voxels = resize(volume.voxels, shape)
    for step in pipeline.intensity:
        if not isinstance(step, Percentile):
            raise ConfigError(
                what=f"The step {type(step).__name__} is made for pictures", where="Key data.intensity", remedy="Leave it out"
            )
        try:
            voxels = step(voxels)
        except DataError as error:
            raise DataError(what=error.what, where=f"Sample {sample_id}, {error.where}", remedy=error.remedy) from None
    return pipeline.encode(pad_or_crop(voxels, pipeline.size))


@guarded("volume")
def _scaled(volume: Volume, window: tuple[float, float] | None, *, sample_id: str = "") -> Volume:
    del sample_id  # used by the guard
    return to_unit_range(volume, window)


def volume_shape(shape: Sequence[int], size: Sequence[int], *, spacing: Sequence[float], fit: str) -> tuple[int, int, int]:
    """Find the shape a volume is resized to before padding or cropping; the result has voxels of one size along all axes.

    Args:
        shape: Depth, height and width of the volume, voxels.
        size: Depth, height and width wanted, voxels.
        spacing: Distance of voxels along them, mm; an axis without one is taken to be spaced like the mean of the others, or all alike.
        fit: ``pad`` (all of it, at one scale), ``crop`` (cover the size) or ``stretch`` (each axis by itself).

    Returns:
        Depth, height and width, each at least 1.

    Example:
        >>> volume_shape((30, 512, 512), (64, 64, 64), spacing=(5.0, 0.5, 0.5), fit="pad")
        (38, 64, 64)
        >>> volume_shape((30, 512, 512), (64, 64, 64), spacing=(5.0, 0.5, 0.5), fit="crop")
        (64, 109, 109)
    """
    if fit == "stretch":
        return size[0], size[1], size[2]
    known = [length for length in spacing if np.isfinite(length)]
    usual = float(np.mean(known)) if known else 1.0
    extents = [count * (length if np.isfinite(length) else usual) for count, length in zip(shape, spacing, strict=True)]
    ratios = [wanted / extent for wanted, extent in zip(size, extents, strict=True)]
    ratio = min(ratios) if fit == "pad" else max(ratios)
    depth, height, width = (max(1, round(extent * ratio)) for extent in extents)
    return depth, height, width


def resize(voxels: NDArray[np.float32], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Resize with an antialiasing linear filter, axis by axis, as pictures are.

    Args:
        voxels: (D, H, W).
        shape: Depth, height and width wanted.

    Returns:
        float32 of that shape.

    Example:
        >>> resize(np.ones((4, 6, 8), np.float32), (2, 3, 9)).shape
        (2, 3, 9)
    """
    depth, height, width = shape
    options: dict[str, Any] = {"mode": "bilinear", "antialias": True, "align_corners": False}
    plane = functional.interpolate(torch.from_numpy(np.ascontiguousarray(voxels))[None], size=(height, width), **options)
    along = functional.interpolate(plane.permute(0, 2, 1, 3), size=(depth, width), **options)
    return np.ascontiguousarray(along[0].permute(1, 0, 2).numpy())


def pad_or_crop(voxels: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    """Pad with black or cut around the centre, as ``monai.transforms.ResizeWithPadOrCrop`` does.

    Args:
        voxels: Any shape.
        size: As many sides.

    Returns:
        An array of that size.

    Example:
        >>> pad_or_crop(np.array([[1, 2, 3, 4]], np.float32), (2, 2)).tolist()
        [[2.0, 3.0], [0.0, 0.0]]
    """
    result = np.zeros(tuple(size), np.float32)
    cuts = [centred(have, want) for have, want in zip(voxels.shape, size, strict=True)]
    placed = tuple(slice(at, at + kept) for _, at, kept in cuts)
    result[placed] = voxels[tuple(slice(first, first + kept) for first, _, kept in cuts)]
    return result
