# SPDX-License-Identifier: Apache-2.0
"""A small part of ``scripts/fuzz.py``: damaged files are read or refused by a named error, and nothing escapes."""

import pytest
from scripts import fuzz
from scripts.sound import sound


@pytest.mark.parametrize("kind", sorted(sound()))
def test_a_sound_file_is_read(tmp_path, kind):
    fuzz.read(kind, sound()[kind], tmp_path)


def test_damaged_files_never_escape(tmp_path):
    found = [fuzz.feed(number) for number in range(380)]
    assert {kind for kind, *_ in found} == set(sound())
    assert {fate for _, fate, *_ in found} == {"read", "refused"}
