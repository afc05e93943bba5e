# SPDX-License-Identifier: Apache-2.0
"""The gates run anywhere numpy does, and their tables do not depend on how many processes share the work."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scripts import gate_detect, gate_gap
from scripts.spread import spread

ROOT = Path(__file__).resolve().parents[2]
GATES = sorted(path.stem for path in (ROOT / "scripts").glob("gate_*.py"))
HEAVY = {
    "torch",
    "torchvision",
    "pytorch_lightning",
    "monai",
    "timm",
    "hydra",
    "omegaconf",
    "wandb",
    "matplotlib",
    "PIL",
    "pydicom",
    "jinja2",
}


def test_there_are_gates():
    assert {"gate_gap", "gate_detect", "gate_prevalence", "gate_explain", "gate_plan", "gate_monitor"} <= set(GATES)


def test_gates_need_no_torch_and_no_hydra():
    code = f"import sys\nfrom scripts import {', '.join(GATES)}\nsys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "scripts.gate_gap" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("jobs", [1, 2])
def test_cohorts_are_the_same_in_any_number_of_processes(jobs):
    items = [(gate_detect.DESIGNS[0], 0.5, number) for number in range(3)]
    found = spread(partial(gate_detect.rejected, seed=1), items, jobs=jobs)
    assert found == [gate_detect.rejected(item, seed=1) for item in items]


def test_cohorts_differ_from_each_other():
    rng = [np.random.default_rng([0, 20, 20, 0, number]) for number in range(2)]
    first, second = (gate_gap.cohort(one, (20, 20)).global_films.score for one in rng)
    assert not np.isin(first, second).any()


def test_a_fault_in_a_process_comes_home():
    with pytest.raises(ZeroDivisionError):
        spread(partial(divmod, 1), [1, 0], jobs=2)
