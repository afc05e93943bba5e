# SPDX-License-Identifier: Apache-2.0
"""Random augmentation after the cache: numbers drawn per sample from its key, pictures changed a batch at a time.

What a sample gets depends on (seed, epoch, sample, repeat) alone: not on its batch, the number of workers, or where a run was resumed.
Arithmetic that could round differently at another place in memory (powers, sines) is done in float64 and then rounded.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medsetu.core.errors import ConfigError

_BOX = 6  # numbers per box: centre row and column, height and width, intensity, whether it exists
_FIXED = 18  # uniform numbers before those of the boxes
_PIXELS = 2**18  # changed at a time: what the processor's cache holds
_FIELD = 2**20  # length of the fixed normal field that noise is cut from


@dataclass(frozen=True)
class Augmentation:
    """Random changes of an image; every number may be 0, and 0 means never or not at all.

    Order: geometry, flip, intensity, inversion, blur, noise, boxes. Amounts are uniform in the stated range.

    Attributes:
        geometry_p: Probability of a rotation, shift and zoom.
        rotation: Largest angle, degrees, either way.
        shift: Largest shift along each axis, as a share of that side.
        zoom: Largest change of scale, as a share: 0.1 means 0.9 to 1.1.
        flip_p: Probability of a left-right flip; 0 for chest images, where it would move the heart.
        intensity_p: Probability of a change of gamma, contrast and brightness.
        gamma: Largest |log gamma|; intensities become ``x ** gamma``.
        contrast: Largest change of contrast about 0.5, as a share.
        brightness: Largest intensity added or taken.
        invert_p: Probability of ``1 - x``.
        blur_p: Probability of a Gaussian blur.
        blur: Largest standard deviation of the blur, pixels; the smallest is half of it, as less would blur nothing.
        noise_p: Probability of Gaussian noise.
        noise: Largest standard deviation of the noise, intensity.
        box_p: Probability that boxes are pasted, whatever the label (redaction boxes must not tell the class; also random erasing).
        box_count: Largest number of boxes, at least 1 when pasted.
        box_size: Smallest and largest side of a box, as a share of the image's side.
        box_value: Lowest and highest intensity of a box; (1, 1) is white.

    Raises:
        ConfigError: A number is out of its range.
    """

    geometry_p: float = 1.0
    rotation: float = 10.0
    shift: float = 0.05
    zoom: float = 0.1
    flip_p: float = 0.0
    intensity_p: float = 1.0
    gamma: float = 0.2
    contrast: float = 0.2
    brightness: float = 0.1
    invert_p: float = 0.0
    blur_p: float = 0.0
    blur: float = 1.0
    noise_p: float = 0.5
    noise: float = 0.02
    box_p: float = 0.0
    box_count: int = 3
    box_size: tuple[float, float] = (0.05, 0.2)
    box_value: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "box_size", tuple(self.box_size))  # lists come from YAML
        object.__setattr__(self, "box_value", tuple(self.box_value))
        shares = (
            "geometry_p",
            "flip_p",
            "intensity_p",
            "invert_p",
            "blur_p",
            "noise_p",
            "box_p",
            "shift",
            "brightness",
            "noise",
            "contrast",
        )
        tops = dict.fromkeys(shares, 1.0) | {"rotation": 180.0, "zoom": 0.9, "gamma": 3.0, "blur": 8.0, "box_count": 32}
        for key, top in tops.items():
            if not 0 <= getattr(self, key) <= top:
                raise ConfigError(
                    what=f"{getattr(self, key)} is out of range", where=f"Key data.augment.{key}", remedy=f"Give 0 to {top:g}"
                )
        for key in ("box_size", "box_value"):
            low, high = getattr(self, key)
            if not 0 <= low <= high <= 1:
                raise ConfigError(
                    what=f"({low}, {high}) is not a range", where=f"Key data.augment.{key}", remedy="Give 0 <= low <= high <= 1"
                )

    def draw(self, samples: NDArray[np.uint64], *, seed: int, epoch: int, repeats: NDArray[np.int64]) -> NDArray[np.float64]:
        """Draw the uniform numbers of some samples from a counter-based generator (Philox, Salmon et al. 2011).

        Args:
            samples: (B,) number of each sample, see ``sample_number``.
            seed: Seed of the run, at least 0.
            epoch: Epoch, at least 0.
            repeats: (B,) how many times the sample was already shown in this epoch.

        Returns:
            (B, K) numbers in [0, 1).

        Example:
            >>> one = Augmentation().draw(np.array([7, 9], dtype=np.uint64), seed=0, epoch=3, repeats=np.array([0, 0]))
            >>> two = Augmentation().draw(np.array([9], dtype=np.uint64), seed=0, epoch=3, repeats=np.array([0]))
            >>> bool((one[1] == two[0]).all())
            True
        """
        width = _FIXED + _BOX * self.box_count
        numbers = np.empty((len(samples), width))
        for row, (sample, repeat) in enumerate(zip(samples.tolist(), repeats.tolist(), strict=True)):
            # the generator counts in the lowest word of the counter, so two keys never share a number
            philox = np.random.Philox(key=[seed, sample], counter=[0, repeat, epoch, 0])
            numbers[row] = np.random.Generator(philox).random(width)
        return numbers

    def apply(self, images: Tensor, numbers: NDArray[np.float64]) -> Tensor:
        """Change a batch.

        Args:
            images: (B, 1, H, W) float32 intensities in [0, 1], on any device; not changed. Of volumes (B, 1, D, H, W) every slice is
                changed alike: rotation, shift, blur and boxes lie in the plane of the slices.
            numbers: (B, K) from ``draw``.

        Returns:
            The same shape, float32 intensities in [0, 1].
        """
        if images.ndim == 5:
            return self.apply(images[:, 0], numbers)[:, None]
        together = max(2, _PIXELS // images[0].numel())
        starts = range(0, len(images), together)
        return torch.cat([self._apply(images[start : start + together], numbers[start : start + together]) for start in starts])

    def _apply(self, images: Tensor, numbers: NDArray[np.float64]) -> Tensor:
        take = _Numbers(numbers[:, :_FIXED])
        images = _where(
            images,
            take.gate(self.geometry_p),
            _affine,
            take.either_way(self.rotation),
            take.either_way(self.shift),
            take.either_way(self.shift),
            1 + take.either_way(self.zoom),
        )
        images = _where(images, take.gate(self.flip_p), _flip)
        gate, gamma = take.gate(self.intensity_p), np.exp(take.either_way(self.gamma))
        images = _where(images, gate, _tone, gamma, 1 + take.either_way(self.contrast), take.either_way(self.brightness))
        images = _where(images, take.gate(self.invert_p), _invert)
        images = _where(
            images, take.gate(self.blur_p), partial(_blur, radius=math.ceil(2 * self.blur)), (1 + take.up_to(1.0)) * self.blur / 2
        )
        images = _where(images, take.gate(self.noise_p), _noise, take.up_to(self.noise), take.up_to(1.0))
        pasted, count = take.gate(self.box_p), 1 + np.floor(take.up_to(self.box_count))
        return _where(images, pasted, _paste, self._boxes(numbers[:, _FIXED:], count))

    def _boxes(self, numbers: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale (B, boxes * 6) uniform numbers to (B, boxes, 6): centre, size, intensity, whether the box exists."""
        boxes = numbers.reshape(len(numbers), self.box_count, _BOX).copy()
        boxes[..., 2:4] = self.box_size[0] + boxes[..., 2:4] * (self.box_size[1] - self.box_size[0])
        boxes[..., 4] = self.box_value[0] + boxes[..., 4] * (self.box_value[1] - self.box_value[0])
        boxes[..., 5] = np.arange(self.box_count) < count[:, None]
        return boxes


class _Numbers:
    """Uniform numbers handed out column by column."""

    def __init__(self, numbers: NDArray[np.float64]) -> None:
        self._columns: Iterator[NDArray[np.float64]] = iter(numbers.T)

    def gate(self, p: float) -> NDArray[np.bool_]:
        return np.asarray(next(self._columns) < p)

    def up_to(self, top: float) -> NDArray[np.float64]:
        return next(self._columns) * top

    def either_way(self, top: float) -> NDArray[np.float64]:
        return (2 * next(self._columns) - 1) * top


def _where(images: Tensor, gate: NDArray[np.bool_], change: Callable[..., Tensor], *amounts: NDArray[np.float64]) -> Tensor:
    """Change the samples whose gate is open; the others keep every bit."""
    if gate.all():
        return change(images, *amounts)
    if not gate.any():
        return images
    chosen = torch.from_numpy(np.flatnonzero(gate)).to(images.device)
    return images.index_copy(0, chosen, change(images.index_select(0, chosen), *(amount[gate] for amount in amounts)))


def _column(values: NDArray[Any], like: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """Shape (B,) numbers to (B, 1, 1, 1) beside the images."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(device=like.device, dtype=dtype or like.dtype)[:, None, None, None]


def _affine(
    images: Tensor, degrees: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64], zoom: NDArray[np.float64]
) -> Tensor:
    """Rotate counter-clockwise (as seen), zoom about the centre, then shift; black comes in from outside."""
    height, width = images.shape[-2:]
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    rows = np.arange(height) - (height - 1) / 2 - (down * height)[:, None]
    columns = np.arange(width) - (width - 1) / 2 - (right * width)[:, None]
    # inverse map in pixels, so that a rotation stays a rotation when height and width differ; rows point down.
    # Complex numbers (column + i row) make the (B, H, W, 2) grid one addition of a column part and a row part.
    across = columns * (cos * 2 / width + 1j * sin * 2 / height)[:, None]
    along = rows * (-sin * 2 / width + 1j * cos * 2 / height)[:, None]
    parts = [torch.from_numpy(part.astype(np.complex64)).to(images.device) for part in (across, along)]
    grid = torch.view_as_real(parts[0][:, None, :] + parts[1][:, :, None])
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _flip(images: Tensor) -> Tensor:
    return images.flip(-1)


def _tone(images: Tensor, gamma: NDArray[np.float64], contrast: NDArray[np.float64], brightness: NDArray[np.float64]) -> Tensor:
    power = _column(gamma, images, dtype=torch.float64)
    toned = images.double().log_().mul_(power).exp_().to(images.dtype)  # half the memory and time of pow; 0 stays 0
    return toned.sub_(0.5).mul_(_column(contrast, images)).add_(_column(brightness + 0.5, images)).clamp_(0, 1)


def _invert(images: Tensor) -> Tensor:
    return 1 - images


def _blur(images: Tensor, sd: NDArray[np.float64], *, radius: int) -> Tensor:
    """Blur each sample with its own separable Gaussian, cut at ``radius`` pixels; borders are repeated."""
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / np.maximum(sd, 1e-3)[:, None]) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    for dim, side in ((-2, (0, 0, radius, radius)), (-1, (radius, radius, 0, 0))):
        padded = functional.pad(images, side, mode="replicate")
        length = images.shape[dim]
        blurred = torch.zeros_like(images)
        for position in range(2 * radius + 1):
            blurred.add_(padded.narrow(dim, position, length) * _column(kernel[:, position], images))
        images = blurred
    return images


def _noise(images: Tensor, sd: NDArray[np.float64], place: NDArray[np.float64]) -> Tensor:
    """Add a window of one fixed normal field, cut at a random place: as random as needed, and a copy instead of a draw."""
    length = images[0].numel()
    field = _field(str(images.device), _FIELD + length)
    starts = np.floor(place * _FIELD).astype(np.int64).tolist()
    noise = torch.stack([field[start : start + length] for start in starts]).view_as(images)
    return (noise.mul_(_column(sd, images))).add_(images).clamp_(0, 1)


@cache
def _field(device: str, length: int) -> Tensor:
    values = np.random.Generator(np.random.Philox(key=0)).standard_normal(length, dtype=np.float32)
    return torch.from_numpy(values).to(device)


def _paste(images: Tensor, boxes: NDArray[np.float64]) -> Tensor:
    height, width = images.shape[-2:]
    rows = ((torch.arange(height, device=images.device, dtype=images.dtype) + 0.5) / height)[None, None, :, None]
    columns = ((torch.arange(width, device=images.device, dtype=images.dtype) + 0.5) / width)[None, None, None, :]
    for number in range(boxes.shape[1]):
        row, column, tall, wide, value, exists = (_column(values, images) for values in boxes[:, number].T)
        inside = ((rows - row).abs() <= tall / 2) & ((columns - column).abs() <= wide / 2) & (exists > 0)
        images = torch.where(inside, value, images)
    return images


def sample_number(sample_id: str) -> int:
    """Number a sample for its random stream, the same in every table, fold and process.

    Returns:
        64 bits of a hash of the name.

    Example:
        >>> sample_number("a") == sample_number("a") != sample_number("b")
        True
    """
    return int.from_bytes(hashlib.blake2b(sample_id.encode(), digest_size=8).digest(), "little")
