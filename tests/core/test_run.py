# SPDX-License-Identifier: Apache-2.0
"""Files that are old or new but never half, keys by content, and the layout of a run."""

import json
from pathlib import Path

import pytest
import yaml

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.run import RunFolder, atomic_write, content_key, plain, read_yaml, sha256_bytes, sha256_file, verify_sidecar, write_json


def test_hashes_agree(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == sha256_bytes(data)
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4


def test_a_content_key_knows_content_and_nothing_else():
    assert content_key({"a": [1, 2], "b": None}) == content_key({"b": None, "a": (1, 2)})
    keys = {content_key(value) for value in ({"a": 1}, {"a": 2}, {"a": "1"}, {"a": True}, {"a": None}, [1], [[1]])}
    assert len(keys) == 7
    assert len(content_key({}, length=8)) == 8


def test_a_file_is_replaced_whole(tmp_path):
    path = atomic_write(tmp_path / "deep" / "a.bin", b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_a_failed_write_keeps_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = atomic_write(tmp_path / "a.bin", b"old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ResourceError, match=r"No space left on device.*Free disk space"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_that_cannot_be_made_is_a_resource_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="could not be written"):
        atomic_write(tmp_path / "file" / "a.bin", b"")


def test_the_sidecar_tells_a_changed_file(tmp_path):
    path = atomic_write(tmp_path / "a.bin", b"true", sidecar=True)
    verify_sidecar(path)
    path.write_bytes(b"false")
    with pytest.raises(DataError, match="SHA-256 differs"):
        verify_sidecar(path)
    (tmp_path / "a.bin.sha256").write_text("")
    with pytest.raises(DataError, match="SHA-256 differs"):
        verify_sidecar(path)
    (tmp_path / "a.bin.sha256").unlink()
    verify_sidecar(path)


def test_json_writes_nan_as_null_and_keeps_zero(tmp_path):
    path = write_json(tmp_path / "a.json", {"nan": float("nan"), "zero": 0.0, "deep": [{"x": (float("nan"), 1)}], 3: Path("p")})
    assert json.loads(path.read_text()) == {"nan": None, "zero": 0.0, "deep": [{"x": [None, 1]}], "3": "p"}


def test_plain_is_what_json_gives_back(tmp_path):
    value = {"nan": float("nan"), 3: [(1, Path("p"))]}
    assert plain(value) == json.loads(write_json(tmp_path / "a.json", value).read_text())


def test_yaml_is_read_without_objects(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: [1, 0.5, null, yes, '2']\nb: \u00e9\n")
    assert read_yaml(path) == yaml.safe_load(path.read_text()) == {"a": [1, 0.5, None, True, "2"], "b": "\u00e9"}
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(yaml.YAMLError):
        read_yaml(path)


def test_a_run_folder_knows_its_places(tmp_path):
    run = RunFolder(tmp_path)
    places = [run.recipe, run.provenance, run.checkpoints, run.predictions, run.features, run.results, run.report, run.done]
    assert len(set(places)) == 8
    assert {place.parent for place in places} == {tmp_path}
    assert run.predictions.name == "predictions.parquet"
