# SPDX-License-Identifier: Apache-2.0
"""What has arrived is on record, and the record never says more than is there."""

import errno
import itertools
import json
import os
import random
import threading

import pytest

from medsetu.core.errors import ResourceError
from medsetu.fetch import part as module
from medsetu.fetch.part import Part, gaps, join

WHO = {"url": "u", "total": 100, "etag": '"one"'}


def _part(tmp_path, *, who=WHO, keep=True):
    return Part(tmp_path / "a.zip", identity=who, keep=keep)


def test_joined_spans_and_gaps_share_out_all_bytes():
    draw = random.Random(1)  # noqa: S311 - no secret
    for _ in range(200):
        total = draw.randint(1, 60)
        spans = [tuple(sorted((draw.randint(0, total), draw.randint(0, total)))) for _ in range(draw.randint(0, 8))]
        spans = [span for span in spans if span[0] < span[1]]
        covered = {byte for start, stop in spans for byte in range(start, stop)}
        joined = join(spans)
        assert {byte for start, stop in joined for byte in range(start, stop)} == covered
        assert all(one[1] < other[0] for one, other in itertools.pairwise(joined))
        assert {byte for start, stop in gaps(joined, total) for byte in range(start, stop)} == set(range(total)) - covered


def test_a_part_is_taken_up_where_it_was_left(tmp_path):
    first = _part(tmp_path)
    first.write(10, b"x" * 20)
    first.write(50, b"y" * 10)
    first.close()
    again = _part(tmp_path)
    assert (again.arrived, again.missing(100)) == (30, [(0, 10), (30, 50), (60, 100)])
    for start, stop in again.missing(100):
        again.write(start, b"z" * (stop - start))
    again.finish()
    assert (tmp_path / "a.zip").read_bytes() == b"z" * 10 + b"x" * 20 + b"z" * 20 + b"y" * 10 + b"z" * 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "a.zip.part.json").write_text("{"),
        lambda folder: (folder / "a.zip.part.json").write_text('{"identity": {}, "spans": [[0, 10]]}'),
        lambda folder: (folder / "a.zip.part.json").write_text(json.dumps({"identity": WHO, "spans": [[-5, 10]]})),
        lambda folder: (folder / "a.zip.part.json").unlink(),
        lambda folder: (folder / "a.zip.part").unlink(),
        lambda folder: (folder / "a.zip.part").write_bytes(b"short"),
    ],
)
def test_a_record_that_is_not_true_is_thrown_away(tmp_path, spoil):
    first = _part(tmp_path)
    first.write(0, b"x" * 10)
    first.close()
    spoil(tmp_path)
    assert _part(tmp_path).arrived == 0


def test_a_part_of_another_file_is_thrown_away(tmp_path):
    for who, keep in ((WHO | {"etag": '"two"'}, True), (WHO, False)):
        first = _part(tmp_path)
        first.write(0, b"x" * 10)
        first.close()
        assert _part(tmp_path, who=who, keep=keep).arrived == 0


def test_what_is_not_yet_on_record_is_not_believed_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY_S", 3600)
    first = _part(tmp_path)
    first.write(0, b"x" * 10)
    first.save()
    first.write(10, b"y" * 10)  # no close: as after SIGKILL
    assert _part(tmp_path).missing(100) == [(10, 100)]


def test_the_bytes_are_synced_before_the_record_names_them(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fdatasync", lambda handle: order.append("bytes"))
    monkeypatch.setattr(module, "write_json", lambda path, value: order.append("record"))
    one = _part(tmp_path)
    one.write(0, b"x")
    one.save()
    assert order == ["bytes", "record"]


@pytest.mark.parametrize("lacking", [("fdatasync",), ("fdatasync", "pwrite")], ids=["macOS", "Windows"])
def test_systems_that_lack_a_call(tmp_path, monkeypatch, lacking):
    for name in lacking:
        monkeypatch.delattr(os, name)
    part = _part(tmp_path)
    part.write(5, b"world")
    part.write(0, b"hello")
    part.save()
    assert part.missing(10) == []
    assert part.finish().read_bytes() == b"helloworld"


def test_several_threads_write_one_part(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.0)
    content = random.Random(2).randbytes(64 * 1000)  # noqa: S311 - no secret
    part = _part(tmp_path)

    def write(first):
        for at in range(first * 1000, len(content), 4000):
            part.write(at, content[at : at + 1000])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert part.missing(len(content)) == []
    assert part.finish().read_bytes() == content


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_what_has_arrived(tmp_path, monkeypatch, code):
    part = _part(tmp_path)
    part.write(0, b"x" * 10)

    def full(*_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", full)
        with pytest.raises(ResourceError, match="The disk is full"):
            part.write(10, b"y")
    part.close()
    part.close()
    assert _part(tmp_path).missing(100) == [(10, 100)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="could not be written"):
        Part(tmp_path / "file" / "a.zip", identity=WHO, keep=True)


def test_a_block_that_comes_after_the_end_goes_nowhere(tmp_path):
    """A thread may wake up late, when the number of the file belongs to another one."""
    part = _part(tmp_path)
    part.close()
    with (tmp_path / "other").open("w+b") as other:
        part.write(0, b"late")
        assert other.read() == b""
    assert (tmp_path / "a.zip.part").read_bytes() == b""
