# SPDX-License-Identifier: Apache-2.0
"""Findings have names; unknown is NaN."""

import math

import pytest

from medsetu.core.errors import ConfigError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, check_findings, dense_breast, finding_name, suspicious, uncertain_values


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


def test_uncertain_labels_have_a_meaning_by_finding():
    found = uncertain_values({"a": "negative", "*": "positive"}, ["a", "b"], where="test")
    assert found == {"a": 0.0, "b": 1.0}
    assert uncertain_values("positive", ["a", "b"], where="test") == {"a": 1.0, "b": 1.0}
    assert math.isnan(uncertain_values({"a": "negative"}, ["a", "b"], where="test")["b"])
    with pytest.raises(ConfigError, match="unknown, positive, negative"):
        uncertain_values("maybe", ["a"], where="test")
    with pytest.raises(ConfigError, match="'c' is not available"):
        uncertain_values({"c": "positive"}, ["a"], where="test")


def test_an_incomplete_assessment_is_never_normal():
    """BI-RADS 0 is incomplete and 3 is probably benign: neither is a label."""
    assert [suspicious(text) for text in ("1", "BI-RADS 2", "BIRADS: 4c", "4A", "5", "6")] == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    assert all(math.isnan(suspicious(text)) for text in ("0", "3", "", "7", "24", "N/A"))


def test_density_is_read_in_letters_and_numbers():
    assert [dense_breast(text) for text in ("A", "DENSITY B", "c", "4", "ACR: 1")] == [0.0, 0.0, 1.0, 1.0, 0.0]
    assert all(math.isnan(dense_breast(text)) for text in ("", "E", "5", "N/A"))
