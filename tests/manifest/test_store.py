# SPDX-License-Identifier: Apache-2.0
import os

import numpy as np
import pytest

from fakes.folder import picture, save
from medsetu.core.errors import ResourceError
from medsetu.manifest import store as store_module
from medsetu.manifest.scan import Record, Task, inspect
from medsetu.manifest.store import ScanStore


@pytest.fixture
def film(tmp_path):
    return save(picture(0), tmp_path / "films" / "a.png")


def loaded(folder):
    return {record.key: record for records in ScanStore(folder).kept() for record in records}


def keep(folder, path):
    store = ScanStore(folder)
    record = inspect(Task(store.key(path), path, "r/a"))
    store.add([record])
    store.flush()
    return record


def test_what_was_kept_comes_back_equal(tmp_path, film):
    record = keep(tmp_path / "scan", film)
    again = loaded(tmp_path / "scan")[record.key]
    assert repr(again) == repr(record)  # NaN facts are equal as text


def test_another_content_has_another_key(tmp_path, film):
    store = ScanStore(tmp_path)
    before = store.key(film)
    assert store.key(film) == before
    os.utime(film, ns=(1, 1))
    assert store.key(film) != before
    assert store.key(tmp_path / "missing") == ""


def test_another_reader_has_another_key(tmp_path, film, monkeypatch):
    before = ScanStore(tmp_path).key(film)
    monkeypatch.setattr(store_module, "version", lambda package: "99")
    assert ScanStore(tmp_path).key(film) != before


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_damaged_shard_is_counted_and_not_believed(tmp_path, film, damage, caplog):
    record = keep(tmp_path / "scan", film)
    shard = next((tmp_path / "scan").glob("*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes({"flip": bytes(data), "truncate": bytes(data[:50]), "empty": b""}[damage])
    assert record.key not in loaded(tmp_path / "scan")
    assert "damaged" in caplog.text


def test_a_stranger_s_table_is_not_believed(tmp_path):
    (tmp_path / "strange.parquet").write_bytes(b"PAR1")
    assert loaded(tmp_path) == {}


def test_unreadable_files_are_asked_again(tmp_path):
    store = ScanStore(tmp_path / "scan")
    store.add([Record("k", "r/a", reason="broken"), Record("", "r/b")])
    store.flush()
    assert loaded(tmp_path / "scan") == {}


def test_work_is_saved_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SHARD", 4)
    store = ScanStore(tmp_path)
    for number in range(10):
        store.add([Record(f"k{number}", f"r/{number}", facts={"height": number})])
    assert len(loaded(tmp_path)) == 8  # as after a kill: the last two were not yet written
    store.flush()
    assert loaded(tmp_path)["k9"].facts == {"height": 9}


def test_nothing_is_kept_without_a_folder():
    store = ScanStore(None)
    store.add([Record("k", "r/a")])
    store.flush()
    assert list(store.kept()) == []


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medsetu.core.run.os.fsync", full)
    store = ScanStore(tmp_path)
    store.add([Record("k", "r/a", facts={})])
    with pytest.raises(ResourceError, match="No space left"):
        store.flush()
    assert not list(tmp_path.iterdir())


def test_only_what_is_wanted_is_given(tmp_path):
    store = ScanStore(tmp_path)
    store.add([Record(f"k{number}", f"r/{number}", facts={}) for number in range(5)])
    store.flush()
    wanted = np.array(sorted(["k3", "k1", "z", ""]), dtype="S32")
    assert [record.key for records in store.kept(wanted) for record in records] == ["k1", "k3"]
    assert [record for records in store.kept(wanted[:0]) for record in records] == []
