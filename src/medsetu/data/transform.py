# SPDX-License-Identifier: Apache-2.0
"""The deterministic steps as MONAI transforms; imported only when an image has to be prepared, because importing MONAI takes seconds."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms.compose import Compose
from monai.transforms.croppad.dictionary import ResizeWithPadOrCropd
from monai.transforms.transform import MapTransform
from numpy.typing import NDArray
from torch.nn import functional

from medsetu.core.errors import DataError
from medsetu.data.breast import breast_region
from medsetu.data.intensity import Intensity
from medsetu.data.pipeline import Pipeline
from medsetu.reader.frame import resized_shape
from medsetu.reader.sample import read_picture

_IMAGE = "image"
_ID = "sample_id"


class ReadImaged(MapTransform):
    """Replace a path by its (1, H, W) float32 intensities in [0, 1]."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read every key; headers are dropped here and never travel on."""
        done = dict(data)
        for key in self.key_iterator(done):
            done[key] = torch.from_numpy(read_picture(done[key], sample_id=str(done[_ID])).pixels)[None]
        return done


class CutToBreastd(MapTransform):
    """Cut every key to the rectangle around the breast."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Cut every key."""
        done = dict(data)
        for key in self.key_iterator(done):
            top, left, bottom, right = breast_region(done[key][0].numpy())
            done[key] = done[key][:, top:bottom, left:right]
        return done


class Resized(MapTransform):
    """Resize with an antialiasing bilinear filter (the one of Pillow), keeping the aspect unless ``fit`` is ``stretch``.

    Args:
        size: Height and width, pixels.
        fit: ``pad`` makes the image fit inside the size, ``crop`` makes it cover the size, ``stretch`` gives it the size.
    """

    def __init__(self, size: tuple[int, int], *, fit: str) -> None:
        super().__init__([_IMAGE])
        self.size = size
        self.fit = fit

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resize every key."""
        done = dict(data)
        for key in self.key_iterator(done):
            shape = resized_shape(done[key].shape[-2:], self.size, fit=self.fit)
            done[key] = functional.interpolate(done[key][None], size=shape, mode="bilinear", antialias=True, align_corners=False)[0]
        return done


class Intensityd(MapTransform):
    """Apply one intensity step.

    Args:
        step: The step.
    """

    def __init__(self, step: Intensity) -> None:
        super().__init__([_IMAGE])
        self.step = step

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Map the intensities of every key."""
        done = dict(data)
        for key in self.key_iterator(done):
            done[key] = torch.from_numpy(self.step(done[key][0].numpy()))[None]
        return done


def compose(pipeline: Pipeline) -> Compose:
    """Chain the steps of a pipeline as MONAI transforms."""
    cut = [CutToBreastd([_IMAGE])] if pipeline.cut == "breast" else []
    steps = [ReadImaged([_IMAGE]), *cut, Resized((pipeline.size[0], pipeline.size[1]), fit=pipeline.fit)]
    steps += [Intensityd(step) for step in pipeline.intensity]
    return Compose([*steps, ResizeWithPadOrCropd([_IMAGE], pipeline.size)])


def prepare_image(steps: Compose, pipeline: Pipeline, *, path: Path, sample_id: str) -> NDArray[Any]:
    """Run the steps on one file.

    Args:
        steps: What ``compose`` made of the pipeline.
        pipeline: The pipeline.
        path: Image file.
        sample_id: Name of the sample, for messages.

    Returns:
        (H, W) in the storage dtype.

    Raises:
        DataError: The file is unreadable, or a step refuses it.
    """
    try:
        image = steps({_IMAGE: path, _ID: sample_id})[_IMAGE]
    except RuntimeError as error:  # MONAI wraps what a transform raises
        refusal = _refusal(error)
        if refusal is None:
            raise
        where = refusal.where if sample_id in refusal.where else f"Sample {sample_id}, {refusal.where}"
        raise DataError(what=refusal.what, where=where, remedy=refusal.remedy) from None
    pixels = np.asarray(image[0], dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise DataError(what="An image holds values that are not numbers", where=f"Sample {sample_id}", remedy="Quarantine the sample")
    return pipeline.encode(pixels)


def _refusal(error: BaseException) -> DataError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DataError):
        cause = cause.__cause__
    return cause
