# SPDX-License-Identifier: Apache-2.0
"""The body: dense where it should be, dark in the lungs, different between people."""

from dataclasses import replace

import numpy as np

from medsetu.release.phantom_anatomy import aeration, draw_body
from medsetu.release.phantom_chest import Exam, chest_of

PLAIN = Exam((0, "global", 1, 0))


def body(**facts):
    exam = replace(PLAIN, **facts)
    chest = chest_of(exam, 96)
    return draw_body(exam, chest), chest


def test_lungs_are_darker_than_heart_and_abdomen_and_air_is_nothing():
    attenuation, chest = body()
    lung = attenuation[aeration(chest) > 0.9].mean()
    heart = attenuation[chest.heart > 0.5].mean()
    abdomen = attenuation[(chest.y > chest.dome + 0.1) & (chest.u < 0.5)].mean()
    assert lung < 0.7 * min(heart, abdomen)
    assert attenuation.min() == 0
    assert attenuation.dtype == np.float32
    assert attenuation.max() < 5


def test_habitus_thickens_sex_adds_breasts_and_age_thins_bone():
    slender, stout = (body(habitus=habitus)[0] for habitus in (-1.5, 1.5))
    assert stout.mean() > 1.1 * slender.mean()
    woman, chest = body(female=True)
    man, other = body(female=False)
    assert woman[(aeration(chest) > 0.9) & (chest.y > 0.05)].mean() > man[(aeration(other) > 0.9) & (other.y > 0.05)].mean() + 0.1
    young, frame = body(age_years=20)
    old, _ = body(age_years=90)
    spine = (frame.u < 0.03) & (frame.y < -0.7)
    assert old[spine].mean() < young[spine].mean()


def test_shoulder_blades_lie_over_the_lungs_in_ap_only():
    def outer_zone(patient, ap):
        attenuation, chest = body(keys=(0, "global", patient, 0), ap=ap)
        zone = (aeration(chest) > 0.9) & (chest.u > 0.85 * chest.lateral) & (chest.y > -0.5) & (chest.y < -0.1)
        return attenuation[zone].mean()

    assert np.mean([outer_zone(patient, True) - outer_zone(patient, False) for patient in range(8)]) > 0.08


def test_texture_belongs_to_the_patient():
    one, again, other = (body(keys=keys)[0] for keys in ((0, "global", 1, 0), (0, "global", 1, 0), (0, "global", 2, 0)))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
