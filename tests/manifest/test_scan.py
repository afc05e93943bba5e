# SPDX-License-Identifier: Apache-2.0
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest

from fakes.folder import crashing_batch, picture, save
from medsetu.core.run import sha256_file
from medsetu.manifest import scan
from medsetu.manifest.scan import CONSTANT, CRASHED, Task, inspect, read_files


def tasks_in(folder):
    return [Task(path.stem, path, f"r/{path.name}") for path in sorted(folder.iterdir())]


def read(tasks, workers):
    found = [replace(record, cpu_seconds=0) for records in read_files(tasks, workers=workers) for record in records]
    return {record.sample_id: record for record in found}


@pytest.fixture
def forty(tmp_path):
    for seed in range(40):
        save(picture(seed), tmp_path / f"{seed:02d}.png")
    return tmp_path


def test_a_file_gives_its_hashes_and_facts(tmp_path):
    path = save(picture(0, shape=(96, 80)), tmp_path / "a.png")
    record = inspect(Task("k", path, "r/a.png"))
    assert (record.key, record.sample_id, record.reason) == ("k", "r/a.png", "")
    assert record.sha256 == sha256_file(path)
    assert len(record.phash) == 16
    assert len(record.thumbnail) == 32 * 32 * 2
    assert record.cpu_seconds > 0
    assert (record.facts["height"], record.facts["width"], record.facts["file_format"]) == (96, 80, "png")


def test_what_cannot_be_read_has_a_reason(tmp_path):
    whole = save(picture(0), tmp_path / "whole.png").read_bytes()
    contents = {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"<html>not found</html>", "zeros": bytes(500)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        assert inspect(Task("", tmp_path / name, name)).reason, name
    assert inspect(Task("", tmp_path / "missing", "missing")).reason
    assert inspect(Task("", tmp_path, "folder")).reason
    save(np.full((20, 20), 0.3), tmp_path / "flat.png")
    assert inspect(Task("", tmp_path / "flat.png", "flat")).reason == CONSTANT


def test_a_fault_of_the_reader_is_a_reason_without_its_text(tmp_path, monkeypatch):
    def broken(path, *, sample_id):
        raise ValueError("ZZ^SENTINEL")

    monkeypatch.setattr(scan, "read_shown", broken)
    reason = inspect(Task("", save(picture(0), tmp_path / "a.png"), "a")).reason
    assert "ValueError" in reason
    assert "SENTINEL" not in reason


def test_two_processes_find_what_one_finds(forty):
    tasks = tasks_in(forty)
    alone, together = read(tasks, 1), read(tasks, 2)
    assert repr(sorted(alone.items())) == repr(sorted(together.items()))  # NaN facts are equal as text
    assert len(together) == 40


def test_a_file_that_kills_its_process_is_named_and_the_rest_goes_on(forty, monkeypatch):
    monkeypatch.setattr(scan, "inspect_batch", crashing_batch)
    save(picture(99), forty / "bomb.png")
    found = read(tasks_in(forty), 2)
    assert len(found) == 41
    assert {name for name, record in found.items() if record.reason == CRASHED} == {"r/bomb.png"}
    assert not multiprocessing.active_children()
