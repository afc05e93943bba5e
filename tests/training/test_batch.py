# SPDX-License-Identifier: Apache-2.0
"""The split of an update into batches: how it is found, kept and refused. That it fills a GPU is measured on one."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from medsetu.core.errors import ConfigError, ResourceError
from medsetu.core.run import write_json
from medsetu.training import batch as batch_module
from medsetu.training.batch import FILE, fit_batch, largest_batch, read_batch
from medsetu.training.finish import complete_stage
from medsetu.training.hardware import Hardware
from medsetu.training.loss import AucMargin, GroupDro
from medsetu.training.plan import StagePlan
from training.conftest import CPU, OPTIONS, ToyData, small_network

GPU = Hardware("gpu", "32-true")


class Splitting(ToyData):
    def batched(self, batch_size: int) -> "Splitting":
        other = copy.copy(self)
        other.batch_size = batch_size
        return other


@pytest.mark.parametrize("whole", [2, 7, 16, 24, 96, 97])
def test_the_largest_divisor_that_fits_is_found_in_few_tries(whole: int) -> None:
    divisors = [size for size in range(2, whole + 1) if whole % size == 0]
    for limit in range(2, whole + 1):
        tried: list[int] = []
        wanted = [size for size in divisors if size <= limit]
        if not wanted:
            continue
        assert largest_batch(whole, fits=lambda size, limit=limit, tried=tried: tried.append(size) or size <= limit) == wanted[-1]
        assert len(tried) <= 2 + len(divisors).bit_length()


def test_nothing_fits() -> None:
    with pytest.raises(ResourceError, match="Not even 2 images"):
        largest_batch(16, fits=lambda _: False)


@pytest.mark.parametrize(
    ("change", "hardware", "says"),
    [
        ({}, CPU, "On cpu there is no memory of a GPU"),
        ({}, Hardware("gpu", "32-true", 2), "one device"),
        ({"loss": AucMargin()}, GPU, "another loss"),
        ({"loss": GroupDro("class")}, GPU, "another loss"),
    ],
)
def test_what_is_refused(tmp_path: Path, plan: StagePlan, change: dict[str, Any], hardware: Hardware, says: str) -> None:
    options = replace(OPTIONS, auto_batch=True)
    with pytest.raises(ConfigError, match=says):
        fit_batch(small_network(), Splitting(), plan=replace(plan, **change), folder=tmp_path, seed=0, hardware=hardware, options=options)
    assert not (tmp_path / FILE).exists()


def test_a_stage_keeps_its_split_on_another_machine(tmp_path: Path, plan: StagePlan) -> None:
    """Begun on a GPU that held 4 of 8 images, continued on a CPU."""
    tmp_path.joinpath("auto").mkdir()
    write_json(tmp_path / "auto" / FILE, {"batch_size": 4, "accumulate": 2, "images_per_update": 8})
    common: dict[str, Any] = {"seed": 0, "hardware": CPU}
    short = replace(plan, epochs=1, batch_size=8)
    auto = complete_stage(
        small_network(), Splitting(), plan=short, folder=tmp_path / "auto", options=replace(OPTIONS, auto_batch=True), **common
    )
    hand = replace(short, batch_size=4, accumulate=2)
    same = complete_stage(small_network(), Splitting(batch_size=4), plan=hand, folder=tmp_path / "hand", options=OPTIONS, **common)
    assert auto.sha256 == same.sha256
    assert auto.details["batch"] == read_batch(tmp_path / "auto")
    assert "batch" not in same.details


def test_memory_that_runs_out_halves_the_batch(tmp_path: Path, plan: StagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that holds five images, played on the CPU."""
    asked: list[tuple[int, int]] = []

    def rehearse(*_: object, plan: StagePlan, **__: object) -> None:
        asked.append((plan.batch_size, plan.accumulate))
        if plan.batch_size > 5:
            raise torch.OutOfMemoryError

    class Card:
        name, total_memory = "card", 5

    monkeypatch.setattr(batch_module, "rehearse", rehearse)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Card)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda _: None)
    wanted = replace(plan, batch_size=16, accumulate=2)
    found = fit_batch(small_network(), Splitting(), plan=wanted, folder=tmp_path, seed=0, hardware=GPU, options=OPTIONS)
    assert (found.batch_size, found.accumulate) == (4, 8)
    assert {size for size, _ in asked} <= {32, 16, 8, 4, 2}
    kept = read_batch(tmp_path)
    assert (kept["images_per_update"], kept["recipe"], kept["device"]) == (32, [16, 2], "card")
    monkeypatch.setattr(batch_module, "rehearse", lambda *_, **__: pytest.fail("asked again"))
    again = fit_batch(small_network(), Splitting(), plan=wanted, folder=tmp_path, seed=0, hardware=GPU, options=OPTIONS)
    assert again == found


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_split_of_a_real_card_trains(tmp_path: Path, plan: StagePlan) -> None:
    options = replace(OPTIONS, auto_batch=True)
    wanted = replace(plan, epochs=1, batch_size=4, accumulate=2)
    result = complete_stage(small_network(), Splitting(), plan=wanted, folder=tmp_path, seed=0, hardware=GPU, options=options)
    assert (result.details["batch"]["batch_size"], result.details["batch"]["accumulate"]) == (8, 1)
