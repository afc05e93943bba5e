# SPDX-License-Identifier: Apache-2.0
"""Knobs have ranges, names and two presets."""

from dataclasses import asdict

import pytest

from medsetu.core.errors import ConfigError
from medsetu.release.phantom_country import COUNTRIES, GLOBAL, LOCAL, Country, country


def test_presets_differ_in_every_kind_of_shift():
    same = {knob for knob, value in asdict(GLOBAL).items() if asdict(LOCAL)[knob] == value}
    assert not same
    assert set(COUNTRIES) == {"global", "local"}


def test_knobs_turn_one_thing():
    turned = asdict(country("local", {"blur_mm": 2.5}))
    assert turned == asdict(LOCAL) | {"blur_mm": 2.5}


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("exposure", 0),
        ("ap_share", 1.1),
        ("noise", -1),
        ("pixel_size", 0.5),
        ("age_mean", float("nan")),
        ("blur_mm", "x"),
        ("ap_share", True),
    ],
)
def test_impossible_values_are_refused(knob, value):
    with pytest.raises(ConfigError, match=f"Knob '{knob}' of the phantom"):
        Country(**{knob: value})
