# SPDX-License-Identifier: Apache-2.0
"""The file that came is the one on the card, or it is set aside."""

import hashlib
import shutil
from collections import namedtuple

import pytest

from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import DataError, ResourceError
from medsetu.fetch.check import NOT_VERIFIED, check, require_room

CONTENT = b"film" * 1000
Usage = namedtuple("Usage", "total used free")


def _file(**facts):
    return RemoteFile(url="https://example.org/a.zip", name="a.zip", **facts)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    return tmp_path / "a.zip"


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_digest_that_agrees(path, kind):
    seen = check(path, _file(digest=f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}", bytes=4000))
    assert (seen.bytes, seen.sha256, seen.verified) == (4000, hashlib.sha256(CONTENT).hexdigest(), f"{kind} of the card")


def test_without_a_digest_nothing_is_verified_and_that_is_said(path):
    assert check(path, _file()).verified == NOT_VERIFIED


@pytest.mark.parametrize("facts", [{"digest": f"md5:{'0' * 32}"}, {"digest": f"sha256:{'0' * 64}"}, {"bytes": 3999}])
def test_another_file_is_set_aside(path, facts):
    with pytest.raises(DataError, match="not the one on the card"):
        check(path, _file(**facts))
    assert not path.exists()
    assert path.with_name("a.zip.refused").read_bytes() == CONTENT


def test_a_disk_without_room_is_refused_before_the_first_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 90, 2**30))
    require_room(tmp_path / "not" / "yet", 2**30, what="a release")
    with pytest.raises(ResourceError, match=r"1\.0 GiB free, a release needs about 2\.0 GiB"):
        require_room(tmp_path / "not" / "yet", 2**31, what="a release")
