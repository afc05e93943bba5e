# SPDX-License-Identifier: Apache-2.0
"""Sex and age from irregular notes."""

import math

import pytest

from medsetu.reader.note import read_reading, sex_and_age


@pytest.mark.parametrize(
    ("text", "sex", "years"),
    [
        ("male 45yrs\nnormal", "M", 45),
        ("femal 32yrs", "F", 32),
        ("female24yrs\nbilateral PTB", "F", 24),
        ("male , 29yrs", "M", 29),
        ("male 16month", "M", 16 / 12),
        ("female 64days", "F", 64 / 365.25),
        ("male 42", "M", 42),
        ("Patient's Sex: F\nPatient's Age: 027Y\nnormal", "F", 27),
        ("Patient's Sex: O\nPatient's Age: 031Y", "O", 31),
    ],
)
def test_irregular_notes(text, sex, years):
    assert sex_and_age(text) == (sex, pytest.approx(years))


@pytest.mark.parametrize("text", ["", "normal", "2 nodules in 3 lobes"])
def test_what_is_not_said_is_unknown(text):
    sex, years = sex_and_age(text)
    assert sex == ""
    assert math.isnan(years)


def test_impossible_age_is_unknown():
    assert math.isnan(sex_and_age("male 450yrs")[1])


def test_a_missing_note_is_unknown(tmp_path):
    assert read_reading(tmp_path / "absent.txt")[0] == ""
