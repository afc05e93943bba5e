# SPDX-License-Identifier: Apache-2.0
"""What every volume reader hands on: voxels in one orientation, in their own unit, with spacing in mm and the place in the patient."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError
from medsetu.reader.guard import Unreadable
from medsetu.reader.picture import Facts

MAX_VOXELS = 1 << 29
"""Voxels above which a file is taken for a decompression bomb: a CT of 512 x 512 has 2,048 slices there."""

HOUNSFIELD = "HU"
RELATIVE = "relative"
"""Unit of values that their reader has scaled to [0, 1] by what the file declares."""

CT_RANGE = (-1024.0, 3071.0)
"""What 12 bits of a CT hold, HU; the range a volume in HU is scaled by where no window is named."""

PERCENTILES = (0.5, 99.5)
"""Where no unit is declared (MR, most NIfTI files) values mean nothing by themselves: these percentiles become 0 and 1."""

_SLICES = (0.2, 0.4, 0.6, 0.8)  # depths that stand for a volume in a montage


@dataclass(frozen=True)
class Volume:
    """One volume, ready for use.

    Attributes:
        voxels: (D, H, W) float32, C-contiguous, never NaN. Where the orientation is known, d grows to the head, h to the front and w to the
            right of the patient: the axes of NIfTI's RAS+, last one first. Of a film in time, d is time and (h, w) are rows and columns.
        affine: (4, 4) float64, from (w, h, d, 1) to millimetres in RAS+; all NaN where the orientation is unknown. Oblique volumes
            and those of a tilted gantry are not resampled: their affine is rotated or sheared.
        spacing_mm: Distance of voxel centres along d, h and w; NaN where the file does not say, and along time.
        unit: ``HU``, ``relative``, or empty where values have no unit.
        facts: What the file says about it; ``facts.steps`` lists what was done to the stored values.
        frame_seconds: Time between two frames of a film in time; NaN for volumes in space.
    """

    voxels: NDArray[np.float32]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    unit: str
    facts: Facts
    frame_seconds: float = math.nan

    @property
    def is_oriented(self) -> bool:
        """Whether left and right, front and back, head and feet are known."""
        return bool(np.isfinite(self.affine).all())


def check_voxels(shape: tuple[int, ...]) -> None:
    """Refuse volumes without voxels and decompression bombs, before anything is allocated.

    Args:
        shape: Sizes the header promises.

    Raises:
        Unreadable: When a size is below 1, or there are more than ``MAX_VOXELS`` voxels.

    Example:
        >>> check_voxels((320, 512, 512))
    """
    told = " x ".join(map(str, shape))
    if min(shape) < 1:
        raise Unreadable(expected="at least one voxel", found=told)
    if math.prod(shape) > MAX_VOXELS:
        raise Unreadable(expected=f"at most {MAX_VOXELS} voxels", found=told, remedy="Reduce the volume, or leave it in quarantine")


def orient(voxels: NDArray[np.float32], affine: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[str, ...]]:
    """Turn axes and flip them until they point right, front and up as nearly as whole axes can; nothing is interpolated.

    Args:
        voxels: (I, J, K), any strides.
        affine: (4, 4) from (i, j, k, 1) to millimetres in RAS+, invertible.

    Returns:
        (D, H, W) C-contiguous voxels, the affine from (w, h, d, 1), and the steps to record.

    Example:
        >>> turned, affine, steps = orient(np.zeros((2, 3, 4), np.float32), np.diag([-1.0, -1.0, 2.0, 1.0]))
        >>> turned.shape, affine[:3, 3].tolist(), steps
        ((4, 3, 2), [-1.0, -2.0, 0.0], ('axes LPS turned to RAS',))
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order = max(itertools.permutations(range(3)), key=lambda axes: sum(abs(directions[world, axis]) for world, axis in enumerate(axes)))
    turned = np.eye(4)
    turned[:3, :3] = 0.0
    steps, letters = [], [""] * 3
    for world, axis in enumerate(order):
        backwards = directions[world, axis] < 0
        letters[axis] = ("LPI" if backwards else "RAS")[world]
        turned[axis, world] = -1.0 if backwards else 1.0
        turned[axis, 3] = voxels.shape[axis] - 1 if backwards else 0
    flips = tuple(slice(None, None, -1) if letter in "LPI" else slice(None) for letter in letters)
    canonical = voxels[flips].transpose(order)
    affine = affine @ turned
    if letters != ["R", "A", "S"]:
        steps.append(f"axes {''.join(letters)} turned to RAS")
    tilt = max(math.degrees(math.acos(min(1.0, abs(directions[world, axis])))) for world, axis in enumerate(order))
    if tilt > 1:
        steps.append(f"oblique by {tilt:.0f} degrees, not resampled")
    return np.ascontiguousarray(canonical.transpose(2, 1, 0)), affine, tuple(steps)


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Distance of voxel centres along d, h and w, mm.

    Example:
        >>> spacing_of(np.diag([0.5, 0.5, 5.0, 1.0]))
        (5.0, 0.5, 0.5)
    """
    width, height, depth = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    return depth, height, width


def finite(voxels: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Give voxels that are no numbers the lowest value: tools for MR write NaN outside the head.

    Args:
        voxels: Any shape.

    Returns:
        Finite voxels, and the steps to record.

    Raises:
        Unreadable: When no voxel is a number.

    Example:
        >>> finite(np.array([np.nan, 2.0, 1.0], np.float32))
        (array([1., 2., 1.], dtype=float32), ('1 voxels without a number set to the lowest value',))
    """
    good = np.isfinite(voxels)
    missing = int(voxels.size - good.sum())
    if missing == 0:
        return voxels, ()
    if missing == voxels.size:
        raise Unreadable(expected="voxels that are numbers", found="none")
    return np.where(good, voxels, voxels[good].min()), (f"{missing} voxels without a number set to the lowest value",)


def to_unit_range(volume: Volume, window: tuple[float, float] | None = None) -> Volume:
    """Scale voxels to [0, 1]; what lies beyond is clipped.

    Args:
        volume: The volume.
        window: Values that become 0 and 1, in the volume's unit, such as (-160, 240) HU for soft tissue. None: the range of a CT
            (``CT_RANGE``) for volumes in HU, [0, 1] for relative ones, else the percentiles ``PERCENTILES`` of the volume itself.

    Returns:
        The volume with voxels in [0, 1] and the step recorded.

    Raises:
        ConfigError: The window is empty or upside down.
        Unreadable: The volume has no contrast between its percentiles.
    """
    if window is None and volume.unit == RELATIVE:
        return volume
    if window is not None:
        low, high, step = *window, "window"
        if not low < high:
            raise ConfigError(what=f"A window from {low} to {high} shows nothing", where="Key data.window", remedy="Give [low, high]")
    elif volume.unit == HOUNSFIELD:
        low, high, step = *CT_RANGE, "range of a CT"
    else:
        low, high, step = *percentile_window(volume.voxels), f"percentiles {PERCENTILES[0]:g} and {PERCENTILES[1]:g}"
    scaled = np.clip((volume.voxels - np.float32(low)) / np.float32(high - low), 0, 1)
    return replace(volume, voxels=scaled, facts=replace(volume.facts, steps=(*volume.facts.steps, f"{step}: {low:g} to {high:g}")))


def percentile_window(voxels: NDArray[np.float32]) -> tuple[float, float]:
    """Find the window between the percentiles ``PERCENTILES`` of a volume; of deep ones every n-th slice is looked at.

    Args:
        voxels: (D, H, W).

    Returns:
        Low and high, in the unit of the voxels.

    Raises:
        Unreadable: When they are one value.

    Example:
        >>> percentile_window(np.arange(1001, dtype=np.float32).reshape(1, 7, 143))
        (5.0, 995.0)
    """
    low, high = (float(value) for value in np.percentile(voxels[:: 1 + voxels.shape[0] // 64], PERCENTILES))
    if not low < high:
        raise Unreadable(expected="contrast between the percentiles of the volume", found="one value")
    return low, high


def montage(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay four slices side by side, two by two: the picture that stands for a volume where pictures are compared.

    Args:
        voxels: (D, H, W) in [0, 1].

    Returns:
        (2 H, 2 W), slices at 20, 40, 60 and 80 % of the depth, row by row, each with its front above.

    Example:
        >>> montage(np.arange(10, dtype=np.float32)[:, None, None]).tolist()
        [[2.0, 4.0], [5.0, 7.0]]
    """
    depth = voxels.shape[0]
    shown = [voxels[round(share * (depth - 1)), ::-1] for share in _SLICES]
    return np.block([shown[:2], shown[2:]])
