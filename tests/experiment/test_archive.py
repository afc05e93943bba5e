# SPDX-License-Identifier: Apache-2.0
"""The zip file of a capsule: the same bytes twice, and nothing that leaves its folder."""

import zipfile

import pytest

from medsetu.core.errors import DataError
from medsetu.core.run import sha256_bytes
from medsetu.experiment.archive import LISTING, pack, unpack

FILES = {"b/c.txt": b"one", "a.txt": b"two"}


def written(tmp_path, files, *, listed=None, kind=0):
    """A zip file as someone else would write it."""
    path = tmp_path / "x.zip"
    listing = "".join(f"{sha256_bytes(content)}  {name}\n" for name, content in (files if listed is None else listed).items())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(LISTING, listing)
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = kind << 16
            archive.writestr(entry, content)
    return path


def test_the_same_files_are_the_same_bytes_and_come_back(tmp_path):
    first = pack(FILES, tmp_path / "1.zip")
    assert first == pack(dict(reversed(FILES.items())), tmp_path / "2.zip")
    unpack(tmp_path / "1.zip", tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES


@pytest.mark.parametrize("name", ["../x.txt", "/x.txt", "a/../../x.txt", "a\\x.txt", "C:x.txt", "folder/"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="leaves its folder"):
        unpack(written(tmp_path, {name: b""}), tmp_path / "out")
    assert not (tmp_path / "x.txt").exists()
    assert not (tmp_path / "out").exists()


def test_a_link_is_refused(tmp_path):
    with pytest.raises(DataError, match="no plain file"):
        unpack(written(tmp_path, {"link": b"/etc/passwd"}, kind=0o120777), tmp_path / "out")


def test_other_content_and_unlisted_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.txt is not the one that was packed"):
        unpack(written(tmp_path, FILES, listed={**FILES, "a.txt": b"other"}), tmp_path / "out")
    with pytest.raises(DataError, match="do not agree"):
        unpack(written(tmp_path, FILES, listed={"a.txt": b"two"}), tmp_path / "out")


def test_what_is_no_zip_file_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK no")
    with pytest.raises(DataError, match="cannot be read"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
