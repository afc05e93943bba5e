# SPDX-License-Identifier: Apache-2.0
"""Tensors out of whole pickled modules, with nothing of them run."""

import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from medsetu.backbone.pickled import read_pickled_module


class Block(nn.Sequential):
    pass


class Springs(nn.Module):
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def saved(module: nn.Module, *, old: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(module, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


@pytest.mark.parametrize("old", [False, True])
def test_tensors_equal_the_state_dict(old) -> None:
    module = Block(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), Block(nn.ReLU(), nn.Linear(3, 2, bias=False)))
    module.register_buffer("points", torch.rand(4)[::2])
    module.tied = module[0]
    state = read_pickled_module(saved(module, old=old), classes=("Block",))
    assert set(state) == set(module.state_dict())
    assert all(torch.equal(state[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("module", [Springs(), Block(Springs())])
def test_nothing_is_run(tmp_path, monkeypatch, old, module) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="mkdir' is refused"):
        read_pickled_module(saved(module, old=old), classes=("Block", "Springs"))
    assert not Path("sprung").exists()


def test_unnamed_classes_are_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="Block' is refused"):
        read_pickled_module(saved(Block(), old=False), classes=())


def test_a_state_dict_is_no_module() -> None:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, stream)
    with pytest.raises(pickle.UnpicklingError, match="no module"):
        read_pickled_module(stream.getvalue(), classes=())


def test_a_truncated_old_file_is_refused() -> None:
    data = saved(Block(nn.Linear(3, 2)), old=True)
    with pytest.raises(ValueError, match="buffer"):
        read_pickled_module(data[:-8], classes=("Block",))
