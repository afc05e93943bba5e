# SPDX-License-Identifier: Apache-2.0
from collections import Counter

import pytest

from medsetu.core.errors import ConfigError
from medsetu.privacy.profile import OPTIONS, check_options, row_of, rows


def test_the_table_is_whole():
    basic = Counter(row.basic for row in rows().values())
    assert basic == {"X": 417, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2}
    assert len(rows()) == 657
    assert {option for row in rows().values() for option in row.options} == set(OPTIONS)


@pytest.mark.parametrize(
    ("tag", "basic", "kept_by"),
    [
        (0x00100010, "Z", None),
        (0x00100020, "Z/D", None),
        (0x00100040, "Z", "patient_characteristics"),
        (0x00101010, "X", "patient_characteristics"),
        (0x00080080, "X/Z/D", "institution_identity"),
        (0x00181000, "X/Z/D", "device_identity"),
        (0x00080020, "Z", "full_dates"),
        (0x0020000D, "U", "uids"),
    ],
)
def test_rows_say_what_the_standard_says(tag, basic, kept_by):
    row = row_of(tag)
    assert row.action(()) == basic
    for option in OPTIONS:
        assert (row.action([option]) == "K") == (option == kept_by)


def test_dates_are_cleaned_when_they_are_shifted():
    assert row_of(0x00080020).action(["modified_dates"]) == "C"
    assert row_of(0x00081030).action(["clean_descriptors"]) == "C"


def test_repeating_groups_and_private_ones_have_a_row():
    assert row_of(0x50163000).name == "Curve Data"
    assert row_of(0x601E4000).name == "Overlay Comments"
    assert row_of(0x60000010) is None
    assert row_of(0x00190010).kind == "private"


def test_options_are_checked():
    assert check_options(["uids"]) == {"uids"}
    with pytest.raises(ConfigError, match="Did you mean 'device_identity'"):
        check_options(["device_identiti"])
    with pytest.raises(ConfigError, match="Choose full_dates or modified_dates"):
        check_options(["full_dates", "modified_dates"])
