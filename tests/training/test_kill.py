# SPDX-License-Identifier: Apache-2.0
"""The kill-and-resume script on few configurations, two processes that train as one, and the Slurm example."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from scripts.kill_resume import Case, films, start, torment, train, wait

from medsetu.tuning.strategy import Full, LinearProbe

SCRIPTS = Path(__file__).parents[2] / "scripts"
LIMIT_S = 300.0


@pytest.mark.parametrize("case", [Case("full", ema=0.9, accumulate=3), Case("full", processes=2)])
def test_killed_at_random_and_inside_a_save(tmp_path, case):
    found = torment(case, Full(), tmp_path, kills=3, chance=random.Random(1))  # noqa: S311 - no secret
    assert found.kills == 3
    assert not found.differs


def _train(case, moves, tmp_path, name):
    manifest, place = films(tmp_path / "films"), tmp_path / name
    place.mkdir(exist_ok=True)
    return start(lambda: train(case, moves, manifest, place), processes=case.processes)


def test_two_processes_learn_what_one_learns(tmp_path):
    """With the trunk at rest, where neither dropout nor batch statistics depend on the batch."""
    weights = {}
    for processes in (1, 2):
        children = _train(Case("linear_probe", processes=processes), LinearProbe(), tmp_path, str(processes))
        assert wait(children, until=time.monotonic() + LIMIT_S) == [0] * processes
        weights[processes] = load_file(tmp_path / str(processes) / "best.safetensors")
    for name, tensor in weights[1].items():
        torch.testing.assert_close(weights[2][name], tensor, atol=1e-5, rtol=1e-4)


def test_a_signal_to_one_process_stops_both_at_the_same_step(tmp_path):
    case, place = Case("full", processes=2), tmp_path / "cut"
    assert wait(_train(case, Full(), tmp_path, "whole"), until=time.monotonic() + LIMIT_S) == [0, 0]
    children = _train(case, Full(), tmp_path, "cut")
    deadline = time.monotonic() + LIMIT_S
    while not (place / "resume-a.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(children[1], signal.SIGUSR1)
    assert wait(children, until=deadline) == [138, 138]
    assert (place / "resumable").is_file()
    assert wait(_train(case, Full(), tmp_path, "cut"), until=time.monotonic() + LIMIT_S) == [0, 0]
    assert (place / "hashes").read_text() == (tmp_path / "whole" / "hashes").read_text()


@pytest.mark.parametrize(("number", "code", "requeued"), [(signal.SIGUSR1, 138, True), (signal.SIGTERM, 143, False)])
def test_the_slurm_example_requeues_what_the_time_limit_stopped(tmp_path, number, code, requeued):
    fakes = {
        "medsetu": f'trap "sleep 0.2; exit {code}" {number.name[3:]}\ntouch begun\nwhile true; do sleep 0.05; done\n',
        "scontrol": 'echo "$@" > requeued\n',
    }
    for name, text in fakes.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}")
        (tmp_path / name).chmod(0o755)
    place = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}
    job = subprocess.Popen(["bash", str(SCRIPTS / "train.sbatch"), "train"], cwd=tmp_path, env=place)
    deadline = time.monotonic() + 30
    while not (tmp_path / "begun").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    job.send_signal(number)
    assert job.wait(timeout=30) == code
    assert (tmp_path / "requeued").is_file() == requeued
    if requeued:
        assert (tmp_path / "requeued").read_text() == "requeue 17\n"
