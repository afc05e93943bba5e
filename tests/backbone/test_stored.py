# SPDX-License-Identifier: Apache-2.0
"""Files are hashed before they are parsed, and never executed."""

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch

import medsetu
from medsetu.backbone.stored import read_stored
from medsetu.core.errors import WeightError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.bin", "x.ckpt", "x.safetensors"])
def test_plain_files_are_read(tmp_path, name) -> None:
    path = tmp_path / name
    if name.endswith("safetensors"):
        safetensors.torch.save_file(STATE, path)
    else:
        torch.save(STATE, path)
    stored = read_stored(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert all(torch.equal(stored.state[key], value) for key, value in STATE.items())
    assert stored.note == {}


@pytest.mark.parametrize("wrapped", [{"state_dict": STATE, "epoch": 3}, {"model": STATE}, {f"module.{k}": v for k, v in STATE.items()}])
def test_usual_wrappings_are_undone(tmp_path, wrapped) -> None:
    torch.save(wrapped, tmp_path / "x.pt")
    assert set(read_stored(tmp_path / "x.pt").state) == set(STATE)


def test_checkpoints_of_others_are_not_executed(tmp_path, monkeypatch) -> None:
    """T31: an object in a checkpoint is refused, not built."""
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": STATE, "callback": Trap()}, "x.pt")
    with pytest.raises(WeightError, match="cannot be read without executing"):
        read_stored(Path("x.pt"))
    Path("y.pt").write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(WeightError):
        read_stored(Path("y.pt"), module_classes=("Trap",))
    assert not Path("sprung").exists()


def test_downloads_are_verified_before_they_are_parsed(tmp_path, monkeypatch) -> None:
    """T32: with a wrong digest not one byte reaches a parser."""
    torch.save(STATE, tmp_path / "x.pt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("parsed before it was verified"))
    with pytest.raises(WeightError, match="not the promised ones"):
        read_stored(tmp_path / "x.pt", sha256="0" * 64)


def test_no_unsafe_load_stands_in_the_package() -> None:
    """T32: nowhere ``weights_only=False``, nowhere a bare ``pickle.load``."""
    for path in Path(medsetu.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert "weights_only=False" not in text, path
        assert "pickle.load" not in text, path
        assert text.replace("safetensors.torch.load(", "").count("torch.load(") <= text.count("weights_only=True)"), path


@pytest.mark.parametrize("name", ["x.pt2", "x.onnx", "x.pkl", "x"])
def test_other_kinds_are_refused(tmp_path, name) -> None:
    torch.save(STATE, tmp_path / "x.pt")
    (tmp_path / "x.pt").rename(tmp_path / name)
    with pytest.raises(WeightError, match="not read as weights"):
        read_stored(tmp_path / name)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"hello", bytes(range(64))])
@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_damaged_files_are_refused(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightError):
        read_stored(tmp_path / name)


def test_truncated_files_are_refused(tmp_path) -> None:
    for name in ("x.pt", "x.safetensors"):
        path = tmp_path / name
        torch.save(STATE, path) if name == "x.pt" else safetensors.torch.save_file(STATE, path)
        whole = path.read_bytes()
        for keep in (len(whole) // 3, len(whole) // 2, len(whole) - 5):
            path.write_bytes(whole[:keep])
            with pytest.raises(WeightError):
                read_stored(path)


def test_missing_file_and_short_digest_are_refused(tmp_path) -> None:
    with pytest.raises(WeightError, match="missing"):
        read_stored(tmp_path / "none.pt")
    torch.save(STATE, tmp_path / "x.pt")
    with pytest.raises(WeightError, match="not the promised"):
        read_stored(tmp_path / "x.pt", sha256="")


def test_a_file_without_tensors_is_refused(tmp_path) -> None:
    torch.save({"epoch": 3}, tmp_path / "x.pt")
    with pytest.raises(WeightError, match="no tensors"):
        read_stored(tmp_path / "x.pt")
