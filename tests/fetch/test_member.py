# SPDX-License-Identifier: Apache-2.0
"""Members of archives, as they are and as they lie."""

import io
import tarfile
import zipfile

import pytest

from fakes.packed import special, tarred, zipped, zipped_link
from medsetu.fetch.member import FILE, FOLDER, LONGEST_HEADER, Unsafe, declared, members

CONTENTS = [("a/b.txt", b"one"), ("c.txt", b"two" * 5000)]
ENDINGS = {"zip": None, "tar": "", "tar.gz": "gz", "tgz": "gz", "tar.bz2": "bz2", "tar.xz": "xz"}


def _read(path):
    found = []
    for member in members(path):
        with member.open() as stream:
            found.append((member.name, member.kind, member.size, stream.read()))
    return found


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_of_archive_is_read(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(zipped(CONTENTS) if ending == "zip" else tarred(CONTENTS, packing=ENDINGS[ending]))
    assert _read(path) == [(name, FILE, len(content), content) for name, content in CONTENTS]
    assert declared(path) == (15_003 if ending == "zip" else None)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a link"), (tarfile.FIFOTYPE, "a pipe"), (tarfile.CHRTYPE, "a device"), (b"Z", "")],
)
def test_special_members_are_named(tmp_path, kind, words):
    (tmp_path / "x.tar").write_bytes(tarred([(special("a", kind, "b"), b"")], packing=""))
    (member,) = members(tmp_path / "x.tar")
    assert member.kind not in (FOLDER, *([] if kind == b"Z" else [FILE]))
    assert words in member.kind


def test_a_link_in_a_zip_file_is_named(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped([zipped_link("a", "/etc/passwd"), ("d/", b"")]))
    assert [member.kind for member in members(tmp_path / "x.zip")] == ["a link", FOLDER]


def test_an_encrypted_zip_file_is_refused(tmp_path):
    data = bytearray(zipped([("a", b"secret")], packing=zipfile.ZIP_STORED))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(Unsafe, match="encrypted"):
        list(members(tmp_path / "x.zip"))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path, kind):
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, LONGEST_HEADER * 4
    data = entry.tobuf(tarfile.GNU_FORMAT) + bytes(entry.size) + bytes(1024)
    with tarfile.open(tmp_path / "outer.tar", "w"):
        pass
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(Unsafe, match="headers"):
        list(members(tmp_path / "x.tar"))


def test_endless_padding_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("medsetu.fetch.member._PADDING", 1 << 16)
    (tmp_path / "x.tar").write_bytes(tarred([("a", b"b")], packing="") + bytes(1 << 17))
    with pytest.raises(Unsafe, match="follow its last member"):
        list(members(tmp_path / "x.tar"))


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_packed_file_is_read_to_its_own_checksum(tmp_path, ending):
    data = bytearray(tarred([("a", b"b" * 100_000)], packing=ENDINGS[ending]))
    data[-6] ^= 0xFF
    (tmp_path / f"x.{ending}").write_bytes(data)
    with pytest.raises((OSError, EOFError, ValueError, tarfile.TarError, __import__("lzma").LZMAError)):
        _read(tmp_path / f"x.{ending}")


def test_memory_does_not_grow_with_the_members(tmp_path):
    buffer = io.BytesIO(tarred([(f"{number}", b"") for number in range(3000)], packing=""))
    (tmp_path / "x.tar").write_bytes(buffer.getvalue())
    assert sum(1 for _ in members(tmp_path / "x.tar")) == 3000
