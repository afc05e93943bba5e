# SPDX-License-Identifier: Apache-2.0
"""Archives that try to leave their folder, to fill the disk, to overwrite, or that break in the middle."""

import random
import shutil
import tarfile
import zipfile
from collections import namedtuple

import pytest

from fakes.packed import special, tarred, zipped, zipped_link
from medsetu.core.errors import DataError, ResourceError
from medsetu.fetch import unpack as module
from medsetu.fetch.unpack import UNPACKED, Limits, settle, unpack

Usage = namedtuple("Usage", "total used free")


def _unpack(tmp_path, data, *, ending="zip", limits=None, **settings):
    work = tmp_path / "release" / "work"
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"x.{ending}"
    path.write_bytes(data)
    return unpack(path, work, limits=limits or Limits(), **settings), work / (path.name + UNPACKED)


def _refused(tmp_path, data, match, **settings):
    """Unpack something hostile; nothing but the archive, set aside, may be left, inside or outside."""
    before = sorted(path for path in tmp_path.rglob("*") if "release" not in path.parts)
    with pytest.raises(DataError, match=match) as caught:
        _unpack(tmp_path, data, **settings)
    assert [path.name for path in (tmp_path / "release" / "work").iterdir()] == [f"x.{settings.get('ending', 'zip')}.refused"]
    assert sorted(path for path in tmp_path.rglob("*") if "release" not in path.parts) == before
    assert "SENTINEL" not in str(caught.value)


def _tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar"])
def test_what_is_honest_is_unpacked(tmp_path, ending):
    members = [("./images/a.png", b"one"), ("images/b (1).png", b""), ("deep/er/c.txt", b"three" * 9000)]
    data = zipped([("images/", b""), *members]) if ending == "zip" else tarred(members, packing=ending[4:])
    told = []
    done, folder = _unpack(tmp_path, data, ending=ending, advance=told.append)
    wanted = {"images/a.png": b"one", "images/b (1).png": b"", "deep/er/c.txt": b"three" * 9000}
    assert _tree(folder) == wanted
    assert done.files == {name: len(content) for name, content in wanted.items()}
    assert sum(told) == sum(done.files.values())


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", ["../ZZ^SENTINEL", "a/../../b", "/ZZ^SENTINEL", "C:/b", "a\\..\\..\\b", "a\nb"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name, ending):
    members = [("fine.txt", b"x"), (name, b"evil")]
    _refused(tmp_path, zipped(members) if ending == "zip" else tarred(members), "leave its folder", ending=ending)


@pytest.mark.parametrize(
    "members",
    [
        [(special("link", tarfile.SYMTYPE, "/etc"), b""), ("link/passwd", b"evil")],
        [(special("link", tarfile.SYMTYPE, "inside"), b"")],
        [("a", b"x"), (special("link", tarfile.LNKTYPE, "a"), b"")],
        [(special("pipe", tarfile.FIFOTYPE), b"")],
        [(special("disk", tarfile.BLKTYPE), b"")],
    ],
)
def test_links_pipes_and_devices_are_refused(tmp_path, members):
    _refused(tmp_path, tarred(members), "one of its members is a", ending="tar.gz")


def test_a_link_in_a_zip_file_is_refused(tmp_path):
    _refused(tmp_path, zipped([zipped_link("images", "/etc"), ("images/passwd", b"evil")]), "is a link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [("a.txt", "a.txt"), ("a.txt", "A.TXT"), ("a.txt", "./a.txt"), ("é.txt", "e\u0301.txt"), ("a", "a/b"), ("a/b", "a"), ("A/b", "a/c")],
)
@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_members_that_meet_are_refused(tmp_path, names, ending):
    members = [(name, b"x") for name in names]
    _refused(tmp_path, zipped(members) if ending == "zip" else tarred(members), "bear one name", ending=ending)


def test_a_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FLOOR", 1 << 20)
    data = zipped([("zeros", bytes(8 << 20))])
    assert len(data) < 1 << 14
    _refused(tmp_path, data, "would unpack to 8,388,608 bytes")


def test_a_bomb_that_says_nothing_beforehand_is_stopped_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FLOOR", 1 << 20)
    written = []
    data = tarred([(f"zeros{number}", bytes(400_000)) for number in range(20)])
    _refused(tmp_path, data, "unpacks to more than", ending="tar.gz", advance=written.append)
    assert sum(written) <= 1 << 20


def test_a_sparse_member_counts_with_its_holes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FLOOR", 1 << 20)
    entry = tarfile.TarInfo("holes")
    entry.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(1 << 40), "GNU.sparse.map": "0,1"}
    _refused(tmp_path, tarred([(entry, b"x")]), "unpacks to more than|broken", ending="tar.gz")


def test_too_much_in_all_and_too_many_are_refused(tmp_path):
    data = zipped([("a", b"x" * 100), ("b", b"y" * 100)])
    _refused(tmp_path, data, "more than 150", limits=Limits(bytes=150))
    _refused(tmp_path, data, "more than 1 members", limits=Limits(members=1))


def test_a_header_that_understates_a_member_is_refused(tmp_path):
    data = bytearray(zipped([("a", b"x" * 5000)], packing=zipfile.ZIP_STORED))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")
    _refused(tmp_path, bytes(data), "broken")


def test_an_archive_in_an_archive_stays_packed(tmp_path):
    inner = zipped([("evil.txt", b"x")])
    done, folder = _unpack(tmp_path, zipped([("inner.zip", inner)]))
    assert _tree(folder) == {"inner.zip": inner}
    assert list(done.files) == ["inner.zip"]


def test_rights_of_the_archive_are_not_taken_over(tmp_path):
    entry = tarfile.TarInfo("run")
    entry.mode, entry.uid = 0o6777, 0
    _, folder = _unpack(tmp_path, tarred([(entry, b"x")]), ending="tar.gz")
    assert (folder / "run").stat().st_mode & 0o7111 == 0


def test_forks_of_another_system_are_left_out_and_counted(tmp_path):
    done, folder = _unpack(tmp_path, zipped([("a.png", b"x"), ("__MACOSX/._a.png", b"y"), ("d/._b.png", b"z"), ("d/.DS_Store", b"")]))
    assert list(_tree(folder)) == ["a.png"]
    assert done.left_out == 3


def test_the_content_of_one_folder_can_be_wanted(tmp_path):
    done, folder = _unpack(tmp_path, zipped([("top/a", b"x"), ("top/b/c", b"y"), ("other", b"z")]), prefix="top")
    assert sorted(_tree(folder)) == ["a", "b/c"]
    assert done.left_out == 1
    _refused(tmp_path / "again", zipped([("a", b"x")]), "no folder 'top'", prefix="top")


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_broken_archives_are_refused_wherever_they_are_cut_or_bent(tmp_path, ending):
    members = [(f"{number}.txt", random.Random(number).randbytes(300)) for number in range(20)]  # noqa: S311 - no secret
    whole = zipped(members) if ending == "zip" else tarred(members)
    draw = random.Random(3)  # noqa: S311 - no secret
    for case in range(60):
        data = bytearray(whole)
        if case % 2:
            data = data[: draw.randrange(len(data))]
        else:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        place = tmp_path / str(case)
        try:
            _, folder = _unpack(place, bytes(data), ending=ending)
        except DataError:
            assert not list((place / "release" / "work").glob("*.unpack*"))
        else:  # a bit in a date, a comment or a name
            assert sorted(_tree(folder).values()) == sorted(content for _, content in members)


def test_a_full_disk_leaves_the_archive_and_nothing_half(tmp_path, monkeypatch):
    data = zipped([("a", b"x" * 1000)])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 10))
    with pytest.raises(ResourceError, match=r"needs 0\.0 GiB"):
        _unpack(tmp_path, data)
    assert [path.name for path in (tmp_path / "release" / "work").iterdir()] == ["x.zip"]


def test_a_disk_that_fills_on_the_way_leaves_the_archive_and_nothing_half(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    data = tarred([("a", b"x" * 1000)])
    monkeypatch.setattr(module._Job, "_write", full)
    with pytest.raises(ResourceError, match="The disk is full"):
        _unpack(tmp_path, data, ending="tar.gz")
    assert [path.name for path in (tmp_path / "release" / "work").iterdir()] == ["x.tar.gz"]


def test_a_name_that_no_disk_holds_is_a_fault_of_the_archive(tmp_path):
    _refused(tmp_path, tarred([("a" * 300, b"x")]), "broken", ending="tar.gz")


def test_leftovers_of_a_kill_are_replaced(tmp_path):
    work = tmp_path / "release" / "work"
    (work / "x.zip.unpacking").mkdir(parents=True)
    (work / "x.zip.unpacking" / "half").write_text("")
    _, folder = _unpack(tmp_path, zipped([("a", b"x")]))
    assert _tree(folder) == {"a": b"x"}


def _plant(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_what_is_moved_joins_what_is_there(tmp_path):
    _plant(tmp_path / "new", {"images/b": b"2", "deep/c": b"3", "same": b"4"})
    _plant(tmp_path / "old", {"images/a": b"1", "same": b"4"})
    settle(tmp_path / "new", tmp_path / "old")
    assert _tree(tmp_path / "old") == {"images/a": b"1", "images/b": b"2", "deep/c": b"3", "same": b"4"}
    assert not (tmp_path / "new").exists()


def test_moving_can_be_killed_at_any_rename_and_done_again(tmp_path, monkeypatch):
    files = {f"d{number % 2}/{number}": bytes([number]) for number in range(6)}
    _plant(tmp_path / "new", files)
    _plant(tmp_path / "old", {"d0/x": b"x", "d1/x": b"x"})
    real, tries = type(tmp_path).rename, 0
    while (tmp_path / "new").exists():
        left = [2]

        def rename(self, target, left=left):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return real(self, target)

        tries += 1
        with monkeypatch.context() as killed:
            killed.setattr(type(tmp_path), "rename", rename)
            try:
                settle(tmp_path / "new", tmp_path / "old")
            except KeyboardInterrupt:
                continue
    assert tries > 3
    assert _tree(tmp_path / "old") == files | {"d0/x": b"x", "d1/x": b"x"}


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_nothing_that_is_there_is_replaced(tmp_path, there):
    _plant(tmp_path / "new", {"a": b"1"})
    (tmp_path / "old").mkdir()
    if there == "file":
        (tmp_path / "old" / "a").write_bytes(b"mine")
    elif there == "folder":
        (tmp_path / "old" / "a").mkdir()
    else:
        (tmp_path / "old" / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="already there"):
        settle(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "new" / "a").read_bytes() == b"1"
