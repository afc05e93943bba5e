# SPDX-License-Identifier: Apache-2.0
"""Heads beside that of the findings: masked losses, a trunk that learns from them, nothing of them in the weights, exact resume."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from medsetu.adaptation.alignment import Coral
from medsetu.core.errors import ConfigError
from medsetu.training.auxiliary import AuxiliaryHeads, auxiliary_heads
from medsetu.training.mixing import Mixing
from medsetu.training.plan import StagePlan
from medsetu.tuning.distil import Distillation
from training.conftest import OPTIONS, KilledData, KilledError, ToyData, run

NAN = float("nan")
WEIGHTS = {"age_years": 0.5, "sex": 2.0}


def facts(data: ToyData) -> torch.Tensor:
    """Age follows the brightness of each film; sex is known for every other one."""
    age = torch.from_numpy(data.pixels[: data.n].mean((1, 2))).float()
    age = (age - age.mean()) / age.std()
    sex = torch.arange(data.n) % 4 // 2 * 1.0
    sex[::2] = NAN
    return torch.stack([age, sex], dim=1)


class Told:
    """A data module whose training batches hold facts."""

    @property
    def auxiliary(self):
        return {"age_years": 0, "sex": 2}

    def train_dataloader(self):
        loader = super().train_dataloader()
        loader.dataset.rows = replace(loader.dataset.rows, auxiliary=facts(self))
        return loader


class ToldData(Told, ToyData): ...


class ToldKilledData(Told, KilledData): ...


@pytest.fixture
def many(plan: StagePlan) -> StagePlan:
    return replace(plan, auxiliary=WEIGHTS)


def test_each_loss_is_the_mean_over_what_is_known():
    heads = AuxiliaryHeads(3, classes={"age_years": 0, "sex": 2}, weights=WEIGHTS, seed=0)
    feature = torch.rand(4, 3)
    target = torch.tensor([[0.5, 1.0], [NAN, 0.0], [-3.0, NAN], [NAN, NAN]])
    losses = heads(feature, target)
    age = functional.huber_loss(heads.heads["age_years"](feature[[0, 2]])[:, 0], target[[0, 2], 0])
    sex = functional.cross_entropy(heads.heads["sex"](feature[:2]), torch.tensor([1, 0]))
    torch.testing.assert_close(losses, {"age_years": age, "sex": sex})
    torch.testing.assert_close(heads.weigh(losses), 0.5 * age + 2 * sex)


def test_what_is_unknown_has_no_gradient():
    heads = AuxiliaryHeads(3, classes={"age_years": 0, "sex": 3}, weights=WEIGHTS, seed=0)
    feature = torch.rand(2, 3, requires_grad=True)
    heads.weigh(heads(feature, torch.full((2, 2), NAN))).backward()
    assert torch.equal(feature.grad, torch.zeros(2, 3))
    assert all(torch.equal(parameter.grad, torch.zeros_like(parameter)) for parameter in heads.parameters())


def test_a_head_depends_on_seed_and_name_alone():
    before = torch.random.get_rng_state()
    one = AuxiliaryHeads(3, classes={"sex": 2, "view": 2}, weights={"sex": 1.0, "view": 1.0}, seed=0)
    two = AuxiliaryHeads(3, classes={"view": 2}, weights={"view": 1.0}, seed=0)
    other = AuxiliaryHeads(3, classes={"view": 2}, weights={"view": 1.0}, seed=1)
    assert torch.equal(one.heads["view"].weight, two.heads["view"].weight)
    assert not torch.equal(one.heads["view"].weight, one.heads["sex"].weight)
    assert not torch.equal(other.heads["view"].weight, two.heads["view"].weight)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_trunk_learns_from_them_and_the_weights_hold_none(tmp_path, plan: StagePlan, many: StagePlan):
    plain = load_file(run(tmp_path / "plain", plan=plan, data=ToldData()).weights)
    taught = load_file(run(tmp_path / "many", plan=many, data=ToldData()).weights)
    faint = load_file(run(tmp_path / "faint", plan=replace(plan, auxiliary=dict.fromkeys(WEIGHTS, 1e-30)), data=ToldData()).weights)
    assert set(taught) == set(plain), "heads of facts are no part of the network"
    assert any(not torch.equal(taught[name], plain[name]) for name in plain if name.startswith("trunk."))
    for name in plain:
        torch.testing.assert_close(faint[name], plain[name], atol=1e-3, rtol=0.05)


def test_killed_and_resumed_ends_with_the_same_weights(tmp_path, many: StagePlan):
    many, often = replace(many, ema=0.5, accumulate=2), replace(OPTIONS, save_every_s=0.0)
    whole = run(tmp_path / "whole", plan=many, data=ToldData())
    with pytest.raises(KilledError):
        run(tmp_path / "cut", plan=many, data=ToldKilledData(8), options=often)
    assert run(tmp_path / "cut", plan=many, data=ToldData(), options=often).sha256 == whole.sha256


@pytest.mark.parametrize(
    "change",
    [
        {"auxiliary": {"sex": 0.0}},
        {"mix": Mixing(mixup_p=0.5)},
        {"alignment": Coral(), "side": "global"},
        {"distil": Distillation()},
    ],
    ids=["weight", "mix", "alignment", "distil"],
)
def test_what_does_not_go_together_is_refused(many: StagePlan, change):
    if "alignment" in change:
        change = {**change, "alignment": Coral(side="local")}
    with pytest.raises(ConfigError, match="auxiliary"):
        replace(many, **change)


def test_batches_that_hold_other_facts_are_refused():
    with pytest.raises(ConfigError, match=r"hold the facts \['view'\], and the stage asks for \['age_years', 'sex'\]"):
        auxiliary_heads(2, classes={"view": 2}, weights=WEIGHTS, seed=0)
