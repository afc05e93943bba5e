# SPDX-License-Identifier: Apache-2.0
"""Each import contract holds, and each fails when a fault is planted in a copy of the house."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
FAULTS = {
    "The house stands on its own floors": ("core/label.py", "import medsetu.release.base"),
    "Torch lives in the middle": ("evaluation/metric.py", "import torch"),
    "Hydra only in recipe and cli": ("training/loss.py", "import hydra"),
    "Matplotlib only in report": ("shift/summary.py", "import matplotlib"),
    "wandb is a target in configs/logger, never an import": ("training/fit.py", "import wandb"),
    "Only fetch speaks HTTP": ("experiment/prepare.py", "import http.client"),
    "Training knows Batch, never datasets": ("training/module.py", "import medsetu.data.plan"),
    "Optuna only in search": ("experiment/search.py", "import optuna"),
    "Releases never import each other": ("release/nitrd.py", "import medsetu.release.table"),
}
RUN = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the sources and their contracts, to plant faults in."""
    top = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "src" / "medsetu", top / "medsetu", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", top)
    return top


def _verdicts(top: Path) -> dict[str, str]:
    """Run the import linter on a copy; contract -> KEPT or BROKEN."""
    command = [sys.executable, "-c", RUN, "--config", "pyproject.toml"]
    environment = os.environ | {"PYTHONPATH": str(top), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=top, env=environment, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", done.stdout, flags=re.MULTILINE))
    assert found, done.stdout + done.stderr
    assert (done.returncode == 0) == ("BROKEN" not in found.values())
    return found


def test_every_contract_holds(house):
    assert _verdicts(house) == {contract["name"]: "KEPT" for contract in CONTRACTS}


def test_every_contract_has_a_planted_fault():
    assert set(FAULTS) == {contract["name"] for contract in CONTRACTS}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_breaks_the_contract(house, name):
    module, line = FAULTS[name]
    path = house / "medsetu" / module
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    try:
        assert _verdicts(house)[name] == "BROKEN"
    finally:
        path.write_text(before, encoding="utf-8")


def test_a_room_on_no_floor_is_refused(house):
    room = house / "medsetu" / "attic"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room nobody planned."""\n', encoding="utf-8")
    try:
        assert _verdicts(house)["The house stands on its own floors"] == "BROKEN"
    finally:
        shutil.rmtree(room)


def test_the_floors_leave_nothing_out():
    layers = CONTRACTS[0]
    assert layers["exhaustive"] is True
    assert layers["exhaustive_ignores"] == ["__main__"]
