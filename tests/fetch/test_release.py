# SPDX-License-Identifier: Apache-2.0
"""A whole release: brought, checked, unpacked, placed, and taken up again after any interruption."""

import fcntl
import hashlib
import json
import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from fakes.packed import tarred, zipped
from fakes.server import Behaviour
from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import DataError, ResourceError
from medsetu.fetch import release as module
from medsetu.fetch.record import NAME, WORK, Record
from medsetu.fetch.release import Plan, fetch_files, outstanding

Usage = namedtuple("Usage", "total used free")
FILMS = {"images/1.png": b"one" * 400_000, "images/2.png": b"two" * 200_000}
MORE = {"images/3.png": b"three" * 1000}
TABLE = b"name,label\n"


def _content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and WORK not in p.parts and p.name != NAME}


WHOLE = {**FILMS, **MORE, "labels/table.csv": TABLE}


@pytest.fixture
def files(site):
    contents = {"one.zip": zipped(FILMS.items(), packing=0), "two.tar.gz": tarred(MORE.items()), "table.csv": TABLE}
    for name, content in contents.items():
        site.files[f"/{name}"] = Behaviour(content)
    digest = f"md5:{hashlib.md5(contents['one.zip'], usedforsecurity=False).hexdigest()}"
    return [
        RemoteFile(url=site.url("/one.zip"), name="one.zip", unpack=True, digest=digest),
        RemoteFile(url=site.url("/two.tar.gz"), name="two.tar.gz", unpack=True),
        RemoteFile(url=site.url("/table.csv"), name="table.csv", into="labels"),
    ]


@pytest.fixture
def plan(hasty):
    return Plan(patience=hasty)


def _fetch(files, folder, plan):
    record = Record(folder, release="demo")
    fetch_files(files, record, plan=plan)
    return record


def test_a_release_is_brought_unpacked_and_on_record(files, tmp_path, plan, site):
    record = _fetch(files, tmp_path, plan)
    assert _content(tmp_path) == WHOLE
    told = json.loads((tmp_path / NAME).read_text())["files"]
    assert told["one.zip"]["verified"] == "md5 of the card"
    assert told["table.csv"]["verified"].startswith("not verified")
    assert told["table.csv"]["sha256"] == hashlib.sha256(TABLE).hexdigest()
    assert told["two.tar.gz"]["unpacked"] == {"files": 1, "bytes": 5000, "left_out": 0}
    assert sorted(path.name for path in (tmp_path / WORK).iterdir()) == ["lock", "one.zip.members", "two.tar.gz.members"]
    before = dict(site.asked)
    assert outstanding(files, record, plan) == []
    fetch_files(files, record, plan=plan)
    assert site.asked == before


def test_the_bar_is_told_of_every_byte(files, tmp_path, plan, site):
    told = []

    @module.contextlib.contextmanager
    def progress(total, label):
        told.append(-total)
        yield told.append

    fetch_files(files, Record(tmp_path, release="demo"), plan=plan, progress=progress)
    assert sum(told) == 0
    assert -told[0] == sum(len(how.content) for how in site.files.values())


def test_archives_can_be_kept_packed_and_unpacked_later_without_the_network(files, tmp_path, plan, site):
    packed = replace(plan, unpack=False)
    record = _fetch(files, tmp_path, packed)
    assert _content(tmp_path) == {"labels/table.csv": TABLE}
    assert outstanding(files, record, packed) == []
    before = {path: len(asked) for path, asked in site.asked.items()}
    _fetch(files, tmp_path, replace(plan, keep_archives=True))
    assert _content(tmp_path) == WHOLE
    assert (tmp_path / WORK / "one.zip").is_file()
    assert {path: len(asked) for path, asked in site.asked.items()} == before


def test_a_wrong_checksum_is_set_aside_and_never_unpacked(files, tmp_path, plan, site):
    site.files["/one.zip"].content = zipped({"images/evil.png": b"x" * len(FILMS["images/1.png"])}.items(), packing=0)
    with pytest.raises(DataError, match="its md5 is"):
        _fetch(files, tmp_path, plan)
    assert not (tmp_path / "images" / "evil.png").exists()
    assert (tmp_path / WORK / "one.zip.refused").is_file()
    assert not (tmp_path / WORK / "one.zip").exists()


def test_a_hostile_archive_leaves_the_others_in_place(files, tmp_path, plan, site):
    site.files["/two.tar.gz"].content = tarred([("../evil", b"x")])
    for _ in range(2):
        with pytest.raises(DataError, match="leave its folder"):
            _fetch(files, tmp_path / "release", plan)
    assert not (tmp_path / "evil").exists()
    site.files["/two.tar.gz"].content = tarred(MORE.items())
    _fetch(files, tmp_path / "release", plan)
    assert _content(tmp_path / "release") == WHOLE


def test_a_file_that_a_person_put_there_is_taken_and_checked(files, tmp_path, plan, site):
    (tmp_path / WORK).mkdir()
    (tmp_path / WORK / "one.zip").write_bytes(site.files["/one.zip"].content)
    _fetch(files, tmp_path, plan)
    assert _content(tmp_path) == WHOLE
    assert "/one.zip" not in site.asked


def test_what_somebody_removed_comes_again(files, tmp_path, plan):
    _fetch(files, tmp_path, plan)
    (tmp_path / "images" / "1.png").unlink()
    _fetch(files, tmp_path, plan)
    assert _content(tmp_path) == WHOLE


STAGES = ("check", "unpack", "settle", "note", "list_members")


@pytest.mark.parametrize("when", range(1, 13))
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_between_any_two_steps_is_taken_up(files, tmp_path, plan, monkeypatch, when, after):
    calls = [0]

    def breaking(real):
        def call(*args, **kwargs):
            calls[0] += 1
            if calls[0] == when and not after:
                raise KeyboardInterrupt
            answer = real(*args, **kwargs)
            if calls[0] == when and after:
                raise KeyboardInterrupt
            return answer

        return call

    with monkeypatch.context() as killed:
        for name in STAGES:
            place = Record if name in ("note", "list_members") else module
            killed.setattr(place, name, breaking(getattr(place, name)))
        with pytest.raises(KeyboardInterrupt):
            _fetch(files, tmp_path, plan)
    record = _fetch(files, tmp_path, plan)
    assert _content(tmp_path) == WHOLE
    assert outstanding(files, record, plan) == []
    assert not list((tmp_path / WORK).glob("*.unpack*"))


def test_what_came_before_is_said_and_counts_as_room(files, tmp_path, plan, site, monkeypatch, caplog):
    caplog.set_level("INFO")
    offers = module.ask(files[:1], patience=plan.patience)
    part = module.begin(files[0], offers[0], tmp_path / WORK).part
    part.write(0, site.files["/one.zip"].content[:1_000_000])
    part.close()
    needed = []
    monkeypatch.setattr(module, "require_room", lambda folder, need, what: needed.append(need))
    _fetch(files, tmp_path, plan)
    assert "1,000,000 bytes came before and are kept" in caplog.text
    packed = [len(site.files[f"/{name}"].content) for name in ("one.zip", "two.tar.gz")]
    assert needed == [len(TABLE) + sum(packed) - 1_000_000 + int(1.2 * sum(packed))]
    assert _content(tmp_path) == WHOLE


def test_no_room_is_refused_before_the_first_byte(files, tmp_path, plan, site, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 1_000_000))
    with pytest.raises(ResourceError, match="release 'demo' needs about"):
        _fetch(files, tmp_path, plan)
    assert max(site.sent.values()) == 1  # the byte that an offer is asked with


def test_two_processes_do_not_write_into_one_folder(files, tmp_path, plan):
    (tmp_path / WORK).mkdir()
    with (tmp_path / WORK / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ResourceError, match="Another process"):
            _fetch(files, tmp_path, plan)
    _fetch(files, tmp_path, plan)


def test_a_folder_that_cannot_be_written_is_named(files, tmp_path, plan):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        _fetch(files, tmp_path / "file", plan)


def test_a_file_of_ones_own_is_never_replaced(files, tmp_path, plan):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "table.csv").write_bytes(b"mine")
    with pytest.raises(DataError, match="already there"):
        _fetch(files, tmp_path, plan)
    assert (tmp_path / "labels" / "table.csv").read_bytes() == b"mine"
