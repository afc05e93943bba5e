# SPDX-License-Identifier: Apache-2.0
"""What a search leaves: its table of trials, the best recipe as an overlay that ``study`` accepts, and how far to believe the winner."""

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from rich.console import Console

from medsetu.core.errors import DivergedError
from medsetu.core.run import atomic_write, write_json
from medsetu.core.table import read_table, write_table
from medsetu.experiment.design import Cell
from medsetu.experiment.record import environment
from medsetu.experiment.stage import StageRecord, put_together, trained_network
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.launch import spoken
from medsetu.recipe.recipe import Recipe
from medsetu.report.search_table import search_table
from medsetu.search.flattery import Flattered, flattery
from medsetu.search.sentence import sentences
from medsetu.search.space import nested
from medsetu.search.trial import FAILED, FINISHED, GIVEN_UP, Trial, Trials
from medsetu.training.candidate import see
from medsetu.training.hardware import Hardware

TABLE, RECORD, VALIDATION = "trials.csv", "search.json", "validation"
_OWN = ("search", "arm=", "seed=", "fold=", "seeds=", "hydra")  # words of a command line that do not belong to the recipe


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes:
        folder: Where it stands.
        trials: All trials.
        best: The best finished one.
        monitor: Log key that judged them, such as ``val/local/loss``.
        flattered: How much the best is flattered.
        sentences: What may be said of it.
        recipe: File of the best recipe.
        command: What runs the study with it.
    """

    folder: Path
    trials: Sequence[Trial]
    best: Trial
    monitor: str
    flattered: Flattered
    sentences: Sequence[str]
    recipe: Path
    command: str


@dataclass(frozen=True)
class Ground:
    """What all trials of a search are trained on.

    Attributes:
        manifest: Samples that are learned from or chosen on, none that is tested.
        assignment: sample_id -> split, of these samples.
        hardware: Where to run.
    """

    manifest: pd.DataFrame
    assignment: "pd.Series[str]"
    hardware: Hardware


def keep_validation(
    recipe: Recipe,
    cell: Cell,
    records: Sequence[StageRecord],
    *,
    ground: Ground,
    path: Path,
) -> None:
    """Keep what the last stage of a finished trial says of the films that chose it: sample, patient, finding, label, logit.

    Args:
        recipe: Recipe of the trial.
        cell: Arm, seed and fold.
        records: Its stages.
        ground: What it was trained on.
        path: Where they go; see ``validation_path``.
    """
    last, previous = records[-1], records[-2] if len(records) > 1 else None
    stage = put_together(
        recipe,
        last.name,
        manifest=ground.manifest,
        assignment=ground.assignment,
        seed=cell.training_seed,
        previous=previous,
        hardware=ground.hardware,
    )
    network = trained_network(recipe, last, seed=cell.seed)
    seen = see(network, stage.data, hardware=ground.hardware, side=stage.plan.selecting_side)
    with torch.inference_mode():
        logit = network.head(torch.from_numpy(seen.feature).to(network.head.weight.device)).double().cpu().numpy()
    facts = ground.manifest.set_index("sample_id").loc[seen.sample_id]
    patient = facts["patient_id"].where(facts["patient_id"].notna(), pd.Series(facts.index, index=facts.index))
    parts = [
        pd.DataFrame(
            {
                "sample_id": seen.sample_id,
                "patient_id": patient.astype(str).to_numpy(),
                "finding": finding,
                "label": seen.label[:, column].astype(np.float64),
                "logit": logit[:, column],
            }
        )
        for column, finding in enumerate(network.findings)
    ]
    write_table(pd.concat(parts, ignore_index=True), path)


def write_search(recipe: Recipe, cell: Cell, trials: Trials, *, prepared: Prepared) -> Found:
    """Write the table of trials, the record and the best recipe.

    Args:
        recipe: The recipe.
        cell: Arm, seed and fold.
        trials: The trials, none of which is going on.
        prepared: Manifest and splits.

    Returns:
        What was found.

    Raises:
        DivergedError: No trial came to an end.
    """
    ended, best, folder = trials.ended(), trials.best(), trials.folder
    if best is None:
        raise DivergedError(
            what=f"None of {len(ended)} trials came to an end",
            where=f"The first says: {next((one.facts['reason'] for one in ended if one.state == FAILED), 'given up')}",
            remedy="Search smaller learning rates, or begin with search.pruner=none",
        )
    plan = recipe.stages[recipe.stages_of(cell.arm)[-1]]
    finished = [one for one in ended if one.state == FINISHED]
    flattered = _flattered(folder, finished, monitor=plan.monitor, resamples=trials.plan.resamples, seed=trials.plan.seed)
    crossfit = bool(cell.fold >= 0)
    said = sentences(ended, best, flattered, monitor=plan.monitor_key, fold=cell.fold if crossfit else None, trials=trials.plan)
    place, command = _write_best(recipe, best, folder=folder, monitor=plan.monitor_key, count=len(ended))
    atomic_write(folder / TABLE, _frame(ended).to_csv(index=False).encode())
    facts = {
        "recipe": recipe.name,
        **cell.identity,
        "manifest": prepared.fingerprint,
        "monitor": plan.monitor_key,
        "search": asdict(trials.plan),
        "trials": len(ended),
        "counts": {state: sum(one.state == state for one in ended) for state in (FINISHED, GIVEN_UP, FAILED)},
        "best": {"number": best.number, "value": best.value, "values": dict(best.values), "stages": best.facts["stages"]},
        "optimism": asdict(flattered),
        "sentences": said,
        "study": command,
    }
    write_json(folder / RECORD, {**facts, **environment()})
    return Found(folder, ended, best, plan.monitor_key, flattered, said, place, command)


def show(found: Found) -> None:
    """Write a search to the terminal."""
    console = Console()
    console.print(search_table(found.trials, best=found.best.number, monitor=found.monitor))
    for sentence in found.sentences:
        console.print(f"- {sentence}", markup=False, highlight=False)
    for line in (f"\nTrials: {found.folder / TABLE}", f"Best recipe: {found.recipe}", f"Study it: {found.command}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def validation_path(folder: Path, number: int) -> Path:
    """Say where the validation of a finished trial is kept."""
    return folder / VALIDATION / f"trial-{number}.parquet"


def _flattered(folder: Path, finished: Sequence[Trial], *, monitor: str, resamples: int, seed: int) -> Flattered:
    """Bootstrap the choice among the finished trials, on the films that all of them were judged by."""
    tables = [read_table(validation_path(folder, one.number)) for one in finished]
    wide = [table.pivot(index="sample_id", columns="finding", values="logit") for table in tables]
    label = tables[0].pivot(index="sample_id", columns="finding", values="label")
    patient = tables[0].drop_duplicates("sample_id").set_index("sample_id")["patient_id"].loc[label.index]
    logits = [table.loc[label.index, label.columns].to_numpy() for table in wide]
    return flattery(label.to_numpy(), logits, patient=patient.to_numpy(), monitor=monitor, resamples=resamples, seed=seed)


def _frame(ended: Sequence[Trial]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for one in ended:
        row: dict[str, Any] = {"trial": one.number, "state": one.state, "value": one.value}
        row |= {key: json.dumps(value) if isinstance(value, list) else value for key, value in one.values.items()}
        row |= {name: one.facts.get(name, math.nan) for name in ("best_epoch", "epochs", "seconds", "parameters_trained")}
        rows.append(row | {"stage": (one.facts.get("stages") or [""])[-1], "reason": one.facts.get("reason", "")})
    return pd.DataFrame(rows)


def _write_best(recipe: Recipe, best: Trial, *, folder: Path, monitor: str, count: int) -> tuple[Path, str]:
    """Write the best values over the recipe they were searched for, and say the command that studies them."""
    chosen, words = spoken()
    base = chosen or recipe.name
    name = f"{base}_best"
    kept = [shlex.quote(word) for word in words if not word.lstrip("+~").startswith(_OWN)]
    command = " ".join(["medsetu study", f"--config-dir {shlex.quote(str(folder))}", f"recipe={name}", *kept])
    head = f"# @package _global_\n# {recipe.question} With the values that {count} trials found best on {monitor}.\n# {command}\n"
    overlay = {"defaults": [base, "_self_"], "name": name, **nested(best.values)}
    return atomic_write(folder / "recipe" / f"{name}.yaml", (head + yaml.safe_dump(overlay, sort_keys=False)).encode()), command
