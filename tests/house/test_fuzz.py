# SPDX-License-Identifier: Apache-2.0
"""A small part of ``scripts/fuzz_readers.py``: damaged files are read or refused, and nothing escapes."""

import pytest
from scripts import fuzz_readers


@pytest.mark.parametrize("kind", sorted(fuzz_readers.sound()))
def test_a_sound_file_is_read(tmp_path, kind):
    fuzz_readers.read(kind, fuzz_readers.sound()[kind], tmp_path)


def test_damaged_files_never_escape(tmp_path):
    fates = [fuzz_readers.feed(number, tmp_path) for number in range(630)]
    assert {kind for kind, _ in fates} == set(fuzz_readers.sound())
    assert {fate for _, fate in fates} == {"read", "refused"}
