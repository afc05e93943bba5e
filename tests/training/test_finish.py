# SPDX-License-Identifier: Apache-2.0
"""Stages that are merged: never worse on validation than what they merge, resumable member by member, the test never asked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medsetu.backbone.stored import read_stored
from medsetu.backbone.weights import load_weights
from medsetu.core.errors import ConfigError
from medsetu.training import finish
from medsetu.training.candidate import measure
from medsetu.training.plan import StagePlan
from medsetu.tuning.lora import Lora
from medsetu.tuning.merge import Soup, WiseFT
from training.conftest import CPU, OPTIONS, KilledData, KilledError, ToyData, resumed_like_whole, run, small_network

SOUP = Soup(rates=(1.0, 0.5, 1.0))


@pytest.fixture
def short(plan: StagePlan) -> StagePlan:
    return replace(plan, epochs=2)


def states(folder: Path, count: int) -> list[dict[str, torch.Tensor]]:
    return [read_stored(folder / f"member-{place}" / "best.safetensors").state for place in range(count)]


@pytest.mark.parametrize("tuning", [None, Lora(rank=2)])
def test_wise_ft_is_never_worse_on_validation(tmp_path: Path, short: StagePlan, tuning) -> None:
    short = short if tuning is None else replace(short, tuning=tuning)
    result = run(tmp_path, plan=replace(short, finish=WiseFT()))
    assert result.best_value == min(result.details["worth"])
    assert result.details["worth"][-1] == pytest.approx(result.details["members"][0]["loss"], abs=1e-5), "alpha 1 is the chosen weights"
    assert result.details["without_start"] == ["tuberculosis"]
    network = small_network()
    load_weights(network, result.weights, sha256=result.sha256)
    assert measure(network, ToyData(), plan=short, hardware=CPU) == result.best_value


def test_a_fixed_alpha_is_taken_between_start_and_end(tmp_path: Path, short: StagePlan) -> None:
    run(tmp_path, plan=replace(short, finish=WiseFT(alphas=(0.5,))))
    start, (end,) = small_network().state_dict(), states(tmp_path, 1)
    mixed = read_stored(tmp_path / "best.safetensors").state
    assert torch.allclose(mixed["trunk.0.weight"], (start["trunk.0.weight"] + end["trunk.0.weight"]) / 2, atol=1e-7)
    assert torch.equal(mixed["head.weight"], end["head.weight"]), "the start was never trained for it"


@pytest.mark.parametrize("greedy", [True, False])
def test_a_soup_is_the_mean_of_its_members(tmp_path: Path, short: StagePlan, greedy: bool) -> None:
    result = run(tmp_path, plan=replace(short, finish=replace(SOUP, greedy=greedy)))
    used = result.details["used"]
    assert sorted(used) == [0, 1, 2] or greedy
    members, mixed = states(tmp_path, 3), read_stored(result.weights).state
    expected = torch.stack([members[index]["trunk.0.weight"].double() for index in used]).mean(0).float()
    assert torch.equal(mixed["trunk.0.weight"], expected)
    assert not torch.equal(members[0]["trunk.0.weight"], members[2]["trunk.0.weight"]), "equal rates, other draws"
    if greedy:
        assert result.best_value <= min(result.details["worth"])
    assert [member["lr"] for member in result.details["members"]] == [3e-3, 1.5e-3, 3e-3]
    assert result.epochs_run == 6


def test_the_first_member_is_the_stage_itself(tmp_path: Path, short: StagePlan) -> None:
    run(tmp_path / "soup", plan=replace(short, finish=SOUP))
    alone = run(tmp_path / "alone", plan=short)
    assert json.loads((tmp_path / "soup" / "member-0" / "member.json").read_text())["sha256"] == alone.sha256


@pytest.mark.parametrize("after", [8, 15])
def test_a_killed_member_goes_on_exactly(tmp_path: Path, short: StagePlan, after: int) -> None:
    resumed_like_whole(tmp_path, plan=replace(short, finish=SOUP if after > 12 else WiseFT()), after=after)


def test_a_finished_member_is_not_trained_again_unless_damaged(tmp_path: Path, short: StagePlan, monkeypatch) -> None:
    soup, trained, fit = replace(short, finish=SOUP), [], finish.fit_stage

    def counted(*arguments, folder, **more):
        trained.append(folder.name)
        return fit(*arguments, folder=folder, **more)

    monkeypatch.setattr(finish, "fit_stage", counted)
    with pytest.raises(KilledError):
        run(tmp_path, plan=soup, data=KilledData(14), options=replace(OPTIONS, save_every_s=0.0))
    first = tmp_path / "member-0" / "best.safetensors"
    whole = run(tmp_path, plan=soup)
    assert trained == ["member-0", "member-1", "member-1", "member-2"]
    first.write_bytes(first.read_bytes()[:-4] + b"\0\0\0\1")
    assert run(tmp_path, plan=soup).sha256 == whole.sha256
    assert trained[4:] == ["member-0"]


def test_several_processes_are_refused(tmp_path: Path, short: StagePlan) -> None:
    with pytest.raises(ConfigError, match="one process"):
        finish.complete_stage(
            small_network(),
            ToyData(),
            plan=replace(short, finish=SOUP),
            folder=tmp_path,
            seed=0,
            hardware=replace(CPU, devices=2),
            options=OPTIONS,
        )
