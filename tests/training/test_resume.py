# SPDX-License-Identifier: Apache-2.0
"""T34 resume_is_exact: a run killed anywhere and started again ends with the weights of the uninterrupted run."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.run import sha256_file
from medsetu.training.fit import fit_stage
from medsetu.training.loss import GroupDro
from medsetu.training.mixing import Mixing
from medsetu.training.plan import StagePlan
from medsetu.training.resizing import Resizing
from medsetu.training.resume import AtomicCheckpointIO, RandomState, ResumePoint, latest_checkpoint
from medsetu.tuning.strategy import LinearProbe
from training.conftest import CPU, OPTIONS, KilledData, KilledError, ToyData, resumed_like_whole, run, small_network

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("after", [3, 6, 11, 15])  # inside an epoch, at its end, twice inside later ones; 6 batches per epoch
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_killed_and_resumed_ends_with_the_same_weights(tmp_path: Path, plan: StagePlan, after: int, ema: float) -> None:
    plan = replace(plan, ema=ema)
    whole = run(tmp_path / "whole", plan=plan)
    often = replace(OPTIONS, save_every_s=0.0)
    with pytest.raises(KilledError):
        run(tmp_path / "cut", plan=plan, data=KilledData(after), options=often)
    assert latest_checkpoint(tmp_path / "cut") is not None
    resumed = run(tmp_path / "cut", plan=plan, options=often)
    assert resumed.sha256 == whole.sha256
    assert resumed.best_epoch == whole.best_epoch
    assert latest_checkpoint(tmp_path / "cut") is None, "a finished stage leaves no resume files"


def test_sigkill_at_any_moment(tmp_path: Path, plan: StagePlan) -> None:
    whole = run(tmp_path / "whole", plan=plan)
    script = textwrap.dedent(
        f"""
        import sys, torch; sys.path.insert(0, {str(TESTS)!r}); torch.set_num_threads(1)
        from dataclasses import replace; from pathlib import Path
        from training.conftest import OPTIONS, run
        from medsetu.training.plan import StagePlan
        plan = StagePlan(side="local", findings=("tuberculosis",), watch=("global",), epochs=3, lr=3e-3, batch_size=8)
        result = run(Path({str(tmp_path / "cut")!r}), plan=plan, options=replace(OPTIONS, save_every_s=0.0))
        Path({str(tmp_path / "sha")!r}).write_text(result.sha256)
        """
    )
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script])
    folder, deadline = tmp_path / "cut", time.monotonic() + 120
    while latest_checkpoint(folder) is None and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    assert (tmp_path / "sha").read_text() == whole.sha256


class StoppedData(ToyData):
    """Send a signal to this process in the middle of an epoch."""

    signal = signal.SIGTERM
    at = 9

    def train_dataloader(self):
        loader = super().train_dataloader()
        take, owner = loader.dataset.__class__.__getitem__, self

        class Stopping(loader.dataset.__class__):
            def __getitem__(self, request):
                owner.handed_out.append(())
                if len(owner.handed_out) == owner.at:
                    os.kill(os.getpid(), owner.signal)
                return take(self, request)

        loader.dataset.__class__ = Stopping
        return loader


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
@pytest.mark.parametrize("accumulate", [1, 4])  # the signal comes at batch 3 of 6, in the middle of a sum of gradients
def test_a_signal_saves_leaves_with_its_code_and_resumes_exactly(
    tmp_path: Path, plan: StagePlan, number: signal.Signals, code: int, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(plan, accumulate=accumulate)
    whole = run(tmp_path / "whole", plan=plan)
    for name, value in {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "1"}.items():
        monkeypatch.setenv(name, value)  # Lightning would save by itself under Slurm, at once and elsewhere
    data = StoppedData()
    data.signal = number
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGUSR1)]
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "cut", plan=plan, data=data)
    assert stopped.value.code == code
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGUSR1)] == handlers
    assert {path.name for path in (tmp_path / "cut").iterdir()} >= {"resumable", "resume-a.ckpt", "resume-a.ckpt.sha256"}
    assert not list((tmp_path / "cut").glob("hpc*"))
    assert json.loads((tmp_path / "cut" / "resumable").read_text())["signal"] == number.name
    assert run(tmp_path / "cut", plan=plan).sha256 == whole.sha256
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["best.safetensors", "best.safetensors.sha256"]


@pytest.mark.parametrize("change", [{"ema": 0.9}, {"swa": 0.7}, {"patience": 1, "epochs": 6, "lr": 1.0}], ids=["ema", "swa", "patience"])
def test_killed_after_the_last_save_nothing_is_left_to_train(
    tmp_path: Path, plan: StagePlan, change: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, networks, results = replace(plan, **change), [small_network() for _ in range(3)], []  # type: ignore[arg-type]
    options = replace(OPTIONS, save_every_s=0.0)
    for network, place in zip(networks, ("whole", "cut", "cut"), strict=True):
        with monkeypatch.context() as patch:
            if network is networks[1]:
                patch.setattr(ResumePoint, "clear", Mock(side_effect=KilledError))
            with pytest.raises(KilledError) if network is networks[1] else nullcontext():
                results.append(fit_stage(network, ToyData(), plan=plan, folder=tmp_path / place, seed=0, hardware=CPU, options=options))
    whole, resumed = results
    assert (resumed.sha256, resumed.best_epoch, resumed.epochs_run) == (whole.sha256, whole.best_epoch, whole.epochs_run)
    assert whole.epochs_run < plan.epochs or not plan.patience, "it has stopped early"
    for name, tensor in networks[0].state_dict().items():
        assert torch.equal(networks[2].state_dict()[name], tensor), name


def test_a_resumed_run_has_no_more_patience(tmp_path: Path, plan: StagePlan) -> None:
    """Killed after the save of the first epoch without an improvement."""
    plan = replace(plan, patience=2, epochs=6, lr=1.0)
    whole = resumed_like_whole(tmp_path, plan=plan, after=24)
    assert (whole.best_epoch, whole.epochs_run) == (2, 5)


@pytest.mark.parametrize("accumulate", [2, 4])  # 6 batches per epoch: 4 leaves a shorter sum at the end
@pytest.mark.parametrize("after", [3, 5, 8])
def test_gradients_that_are_being_summed_are_summed_again(tmp_path: Path, plan: StagePlan, accumulate: int, after: int) -> None:
    plan, often = replace(plan, accumulate=accumulate, epochs=2), replace(OPTIONS, save_every_s=0.0)
    whole = run(tmp_path / "whole", plan=plan)
    with pytest.raises(KilledError):
        run(tmp_path / "cut", plan=plan, data=KilledData(after), options=often)
    assert run(tmp_path / "cut", plan=plan, options=often).sha256 == whole.sha256


@pytest.mark.parametrize(
    "change",
    [{"loss": GroupDro("site", rate=0.5)}, {"mix": Mixing(mixup_p=0.5, cutmix_p=0.5), "resize": Resizing(multiple=4)}],
    ids=["dro", "mix"],
)
def test_group_weights_mixed_films_and_sizes_survive_a_kill(tmp_path: Path, plan: StagePlan, change: dict[str, object]) -> None:
    plan, often = replace(plan, **change), replace(OPTIONS, save_every_s=0.0)  # type: ignore[arg-type]
    whole = run(tmp_path / "whole", plan=plan)
    with pytest.raises(KilledError):
        run(tmp_path / "cut", plan=plan, data=KilledData(9), options=often)
    assert run(tmp_path / "cut", plan=plan, options=often).sha256 == whole.sha256


def test_killed_twice_in_one_epoch(tmp_path: Path, plan: StagePlan) -> None:
    often = replace(OPTIONS, save_every_s=0.0)
    whole = run(tmp_path / "whole", plan=plan)
    for after in (8, 2, 1):  # in the second epoch, twice more in it
        with pytest.raises(KilledError):
            run(tmp_path / "cut", plan=plan, data=KilledData(after), options=often)
    assert run(tmp_path / "cut", plan=plan, options=often).sha256 == whole.sha256


def test_a_resumed_run_overwrites_the_file_it_started_from_last(tmp_path: Path, plan: StagePlan) -> None:
    """Else a kill in the first save after a resume would leave the older file alone, or none."""
    often = replace(OPTIONS, save_every_s=0.0)
    for after in (3, 2):
        with pytest.raises(KilledError):
            run(tmp_path, plan=plan, data=KilledData(after), options=often)
        newest = latest_checkpoint(tmp_path)
        assert newest is not None
        before = newest.read_bytes()
        with pytest.raises(KilledError):
            run(tmp_path, plan=plan, data=KilledData(1), options=often)  # one save more
        assert newest.read_bytes() == before
        assert latest_checkpoint(tmp_path) != newest


def test_a_finished_stage_removes_its_own_files_only(tmp_path: Path, plan: StagePlan) -> None:
    for name in ("resume-c.ckpt", "last.ckpt", "notes.txt"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(KilledError):
        run(tmp_path, plan=plan, data=KilledData(3), options=replace(OPTIONS, save_every_s=0.0))
    run(tmp_path, plan=plan)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.safetensors",
        "best.safetensors.sha256",
        "last.ckpt",
        "notes.txt",
        "resume-c.ckpt",
    ]


def test_weights_that_were_changed_while_the_stage_went_on_are_missed(tmp_path: Path, plan: StagePlan) -> None:
    data, plan = StoppedData(), replace(plan, epochs=1)
    data.at = 6  # the last batch: validation follows, then the place is saved
    with pytest.raises(SystemExit):
        run(tmp_path, plan=plan, data=data)
    (tmp_path / "best.safetensors").write_bytes(b"other")
    with pytest.raises(DataError, match="chosen weights"):
        run(tmp_path, plan=plan)
    assert run(tmp_path, plan=plan).epochs_run == 1, "the next start trains anew"


def test_ctrl_c_is_a_keyboard_interrupt_again(tmp_path: Path, plan: StagePlan) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits an ignored one
    data = StoppedData()
    data.signal = signal.SIGINT
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, plan=plan, data=data)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_checkpoint_is_plain_and_verified(tmp_path: Path) -> None:
    """T31, and a flipped byte is found."""
    path = tmp_path / "resume-a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": torch.arange(3.0)}, "callbacks": {"r": RandomState().state_dict()}}, path)
    assert AtomicCheckpointIO().load_checkpoint(path)["state_dict"]["w"].tolist() == [0.0, 1.0, 2.0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="SHA-256"):
        AtomicCheckpointIO().load_checkpoint(path)
    assert latest_checkpoint(tmp_path) is None


def test_a_damaged_newest_file_falls_back_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, name in enumerate(("resume-a.ckpt", "resume-b.ckpt")):
        AtomicCheckpointIO().save_checkpoint({"n": number}, tmp_path / name)
        os.utime(tmp_path / name, ns=(number * 10**9, number * 10**9))
    (tmp_path / "resume-b.ckpt").write_bytes(b"cut")
    assert latest_checkpoint(tmp_path) == tmp_path / "resume-a.ckpt"
    assert "damaged" in caplog.text


def test_random_states_come_back_at_the_first_step() -> None:
    callback = RandomState()
    state = callback.state_dict()
    expected = (torch.rand(1).item(), np.random.rand(), random.random())  # noqa: NPY002, S311
    callback.load_state_dict(state)
    torch.rand(7)
    callback.on_train_batch_start(SimpleNamespace(global_rank=0), None, None, 0)  # type: ignore[arg-type]
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected  # noqa: NPY002, S311


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, plan: StagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    often = replace(OPTIONS, save_every_s=0.0)
    whole = run(tmp_path / "whole", plan=plan)
    real, calls = os.fsync, {"n": 0}

    def full(handle: int) -> None:
        calls["n"] += 1
        if calls["n"] > 12:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        run(tmp_path / "cut", plan=plan, options=often)
    monkeypatch.setattr(os, "fsync", real)
    assert not list((tmp_path / "cut").glob(".*.tmp"))
    assert run(tmp_path / "cut", plan=plan, options=often).sha256 == whole.sha256


def test_a_read_only_target_is_said(tmp_path: Path, plan: StagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tempfile.mkstemp

    def refuse(*args, prefix, **more):
        if "resume" in prefix:
            raise OSError(30, "Read-only file system")
        return real(*args, prefix=prefix, **more)

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(ResourceError, match="Read-only file system"):
        run(tmp_path, plan=plan, options=replace(OPTIONS, save_every_s=0.0))


def test_a_resume_file_without_its_hash_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As a kill between the two leaves it."""
    AtomicCheckpointIO().save_checkpoint({"n": 1}, tmp_path / "resume-a.ckpt")
    (tmp_path / "resume-a.ckpt.sha256").unlink()
    assert latest_checkpoint(tmp_path) is None
    assert "passed over" in caplog.text
    with pytest.raises(DataError, match="is missing"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "resume-a.ckpt")


def test_same_seed_same_bytes_and_workers_do_not_matter(tmp_path: Path, plan: StagePlan) -> None:
    first = run(tmp_path / "a", plan=plan)
    second = run(tmp_path / "b", plan=plan)
    workers = run(tmp_path / "c", plan=plan, data=ToyData(workers=2))
    other = run(tmp_path / "d", plan=plan, data=ToyData(seed=1), seed=1)
    assert first.sha256 == second.sha256 == workers.sha256 == sha256_file(first.weights)
    assert other.sha256 != first.sha256


@pytest.mark.parametrize("after", [3, 8])
def test_a_probe_resumed_inside_an_epoch_keeps_its_trunk_at_rest(tmp_path: Path, plan: StagePlan, after: int) -> None:
    resumed_like_whole(tmp_path, plan=replace(plan, tuning=LinearProbe()), after=after)
