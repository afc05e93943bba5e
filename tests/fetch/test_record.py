# SPDX-License-Identifier: Apache-2.0
"""What is on record of a fetched release, and when it is believed."""

import json
from dataclasses import replace

import pytest

from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import DataError
from medsetu.fetch.record import NAME, Record

FILE = RemoteFile(url="https://example.org/a.zip?download=1", name="a.zip", digest=f"md5:{'0' * 32}", unpack=True, into="x")


def _placed(tmp_path):
    record = Record(tmp_path, release="demo")
    members = {"images/1.png": 3, "odd\tname\udce9.txt": 0}
    for name, size in members.items():
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(b"z" * size)
    record.list_members(FILE, members)
    record.note(FILE, {"bytes": 9, "sha256": "f" * 64, "unpacked": {"files": 2}, "placed": True})
    return members


def test_what_is_noted_is_read_again(tmp_path):
    members = _placed(tmp_path)
    again = Record(tmp_path, release="demo")
    assert again.is_placed(FILE)
    assert again.members(FILE) == members
    assert json.loads((tmp_path / NAME).read_text())["files"]["a.zip"]["url"] == FILE.url


@pytest.mark.parametrize("change", [{"url": "https://example.org/b.zip"}, {"digest": None}, {"name": "b.zip"}])
def test_a_card_that_changed_is_fetched_anew(tmp_path, change):
    _placed(tmp_path)
    assert not Record(tmp_path, release="demo").is_placed(replace(FILE, **change))


def test_a_file_that_is_gone_or_shorter_is_seen(tmp_path):
    _placed(tmp_path)
    (tmp_path / "x" / "images" / "1.png").write_bytes(b"zz")
    assert not Record(tmp_path, release="demo").is_placed(FILE)


def test_the_folder_of_another_release_and_a_broken_record_are_refused(tmp_path):
    _placed(tmp_path)
    with pytest.raises(DataError, match="another release: 'demo'"):
        Record(tmp_path, release="other")
    (tmp_path / NAME).write_text("[]")
    with pytest.raises(DataError, match="cannot be read"):
        Record(tmp_path, release="demo")


def test_nothing_is_on_record_at_first(tmp_path):
    record = Record(tmp_path / "new", release="demo")
    assert (record.entry(FILE), record.members(FILE), record.is_placed(FILE)) == ({}, {}, False)
