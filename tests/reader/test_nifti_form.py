# SPDX-License-Identifier: Apache-2.0
"""Quaternions against SciPy, and what is said of voxel sizes."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medsetu.reader.guard import Unreadable
from medsetu.reader.nifti_form import from_quaternion, geometry


@pytest.mark.parametrize("seed", range(5))
def test_rotations_agree_with_scipy(seed):
    rotation = Rotation.random(random_state=seed)
    b, c, d, a = rotation.as_quat() * np.sign(rotation.as_quat()[3])
    assert a >= 0
    np.testing.assert_allclose(from_quaternion([b, c, d, 1, 2, 3], [1, 1, 1, 1])[:3, :3], rotation.as_matrix(), atol=1e-12)


def test_another_spacing_in_pixdim_is_told():
    rows = np.eye(4)[:3].ravel()
    _, spacing, steps = geometry((2, 2, 2), pixdim=[1, 1, 1, 5, 0, 0, 0, 0], units=2, quaternion=None, rows=rows)
    assert spacing == (1.0, 1.0, 1.0)
    assert steps == ("pixdim and affine name different spacings, the affine is believed",)


def test_sizes_that_are_none_stay_unknown():
    _, spacing, _ = geometry((2, 2, 2), pixdim=[1, 0, math.inf, 2, 0, 0, 0, 0], units=2, quaternion=None, rows=None)
    assert math.isnan(spacing[0])
    assert math.isnan(spacing[1])
    assert spacing[2] == 2


def test_a_flat_voxel_is_refused():
    with pytest.raises(Unreadable, match="invertible"):
        geometry((2, 2, 2), pixdim=[1, 1, 1, 1], units=2, quaternion=None, rows=np.diag([1.0, 1, 0, 1])[:3].ravel())
