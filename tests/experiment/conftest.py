# SPDX-License-Identifier: Apache-2.0
"""A tiny study on two phantom countries of 24 patients, composed as the command line composes it and run once for the whole session."""

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import pytest

from fakes import phantom
from medsetu import cli
from medsetu.core.place import config_folder
from medsetu.experiment import study
from medsetu.recipe.app import plain

Compose = Callable[..., dict[str, Any]]
PATIENTS, SIZE = 24, 64
TINY = (
    "backbone.name=test_resnet",
    "backbone.size=32",
    f"sides.global.phantom_global.patients={PATIENTS}",
    f"sides.local.phantom_local.patients={PATIENTS}",
    f"sides.global.phantom_global.size={SIZE}",
    f"sides.local.phantom_local.size={SIZE}",
    "manifest.crossfit.when=never",
    "data.build_workers=1",
    "data.progress=false",
    "trainer.accelerator=cpu",
    "trainer.precision=fp32",
    "trainer.progress=false",
    "stages.pretrain.epochs=2",
    "stages.pretrain.batch_size=16",
    "stages.finetune.epochs=1",
    "evaluation.bootstrap=20",
    "evaluation.groups=[sex]",
)


@dataclass(frozen=True)
class Finished:
    """What a study left behind: its configuration, its folder of runs and what it said on the way."""

    config: dict[str, Any]
    runs: Path
    out: str
    err: str

    @property
    def study(self) -> Path:
        return self.runs / "demo" / "study"

    def run(self, arm: str) -> Path:
        (found,) = (self.runs / "demo").glob(f"{arm}-s0-*")
        return found


def tiny(verb: str, films: Path, runs: Path) -> list[str]:
    """Words of the command line that make recipe demo tiny."""
    places = [
        f"paths.runs={runs}",
        f"sides.global.phantom_global.root={films / 'global'}",
        f"sides.local.phantom_local.root={films / 'local'}",
    ]
    return [*TINY, *(["seeds=[0]"] if verb == "study" else []), *places]


def run_study(config: dict[str, Any]) -> Finished:
    """Run a study in this process and keep what it says."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        study.main(config)
    return Finished(config, Path(config["paths"]["runs"]), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> Path:
    """The films of both countries; the first film of each bears the name that nothing may ever repeat."""
    root = tmp_path_factory.mktemp("films")
    for country in ("global", "local"):
        phantom.write(root / country, patients=PATIENTS, size=SIZE, country=country)
    return root


@pytest.fixture(scope="session")
def compose(films) -> Compose:
    """Compose a verb of the tiny recipe into a folder of runs."""

    def composed(verb: str, runs: Path, *words: str) -> dict[str, Any]:
        with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
            return plain(hydra.compose(verb, [*tiny(verb, films, runs), *words]))

    return composed


@pytest.fixture(scope="session")
def finished(compose, tmp_path_factory) -> Finished:
    """The study, run once with every logger on. Look, do not touch: take ``copied`` to change something."""
    done = run_study(compose("study", tmp_path_factory.mktemp("study") / "runs"))
    shutil.copytree(done.runs / "work" / "ledger", done.runs.parent / "ledger")  # looking counts as opening the test
    return done


@pytest.fixture
def say(films, capfd, monkeypatch, tmp_path) -> Callable[..., tuple[int, str]]:
    """Say a verb of the tiny recipe on the command line, in this process: (exit code, what stood in the terminal)."""
    monkeypatch.chdir(tmp_path)

    def run(verb: str, *words: str) -> tuple[int, str]:
        known = [] if verb == "evaluate" else tiny(verb, films, tmp_path / "runs")
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main([verb, *known, *words])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return left.value.code, out + err

    return run


@pytest.fixture
def copied(finished, compose, tmp_path) -> Finished:
    """A copy of the finished study that a test may damage; its configuration points at the copy."""
    shutil.copytree(finished.runs, tmp_path / "runs")
    shutil.copytree(finished.runs.parent / "ledger", tmp_path / "runs" / "work" / "ledger", dirs_exist_ok=True)
    return Finished(compose("study", tmp_path / "runs"), tmp_path / "runs", finished.out, finished.err)
