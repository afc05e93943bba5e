# SPDX-License-Identifier: Apache-2.0
"""Findings have names; unknown is NaN."""

import math

import pytest

from medsetu.core.errors import ConfigError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, check_findings, finding_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Pleural_Thickening", "pleural_thickening"),
        (" Nodule/Mass ", "nodule_mass"),
        ("No Finding", "no_finding"),
        ("TB", "tb"),
        ("--", ""),
    ],
)
def test_one_way_to_write_a_finding(text, name):
    assert finding_name(text) == name
    assert finding_name(name) == name


def test_three_values():
    assert (POSITIVE, NEGATIVE) == (1.0, 0.0)
    assert math.isnan(UNKNOWN)


@pytest.mark.parametrize(
    ("wanted", "match"),
    [([], "No finding"), (["edema", "edema"], "'edema' is named twice"), (["edma"], "Did you mean 'edema'")],
)
def test_wrong_lists_are_refused(wanted, match):
    with pytest.raises(ConfigError, match=match):
        check_findings(wanted, ["edema", "mass"], where="head")


def test_a_right_list_passes_in_any_order():
    check_findings(["mass", "edema"], ["edema", "mass", "hernia"], where="head")
