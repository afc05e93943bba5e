# SPDX-License-Identifier: Apache-2.0
"""Cells travel through Hydra's launcher and come back in order."""

import importlib.util
import json
import subprocess
import sys

import pytest

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.place import config_folder
from medsetu.recipe.app import run_verb
from medsetu.recipe.launch import launch, launches_elsewhere

SCRIPT = """
import json, os, sys
from medsetu.core.errors import MedsetuError, DataError
from medsetu.core.place import config_folder
from medsetu.recipe.app import run_verb
from medsetu.recipe.launch import launch, launches_elsewhere

def cell(config):
    if config["seed"] == 9:
        raise DataError(what="A file is broken", where="Seed 9", remedy="Replace it")
    return [config["arm"], config["seed"], config["fold"], config["backbone"]["size"], os.getpid()]

CELLS = sys.argv[1]

def study(config):
    cells = [{"arm": arm, "seed": seed, "fold": None} for arm, seed in json.loads(CELLS)]
    done = launch(cells, cell)
    sys.stdout.write(json.dumps({"elsewhere": launches_elsewhere(), "pid": os.getpid(), "done": done}) + "\\n")

if __name__ == "__main__":
    try:
        run_verb("study", ["launcher=joblib", "backbone.size=64"], task=study, folder=config_folder())
    except MedsetuError as error:
        sys.stderr.write(str(error))
        raise SystemExit(error.exit_code)
"""

MULTIRUN = """
from pathlib import Path
from medsetu.core.place import config_folder
from medsetu.recipe.app import run_verb

def task(config):
    Path(f"seed-{config['seed']}").touch()

if __name__ == "__main__":
    run_verb("train", ["--multirun", "+launcher=joblib", "seed=3,4"], task=task, folder=config_folder())
"""

needs_joblib = pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins") is None or importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None,
    reason="hydra-joblib-launcher is not installed",
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _study(task):
    seen = []
    run_verb("study", ["backbone.size=64"], task=lambda config: seen.append(task()), folder=config_folder())
    return seen[0]


def _by_joblib(tmp_path, cells):
    script = tmp_path / "study.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), json.dumps(cells)]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)


def test_without_hydra_nothing_is_launched():
    assert not launches_elsewhere()
    with pytest.raises(ResourceError, match="Hydra is not running"):
        launch([{"seed": 0}], lambda config: config)


def test_cells_keep_the_words_of_the_study_and_their_order():
    cells = [{"arm": "transfer", "seed": seed, "fold": None} for seed in (3, 1)]
    rows = _study(lambda: launch(cells, lambda config: (config["seed"], config["fold"], config["arm"], config["backbone"]["size"])))
    assert rows == [(3, None, "transfer", 64), (1, None, "transfer", 64)]


def test_the_basic_launcher_is_not_elsewhere():
    assert _study(launches_elsewhere) is False


def test_the_error_of_a_cell_comes_home():
    def refuse(config):
        raise DataError(what="A file is broken", where="Sample x", remedy="Replace it")

    with pytest.raises(DataError, match="A file is broken"):
        _study(lambda: launch([{"seed": 0}], refuse))


def test_a_fault_of_a_cell_names_its_kind_only():
    def fail(config):
        raise KeyError("ZZ^SENTINEL")

    with pytest.raises(ResourceError, match="KeyError") as caught:
        _study(lambda: launch([{"seed": 0}], fail))
    assert "SENTINEL" not in str(caught.value)


@needs_joblib
def test_joblib_runs_cells_in_other_processes(tmp_path):
    done = _by_joblib(tmp_path, [["transfer", 0], ["local-only", 1]])
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["elsewhere"] is True
    assert [row[:4] for row in answer["done"]] == [["transfer", 0, None, 64], ["local-only", 1, None, 64]]
    assert all(row[4] != answer["pid"] for row in answer["done"])


@needs_joblib
def test_a_multirun_of_a_verb_travels_too(tmp_path):
    script = tmp_path / "multirun.py"
    script.write_text(MULTIRUN)
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("seed-*")) == ["seed-3", "seed-4"]


@needs_joblib
def test_joblib_brings_the_refusal_of_a_cell(tmp_path):
    done = _by_joblib(tmp_path, [["transfer", 0], ["transfer", 9]])
    assert done.returncode == DataError.exit_code, done.stderr
    assert "A file is broken" in done.stderr
