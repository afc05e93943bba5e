# SPDX-License-Identifier: Apache-2.0
"""Ages, sexes and pseudonyms."""

import math

import pytest

from medsetu.core.sample import SEXES, age_in_years, pseudonym, sex_letter


def test_a_pseudonym_is_stable_and_belongs_to_one_release(monkeypatch):
    monkeypatch.delenv("MEDSETU_PSEUDONYM_KEY", raising=False)
    assert pseudonym("a", "17") == pseudonym("a", "17")
    assert len({pseudonym("a", "17"), pseudonym("b", "17"), pseudonym("a", "18"), pseudonym("a1", "7")}) == 4
    assert pseudonym("a", "ZZ^SENTINEL").startswith("p")
    assert len(pseudonym("a", "ZZ^SENTINEL")) == 17


def test_a_secret_key_changes_every_pseudonym(monkeypatch):
    monkeypatch.delenv("MEDSETU_PSEUDONYM_KEY", raising=False)
    open_one = pseudonym("a", "17")
    monkeypatch.setenv("MEDSETU_PSEUDONYM_KEY", "secret" * 50)
    assert pseudonym("a", "17") != open_one


@pytest.mark.parametrize(
    ("text", "years"),
    [("045Y", 45.0), ("45", 45.0), (" 7 ", 7.0), ("006M", 0.5), ("010W", 70 / 365.25), ("064D", 64 / 365.25), ("0", 0.0), ("120Y", 120.0)],
)
def test_ages(text, years):
    assert age_in_years(text) == pytest.approx(years, abs=1e-12)


@pytest.mark.parametrize("text", ["", None, "414", "121Y", "old", "-3", "4.5Y", "1234"])
def test_what_is_no_age_is_nan(text):
    assert math.isnan(age_in_years(text))


@pytest.mark.parametrize(("text", "letter"), [("female", "F"), ("M", "M"), (" o", "O"), ("", ""), (None, ""), ("unknown", "")])
def test_sexes(text, letter):
    assert sex_letter(text) == letter
    assert sex_letter(text) in SEXES
