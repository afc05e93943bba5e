# SPDX-License-Identifier: Apache-2.0
"""What moves is a pure function of the epoch, also after a kill inside or at the border of one (T34)."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError, DataError
from medsetu.training.module import StageModule
from medsetu.training.plan import StagePlan
from medsetu.tuning.gradual import GradualUnfreezing, ProbeThenTune, count_joined
from medsetu.tuning.group import blocks
from medsetu.tuning.strategy import Full, Strategy, trainable_names
from training.conftest import OPTIONS, KilledData, KilledError, resumed_like_whole, run

EPOCHS = 6


@pytest.fixture
def network():
    return TimmBackbone("test_resnet", size=32).build(["mass"], seed=0)


@given(epochs=st.integers(1, 60), count=st.integers(0, 30), share=st.floats(0.01, 1))
def test_blocks_join_and_never_leave(epochs: int, count: int, share: float) -> None:
    joined = [count_joined(epoch, epochs=epochs, blocks=count, share=share) for epoch in range(epochs)]
    assert joined == sorted(joined)
    assert joined[0] == 0
    assert joined[-1] <= count
    if epochs > count:  # then the last has joined before the stage ends
        assert joined[-1] == count


def moving(network, strategy: Strategy, epoch: int) -> set[str]:
    strategy.set_epoch(network, epoch=epoch, epochs=EPOCHS)
    return set(trainable_names(network))


@pytest.mark.parametrize("order", ["first_to_last", "last_to_first"])
def test_the_head_first_then_block_by_block(network, order: str) -> None:
    strategy = GradualUnfreezing(order=order, share=1.0)
    *trunk, head = blocks(network)
    ordered = trunk if order == "first_to_last" else trunk[::-1]
    assert len(trunk) + 1 == EPOCHS
    for epoch in (*range(EPOCHS), *reversed(range(EPOCHS))):  # whatever was set before
        assert moving(network, strategy, epoch) == {*head.parameters, *(name for block in ordered[:epoch] for name in block.parameters)}


def test_what_has_not_joined_rests(network) -> None:
    strategy = GradualUnfreezing(order="last_to_first", share=1.0)
    strategy.set_epoch(network, epoch=1, epochs=EPOCHS)
    strategy.train_mode(network)
    trunk = network.trunk
    assert all(module.training for module in (*trunk.layer4.modules(), network.head))
    assert not any(module.training for part in (trunk.conv1, trunk.bn1, trunk.layer1, trunk.layer3) for module in part.modules())


def test_a_stage_too_short_to_unfreeze_says_so(network, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        GradualUnfreezing(share=1.0).set_epoch(network, epoch=0, epochs=2)
        ProbeThenTune().set_epoch(network, epoch=0, epochs=1)
    assert "2 of 5 blocks never move" in caplog.text
    assert "linear probe only" in caplog.text
    caplog.clear()
    GradualUnfreezing().set_epoch(network, epoch=0, epochs=12)
    ProbeThenTune().set_epoch(network, epoch=0, epochs=2)
    assert not caplog.records


def test_probe_then_everything(network) -> None:
    strategy = ProbeThenTune(share=0.34)
    assert [len(moving(network, strategy, epoch)) for epoch in range(EPOCHS)] == [2, 2, *[len(list(network.parameters()))] * 4]
    strategy.set_epoch(network, epoch=1, epochs=EPOCHS)
    strategy.train_mode(network)
    assert not any(module.training for module in network.trunk.modules())
    strategy.set_epoch(network, epoch=2, epochs=EPOCHS)
    strategy.train_mode(network)
    assert all(module.training for module in network.modules())


@given(epochs=st.integers(1, 50), share=st.floats(0.01, 0.99))
def test_phases_cover_the_stage_and_both_happen(epochs: int, share: float) -> None:
    phases = ProbeThenTune(share=share).phases(epochs)
    assert sum(phase.epochs for phase in phases) == epochs
    assert len(phases) == min(epochs, 2)
    assert all(phase.epochs >= 1 for phase in phases)


def test_each_phase_has_its_own_warm_up_and_peak() -> None:
    plan = StagePlan(side="local", findings=("mass",), epochs=4, lr=0.1, warmup=0.5, tuning=ProbeThenTune(share=0.5, tune_lr=0.01))
    network = TimmBackbone("test_resnet", size=32).build(["mass"], seed=0)
    module = StageModule(network, plan=plan, positive_weight=torch.ones(1), steps=16)
    made = module.configure_optimizers()
    optimizer, schedule, rates = made["optimizer"], made["lr_scheduler"]["scheduler"], []
    for _ in range(16):
        rates.append({group["lr"] for group in optimizer.param_groups})
        optimizer.step()
        schedule.step()
    assert all(len(rate) == 1 for rate in rates)
    first, second = (torch.tensor([rate.pop() for rate in part]) for part in (rates[:8], rates[8:]))
    assert first.max() == pytest.approx(0.1)
    assert first.argmax() == 3
    assert torch.allclose(second, first * 0.01)


STRATEGIES = [GradualUnfreezing(order="first_to_last", share=1.0), GradualUnfreezing(share=0.7), ProbeThenTune(share=0.34, tune_lr=1.0)]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=["first_to_last", "last_to_first", "lp_ft"])
@pytest.mark.parametrize("after", [6, 8, 12])  # 6 batches per epoch: at the border of an epoch that frees, inside it, at the next border
def test_a_kill_while_blocks_join_leaves_no_trace(tmp_path: Path, plan: StagePlan, strategy: Strategy, after: int) -> None:
    resumed_like_whole(tmp_path, plan=replace(plan, tuning=strategy, ema=0.5), after=after)


@pytest.mark.parametrize("after", [6, 8])
def test_a_resume_that_would_move_something_else_is_refused(tmp_path: Path, plan: StagePlan, after: int) -> None:
    often = replace(OPTIONS, save_every_s=0.0)
    with pytest.raises(KilledError):
        run(tmp_path, plan=replace(plan, tuning=ProbeThenTune(share=0.7)), data=KilledData(after), options=often)
    with pytest.raises(DataError, match="would move now"):
        run(tmp_path, plan=replace(plan, tuning=Full()), options=often)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: GradualUnfreezing(order="last_to_frist"),
        lambda: GradualUnfreezing(share=0.0),
        lambda: GradualUnfreezing(share=float("nan")),
        lambda: ProbeThenTune(share=1.0),
        lambda: ProbeThenTune(tune_lr=-0.1),
        lambda: ProbeThenTune(statistics="locl"),
    ],
)
def test_values_outside_their_range_are_refused(wrong) -> None:
    with pytest.raises(ConfigError):
        wrong()
