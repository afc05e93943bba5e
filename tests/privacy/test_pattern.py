# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsetu.privacy.pattern import _TIMES, _TURN, looks_like, repeats, verhoeff, words_of


def check_digit(digits):
    return next(str(digit) for digit in range(10) if verhoeff(digits + str(digit)))


def test_the_tables_of_verhoeff_are_a_group_and_its_permutation():
    assert all(sorted(row) == list(range(10)) for row in _TIMES)
    for a in range(10):
        for b in range(10):
            for c in range(10):
                assert _TIMES[_TIMES[a][b]][c] == _TIMES[a][_TIMES[b][c]]
    assert sorted(_TURN) == list(range(10))


@given(st.text("0123456789", min_size=11, max_size=11), st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_is_found(digits, place, step):
    number = digits + check_digit(digits)
    wrong = number[:place] + str((int(number[place]) + step) % 10) + number[place + 1 :]
    assert verhoeff(number)
    assert not verhoeff(wrong)


@given(st.text("0123456789", min_size=11, max_size=11), st.integers(0, 10))
def test_two_neighbours_exchanged_are_found(digits, place):
    number = digits + check_digit(digits)
    if number[place] != number[place + 1]:
        assert not verhoeff(number[:place] + number[place + 1] + number[place] + number[place + 2 :])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2345 6789 0124", "aadhaar"),
        ("234567890124", "aadhaar"),
        ("2345-6789-0124", "aadhaar"),
        ("91-1234-5678-9012", "abha"),
        ("+91 98765 43210", "mobile"),
        ("9876543210", "mobile"),
        ("09876543210", "mobile"),
        ("ABCPE1234F", "pan"),
        ("zz.sentinel@hospital.in", "e-mail"),
        ("MRN 0042177", "record number"),
        ("UHID: 20240017", "record number"),
        ("OPD No. 12345", "record number"),
        ("12/03/1945", "date"),
        ("1945-03-12", "date"),
        ("12 Mar 1945", "date"),
        ("19450312", "date"),
        ("20240301101112", "date"),
        ("ZZ^SENTINEL", "name"),
        ("Smt. Devi", "name"),
        ("Dr Rao", "name"),
        ("Patient: Lakshmi", "name"),
        ("1.2.826.0.1.3680043.8.498.1", "uid"),
        ("1234567890123", "long number"),
    ],
)
def test_identifiers_are_recognised(text, name):
    assert looks_like(text) == {name: 1}
    assert looks_like(f"before ({text}), after")[name] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00000013_005",
        "CHNCXR_0001_0",
        "234567890123",  # the check digit is wrong: a long number at most
        "225.084745762712",
        "mdb001",
        "1.2.840.10008.5.1.4.1.1.2",
        "12345678",
        "20241399",
        "Mild cardiomegaly, 3 x 4 cm",
        "MS LESION",
    ],
)
def test_harmless_text_is_left_alone(text):
    assert set(looks_like(text)) <= {"long number"}
    assert "long number" not in looks_like(text) or len(text) == 12


def test_words_of_a_patient_are_found_again():
    words = words_of(["ZZ^SENTINEL", "P-0042177", "M"])
    assert words == {"sentinel", "0042177"}
    assert repeats("scan_of_Sentinel_1", words)
    assert repeats("0042177", words)
    assert not repeats("presentinels 42177", words)
    assert not repeats("anything", frozenset())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a.b+c_d-e@hospital.in", 1),
        (f"{'x' * 5000}@hospital.in", 1),  # the last letters before the sign are enough
        (f"zz@{'ward.' * 40}in", 1),
        ("zz@hospital, zz@, @hospital.in", 0),
        ("one@a.in two@b.in", 2),
    ],
)
def test_addresses_of_any_length_are_found(text, count):
    assert looks_like(text)["e-mail"] == count


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a@" * 100_000, "a." * 100_000 + "@", "@" + "a." * 100_000, ("a" * 64 + "@") * 3000, "a@a-" * 50_000]
)
def test_text_that_is_almost_an_address_takes_time_in_proportion_to_its_length(text):
    begun = time.process_time()
    looks_like(f"{text} 1234")
    assert time.process_time() - begun < 5  # an unbounded pattern takes minutes
