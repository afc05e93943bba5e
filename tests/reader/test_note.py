# SPDX-License-Identifier: Apache-2.0
"""Sex and age from irregular notes."""

import math
import re

import pytest

from medsetu.reader.note import noted_films, sex_and_age


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


def test_names_and_notes_make_films_and_other_files_are_named(tmp_path):
    (tmp_path / "F_7_1.txt").write_text("male 45yrs\nsame pt as F_3")
    name = re.compile(r"^F_(?P<number>\d+)_(?P<label>[01])$")
    films, strangers = noted_films(["a/F_7_1.png", "a/F_8_0.png", "a/x.png"], notes=tmp_path, name=name)
    assert [(film.path, film.number) for film in films] == [("a/F_7_1.png", "7"), ("a/F_8_0.png", "8")]
    assert [(film.tuberculosis, film.sex) for film in films] == [(1.0, "M"), (0.0, "")]
    assert films[0].note.endswith("F_3")
    assert math.isnan(films[1].age_years)
    assert [path for path, _ in strangers] == ["a/x.png"]
