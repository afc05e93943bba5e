# SPDX-License-Identifier: Apache-2.0
"""Outlines: the heart is as wide as its ratio says, and people differ as they should."""

from dataclasses import replace

import numpy as np
import pytest

from medsetu.release.phantom_chest import Exam, cardiothoracic_ratio, chest_of

PLAIN = Exam((0, "global", 0, 0))


def people(count=12, **facts):
    return [replace(PLAIN, keys=(0, "global", patient, 0), **facts) for patient in range(count)]


def heart_width(exam):
    chest = chest_of(exam, 128)
    inside = chest.x[chest.heart > 0]
    return (inside.max() - inside.min()) / (2 * chest.width)


def test_the_drawn_heart_has_the_stated_ratio():
    for exam in people() + people(severity={"cardiomegaly": 0.7}):
        assert heart_width(exam) == pytest.approx(cardiothoracic_ratio(exam), abs=0.05)


def test_cardiomegaly_is_a_wide_heart():
    well = [cardiothoracic_ratio(exam) for exam in people()]
    ill = [cardiothoracic_ratio(exam) for exam in people(severity={"cardiomegaly": 0.6})]
    assert np.mean(well) < 0.5 < np.mean(ill)
    assert all(one < other for one, other in zip(well, ill, strict=True))


def test_ap_magnifies_the_heart_and_raises_the_diaphragm():
    for upright, lying in zip(people(), people(ap=True), strict=True):
        assert heart_width(lying) > heart_width(upright)
        assert chest_of(lying, 64).base < chest_of(upright, 64).base


def test_studies_of_a_patient_share_the_build_not_the_pose():
    first, second = (chest_of(replace(PLAIN, keys=(0, "global", 3, study)), 64) for study in (0, 1))
    assert first.width == second.width
    assert not np.array_equal(first.x, second.x)


def test_the_outline_does_not_know_the_resolution():
    fine, coarse = (chest_of(PLAIN, size).lung for size in (128, 32))
    np.testing.assert_allclose(fine.reshape(32, 4, 32, 4).mean(axis=(1, 3)), coarse, atol=0.4)
    assert fine.mean() == pytest.approx(coarse.mean(), abs=0.01)
