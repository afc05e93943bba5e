# SPDX-License-Identifier: Apache-2.0
"""A seal is written once, comes back whole, and is refused when a byte of it was changed."""

import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.signed import write_signed
from medsetu.recipe.sealed import describe, deviations, read_seal, seal_path, seal_plan

PRIMARY = {"finding": "tuberculosis", "metric": "AUROC", "contrast": "gain over local", "formula": "T - C", "hypothesis": "difference"}
POWER = {"auroc": 0.9, "correlation": 0.7, "wanted": 0.8, "patients": {"local": {"present": 52, "absent": 0}}, "needed_per_class": 91}
PLAN = {
    "recipe": "demo",
    "manifest": "ab" * 32,
    "seeds": [0, 1, 2],
    "arms": ["local-only", "transfer"],
    "sides": {"local": ["nitrd"]},
    "test": {"local": {"samples": 52, "ids_sha256": "cd" * 32}},
    "code": {"medsetu": "0.1.0", "git": "e" * 40},
    "settings": {"evaluation": {"margin": 0.05, "groups": ["sex"]}, "stages": {}},
    "primary": PRIMARY | {"margin": 0.05, "level": 0.95},
    "thresholds": "never on test",
    "power": POWER | {"non-inferiority": None, "difference": None},
}


@pytest.fixture
def path(tmp_path):
    return seal_path(tmp_path, "demo")


def test_a_seal_comes_back_as_it_was(path):
    written = seal_plan(path, PLAN, openings=0, late=False)
    assert read_seal(path) == written
    assert written.plan == PLAN
    assert deviations(read_seal(path).plan, PLAN) == []


def test_there_may_be_no_seal(path):
    assert read_seal(path) is None


@pytest.mark.parametrize(
    ("before", "after"), [("0.05", "0.06"), ("2026", "2025"), ('"sealed_after_openings": 0', '"sealed_after_openings": 1')]
)
def test_a_tampered_seal_is_refused(path, before, after):
    date = seal_plan(path, PLAN, openings=0, late=False).date
    text = path.read_text()
    path.write_text(text.replace(before if before in text else date[:4], after, 1))
    with pytest.raises(DataError, match="damaged or was changed"):
        read_seal(path)


def test_a_seal_of_another_version_is_refused(path):
    write_signed(path, {"format": 99})
    with pytest.raises(DataError, match="another version"):
        read_seal(path)


def test_after_an_opening_only_a_late_seal_is_written_and_it_says_so(path):
    with pytest.raises(ConfigError, match="opened before, 2 times"):
        seal_plan(path, PLAN, openings=2, late=False)
    assert "after 2 openings of the test" in describe(seal_plan(path, PLAN, openings=2, late=True))[0]


def test_late_is_not_written_where_nothing_was_opened(path):
    assert "opening" not in describe(seal_plan(path, PLAN, openings=0, late=True))[0]


def test_every_deviation_is_named_with_both_values():
    now = PLAN | {"seeds": [0], "settings": {"evaluation": {"margin": 0.1, "groups": ["sex"], "bins": 5}, "stages": {}}, "test": {}}
    assert deviations(PLAN, now) == [
        ("seeds", "[0, 1, 2]", "[0]"),
        ("test.local.samples", "52", "nothing"),
        ("test.local.ids_sha256", "cd" * 32, "nothing"),
        ("evaluation.margin", "0.05", "0.1"),
        ("test", "nothing", "{}"),
        ("evaluation.bins", "nothing", "5"),
    ]


def test_a_number_of_another_kind_is_no_deviation_and_null_is_said():
    assert deviations({"settings": {"a": 1}}, {"settings": {"a": 1.0}}) == []
    assert deviations({"settings": {"a": 1}}, {"settings": {"a": None}}) == [("a", "1", "unknown")]


def test_an_unknown_power_is_said(path):
    assert "unknown to show equal arms non-inferior" in " ".join(describe(seal_plan(path, PLAN, openings=0, late=False)))
