# SPDX-License-Identifier: Apache-2.0
"""Where a NIfTI file says its voxels lie: sform, qform, voxel sizes, and what to do when they contradict each other."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medsetu.reader.guard import Unreadable

_UNITS: Final = {1: 1000.0, 2: 1.0, 3: 0.001}  # of length: metre, millimetre, micrometre
_FLAT: Final = 1e-9  # mm^3: below this volume a voxel is flat

_Affine = NDArray[np.float64]
_Spacing = tuple[float, float, float]


def geometry(
    shape: tuple[int, ...], *, pixdim: Sequence[float], units: int, quaternion: Sequence[float] | None, rows: Sequence[float] | None
) -> tuple[_Affine, _Spacing, tuple[str, ...]]:
    """Decide where the voxels lie: by the sform, else by the qform, else it is unknown.

    Args:
        shape: Sizes along i, j and k.
        pixdim: The eight numbers of ``pixdim``; the first is the handedness of the qform.
        units: ``xyzt_units``.
        quaternion: b, c, d and the shift of the qform; None when its code is 0.
        rows: The twelve numbers of the sform, row by row; None when its code is 0.

    Returns:
        (4, 4) affine from (i, j, k, 1) to mm in RAS+, all NaN when neither form is declared; spacing along i, j, k in mm, NaN when
        unknown; and what to record.

    Raises:
        Unreadable: For forms that cannot be inverted, and two that mirror each other: nobody can say which side is left.

    Example:
        >>> affine, spacing, steps = geometry((2, 2, 2), pixdim=[1, 1, 1, 2, 0, 0, 0, 0], units=2, quaternion=None, rows=None)
        >>> bool(np.isnan(affine).all()), spacing, steps
        (True, (1.0, 1.0, 2.0), ())
    """
    scale = _UNITS.get(units & 7, 1.0)
    steps: tuple[str, ...] = () if units & 7 in _UNITS else ("unit of length not declared, taken as mm",)
    sizes = [abs(value) * scale for value in pixdim[1:4]]
    forms: list[_Affine] = []
    if rows is not None:
        forms.append(_checked(np.vstack([np.reshape(rows, (3, 4)), [0, 0, 0, 1]]), scale, name="sform"))
    if quaternion is not None:
        forms.append(_checked(from_quaternion(quaternion, pixdim), scale, name="qform"))
    if not forms:
        known = [value if 0 < value < math.inf else math.nan for value in sizes]
        return np.full((4, 4), math.nan), (known[0], known[1], known[2]), steps
    if len(forms) == 2:
        steps += _disagreement(forms[0], forms[1], shape)
    lengths = np.linalg.norm(forms[0][:3, :3], axis=0)
    if not np.allclose(lengths, sizes, rtol=0.01):
        steps += ("pixdim and affine name different spacings, the affine is believed",)
    return forms[0], (float(lengths[0]), float(lengths[1]), float(lengths[2])), steps


def _checked(form: _Affine, scale: float, *, name: str) -> _Affine:
    form = form.astype(np.float64)
    form[:3] *= scale
    if not np.isfinite(form).all() or abs(np.linalg.det(form[:3, :3])) < _FLAT:
        raise Unreadable(expected=f"an invertible {name}", found="another one")
    return form


def _disagreement(sform: _Affine, qform: _Affine, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Say how far apart the two forms put a corner of the volume; refuse when they take left for right."""
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        raise Unreadable(
            expected="sform and qform of one handedness",
            found="two that mirror each other: left and right are unknown",
            remedy="Convert the scan again from DICOM",
        )
    corners = np.array([[i, j, k, 1] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)])
    apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
    voxel = float(np.linalg.norm(sform[:3, :3], axis=0).min())
    return (f"sform and qform disagree by up to {apart:.1f} mm, the sform is believed",) if apart > voxel / 2 else ()


def from_quaternion(values: Sequence[float], pixdim: Sequence[float]) -> _Affine:
    """Rotation, zoom and shift of the qform (nifti1.h, method 2).

    Args:
        values: b, c and d of a unit quaternion, then the shift along x, y and z.
        pixdim: Handedness (-1 or 1) and voxel sizes along i, j and k.

    Returns:
        (4, 4) affine in the unit of ``pixdim``.

    Raises:
        Unreadable: When the quaternion is longer than 1, or no number.

    Example:
        >>> from_quaternion([0, 0, 0, 5, 6, 7], [-1, 1, 1, 2]).tolist()
        [[1.0, 0.0, 0.0, 5.0], [0.0, 1.0, 0.0, 6.0], [0.0, 0.0, -2.0, 7.0], [0.0, 0.0, 0.0, 1.0]]
    """
    b, c, d = values[:3]
    rest = 1.0 - (b * b + c * c + d * d)
    if not rest > -1e-4:
        raise Unreadable(expected="a unit quaternion in the qform", found="a longer one")
    a = math.sqrt(max(0.0, rest))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.array([pixdim[1], pixdim[2], pixdim[3] * (-1.0 if pixdim[0] < 0 else 1.0)])
    affine[:3, 3] = values[3:6]
    return affine + 0.0  # no negative zeros
