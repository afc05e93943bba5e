# SPDX-License-Identifier: Apache-2.0
"""The teacher: what it teaches, how much, and that nothing of it moves or is kept."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medsetu.core.errors import ConfigError
from medsetu.training.finish import complete_stage
from medsetu.training.module import StageModule
from medsetu.training.plan import StagePlan
from medsetu.tuning.distil import Distillation, Teacher, divergence
from training.conftest import CPU, OPTIONS, KilledData, KilledError, ToyData, small_network

PLAN = StagePlan(side="local", findings=("tuberculosis",), epochs=3, lr=3e-3, batch_size=8, distil=Distillation())


def teaching(**more):
    network = small_network(**more)
    network.mark_trained(["tuberculosis"])
    return network


def taught() -> StageModule:
    """A module as a stage makes it."""
    teacher = Teacher(teaching(), known=("tuberculosis",), findings=PLAN.findings)
    module = StageModule(teaching(), plan=PLAN, positive_weight=torch.ones(1), steps=3)
    module.teacher = teacher
    return module


def fitted(folder: Path, plan: StagePlan = PLAN, data=None, options=OPTIONS):
    return complete_stage(teaching(), data or ToyData(), plan=plan, folder=folder, seed=0, hardware=CPU, options=options)


def test_the_divergence_is_that_of_torch() -> None:
    student, teacher = torch.tensor([[0.4, -1.0], [2.0, 0.0]]), torch.tensor([[1.0, -2.0], [0.0, 0.5]])
    p, q = torch.sigmoid(teacher / 3), torch.sigmoid(student / 3)
    pair = [torch.distributions.kl_divergence(torch.distributions.Bernoulli(a), torch.distributions.Bernoulli(b)) for a, b in [(p, q)]]
    assert torch.allclose(divergence(student, teacher, temperature=3.0), 9 * pair[0].mean())


def test_the_gradient_vanishes_where_the_student_agrees() -> None:
    taught = torch.tensor([[0.7, -3.0]])
    agreeing = taught.clone().requires_grad_(requires_grad=True)
    divergence(agreeing, taught, temperature=2.0).backward()
    assert torch.allclose(agreeing.grad, torch.zeros(1, 2), atol=1e-7)


def test_findings_are_shared_by_name() -> None:
    network = small_network(findings=("mass", "tuberculosis"))
    network.mark_trained(["tuberculosis"])
    teacher = Teacher(network, known=network.trained, findings=network.findings)
    assert teacher.columns == [1]
    image = torch.rand(4, 1, 16, 16)
    assert torch.equal(teacher.logits(image), network.eval()(image)[:, 1:])


def test_nothing_shared_is_refused_before_the_first_batch(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to teach"):
        complete_stage(small_network(), ToyData(), plan=PLAN, folder=tmp_path, seed=0, hardware=CPU, options=OPTIONS)


def test_the_teacher_neither_moves_nor_is_kept() -> None:
    module = taught()
    plain = StageModule(teaching(), plan=replace(PLAN, distil=None), positive_weight=torch.ones(1), steps=3)
    assert list(module.state_dict()) == list(plain.state_dict())
    assert len(list(module.parameters())) == len(list(plain.parameters()))
    assert copy.deepcopy(module).teacher is module.teacher, "an average of the weights does not copy it"
    module.train()
    assert not module.teacher.network.training
    assert not any(parameter.requires_grad for parameter in module.teacher.network.parameters())


def test_unknown_labels_are_still_distilled() -> None:
    module = taught()
    with torch.no_grad():
        module.network.head.bias += 2.0
    batch = {"image": torch.rand(4, 1, 16, 16), "label": torch.full((4, 1), float("nan")), "sample_id": ["a"] * 4, "domain": torch.ones(4)}
    loss = module._taught_loss(batch)
    loss.backward()
    assert float(loss.detach()) > 0
    assert float(module.network.head.bias.grad.abs().sum()) > 0


def test_a_teacher_alone_does_not_read_the_labels(tmp_path: Path) -> None:
    end = {}
    for weight in (1.0, 0.5):
        for name in ("true", "flipped"):
            network, data = teaching(), ToyData()
            if name == "flipped":
                data.label[: data.n] = 1 - data.label[: data.n]
            plan = replace(PLAN, epochs=1, distil=Distillation(weight=weight))
            complete_stage(network, data, plan=plan, folder=tmp_path / f"{name}{weight}", seed=0, hardware=CPU, options=OPTIONS)
            end[weight, name] = network.head.weight.detach().clone()
    assert torch.equal(end[1.0, "true"], end[1.0, "flipped"])
    assert not torch.equal(end[0.5, "true"], end[0.5, "flipped"])


def test_killed_and_resumed_ends_with_the_same_weights(tmp_path: Path) -> None:
    plan = replace(PLAN, ema=0.5)
    whole = fitted(tmp_path / "whole", plan)
    often = replace(OPTIONS, save_every_s=0.0)
    with pytest.raises(KilledError):
        fitted(tmp_path / "cut", plan, KilledData(8), often)
    assert fitted(tmp_path / "cut", plan, options=often).sha256 == whole.sha256
    assert fitted(tmp_path / "plain", replace(plan, distil=None)).sha256 != whole.sha256


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"weight": 1.1}, {"temperature": 0.0}])
def test_wrong_values_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Distillation(**wrong)
