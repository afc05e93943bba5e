# SPDX-License-Identifier: Apache-2.0
"""Slices in the order of the patient, and everything that can be wrong with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medsetu.reader.guard import Unreadable
from medsetu.reader.stack import Plane, stack

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def planes(depths, *, directions=AXIAL, origin=(0.0, 0.0, 0.0), drift=(0.0, 0.0, 0.0)):
    normal = np.cross(directions[:3], directions[3:])
    return [Plane(tuple(np.array(origin) + depth * (normal + drift)), directions, (0.75, 0.5), (6, 8), 5.0) for depth in depths]


@given(seed=st.integers(0, 10**6))
def test_any_direction_and_file_order(seed):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    directions = (*turn[:, 0], *turn[:, 1])
    shuffled = rng.permutation(7)
    found = stack(planes(shuffled * 2.5, directions=directions, origin=rng.uniform(-200, 200, 3)))
    assert [int(shuffled[number]) for number in found.order] == list(range(7))
    np.testing.assert_allclose(np.linalg.norm(found.affine[:3, :3], axis=0), [0.5, 0.75, 2.5], rtol=1e-6)
    assert found.steps == ()


def test_left_and_back_are_negative_in_ras():
    found = stack(planes([0, 5], origin=(100.0, 50.0, -30.0)))
    np.testing.assert_allclose(found.affine[:3, 3], [-100, -50, -30])
    np.testing.assert_allclose(np.diag(found.affine), [-0.5, -0.75, 5, 1])


def test_missing_slices_are_counted_and_placed():
    with pytest.raises(Unreadable) as error:
        stack(planes([0, 5, 10, 25, 30]))
    assert error.value.expected == "slices every 5.00 mm"
    assert error.value.found == "about 2 missing, the first after slice 3 of 5, where 15.0 mm are open"
    told = stack(planes([0, 5, 10, 25, 30]), gaps="tell")
    assert told.steps == ("slices every 5.00 mm: about 2 missing, the first after slice 3 of 5, where 15.0 mm are open",)


def test_uneven_distances_are_told_and_rounded_positions_are_not():
    with pytest.raises(Unreadable, match=r"distances from 5\.00 to 6\.00 mm"):
        stack(planes([0, 5, 10, 16, 21]))
    assert stack(planes([0, 5, 10.04, 15, 20])).steps == ()
    assert stack(planes([0, 0.62, 1.25, 1.88, 2.5])).steps == ()


def test_two_slices_at_one_place_are_refused():
    with pytest.raises(Unreadable, match="2 more, the first at slice 1") as error:
        stack(planes([0, 0, 5, 5, 10]))
    assert "phase" in error.value.remedy
    with pytest.raises(Unreadable):
        stack(planes([0, 0, 5, 5, 10]), gaps="tell")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shape": (6, 9)}, "one size"),
        ({"directions": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)}, "one direction"),
        ({"spacing": (0.75, 0.6)}, "one pixel spacing"),
    ],
)
def test_mixtures_are_refused(change, told):
    good = planes([0, 5, 10])
    with pytest.raises(Unreadable, match=told):
        stack([*good, Plane(**(vars(planes([15])[0]) | change))])


def test_a_tilted_gantry_is_told_and_kept_in_the_affine():
    shear = np.tan(np.deg2rad(15))
    found = stack(planes([0, 5, 10, 15], drift=(0.0, shear, 0.0)))
    assert found.steps == ("gantry tilted by 15.0 degrees: sheared, not resampled",)
    np.testing.assert_allclose(found.affine[:3, 2], [0, -5 * shear, 5], atol=1e-6)


def test_a_slice_beside_the_line_is_refused():
    good = planes([0, 5, 10, 15])
    astray = Plane((3.0, 0.0, 5.0), *list(vars(good[0]).values())[1:])
    with pytest.raises(Unreadable, match="one line"):
        stack([good[0], astray, *good[2:]])


def test_one_slice_knows_its_thickness_or_nothing():
    assert stack(planes([3])).affine[2, 2] == 5
    silent = Plane((0.0, 0.0, 0.0), AXIAL, (1.0, 1.0), (4, 4))
    alone = stack([silent])
    assert np.isnan(alone.affine).all()
    assert alone.steps == ("thickness of the only slice is not declared",)
