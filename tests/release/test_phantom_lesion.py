# SPDX-License-Identifier: Apache-2.0
"""Lesions lie where their disease lies, grow with severity, scale with contrast, and have boxes."""

from dataclasses import replace

import numpy as np
import pytest

from medsetu.release.phantom_chest import Exam, chest_of
from medsetu.release.phantom_lesion import draw_lesions


def lesions(patient=0, **facts):
    """What a disease adds to a film: the look-alikes of the same patient are taken away again."""
    exam = replace(Exam((0, "global", patient, 0)), **facts)
    chest = chest_of(exam, 96)
    drawn, boxes = draw_lesions(exam, chest)
    return drawn - draw_lesions(replace(exam, severity={}), chest)[0], boxes, chest


@pytest.mark.parametrize("patient", range(6))
def test_tuberculosis_lies_in_the_upper_zones(patient):
    added, boxes, chest = lesions(patient, severity={"tuberculosis": 0.8})
    middle = (chest.apex + chest.base) / 2
    assert added[chest.y < middle].sum() > 5 * abs(added[chest.y > middle].sum())
    rows, columns = np.nonzero(added > 0.3 * added.max())
    held = [
        any(x0 <= x / 96 <= x1 and y0 <= y / 96 <= y1 for x0, y0, x1, y1 in boxes["tuberculosis"])
        for y, x in zip(rows, columns, strict=True)
    ]
    assert np.mean(held) > 0.9


@pytest.mark.parametrize("patient", range(6))
def test_effusion_fills_a_costophrenic_angle(patient):
    added, boxes, chest = lesions(patient, severity={"effusion": 0.8})
    fluid = added > 0.5
    assert (chest.y[fluid] > (chest.apex + chest.base) / 2).all()
    assert chest.u[fluid].max() > 0.8 * chest.width
    assert boxes["effusion"]


@pytest.mark.parametrize("finding", ["tuberculosis", "effusion"])
def test_contrast_and_severity_make_it_plainer(finding):
    def total(**facts):
        return sum(np.abs(lesions(patient, **facts)[0]).sum() for patient in range(8))

    faint, plain = (total(severity={finding: 0.7}, lesion_contrast=contrast) for contrast in (0.5, 1.0))
    assert 0.3 * plain < faint < 0.7 * plain
    assert total(severity={finding: 0.3}) < total(severity={finding: 1.0})
    assert total(severity={finding: 0.7}, lesion_contrast=0.0) < 0.1 * plain


def test_no_finding_no_box_and_nothing_outside_the_lungs():
    for patient in range(20):
        exam = Exam((0, "global", patient, 0))
        chest = chest_of(exam, 64)
        drawn, boxes = draw_lesions(exam, chest)
        assert boxes == {}
        assert np.abs(drawn[chest.lung == 0]).max() == 0


def test_some_healthy_patients_have_look_alikes():
    totals = [draw_lesions(exam, chest_of(exam, 64))[0].sum() for exam in (Exam((0, "global", patient, 0)) for patient in range(60))]
    assert 0.25 < np.mean(np.array(totals) > 0) < 0.65


def test_cardiomegaly_has_the_box_of_the_heart():
    added, boxes, chest = lesions(severity={"cardiomegaly": 1.0})
    assert np.abs(added).max() == 0
    ((x0, _, x1, _),) = boxes["cardiomegaly"]
    across = chest.x[chest.heart > 0]
    assert x1 - x0 == pytest.approx((across.max() - across.min()) / 2, abs=0.06)
