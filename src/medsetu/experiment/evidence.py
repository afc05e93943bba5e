# SPDX-License-Identifier: Apache-2.0
"""What a question about shift may look at: the predictions of a study, or any table of scores. No torch here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import RunFolder, read_yaml, verify_sidecar
from medsetu.core.table import read_table
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.score_table import FINDING, read_scores
from medsetu.manifest.frozen import load
from medsetu.manifest.ledger import count_openings, ledger_path, record_opening
from medsetu.manifest.prepared import Prepared
from medsetu.manifest.vote import table_of_readers
from medsetu.recipe.instantiate import build
from medsetu.recipe.sealed import read_seal, seal_path
from medsetu.shift.cohort import Extras


@dataclass(frozen=True)
class Evidence:
    """Predictions and what is known beside them.

    Attributes:
        title: Name of the recipe, or of the file.
        question: What was asked, in one sentence.
        predictions: Table with ``PREDICTION_COLUMNS``, all arms, seeds and folds.
        extras: Facts, features and votes by sample_id.
        plan: What was fixed before the test.
        runs: Finished runs; empty for a table of scores.
        prepared: Manifest and splits of the runs, or None.
        folder: Folder of the runs, or of the table.
        openings: How often the test of the manifest has been opened, this look included; 0 for a table of scores.
        seal: When the plan was sealed, and under which hash; empty without a seal.
    """

    title: str
    question: str
    predictions: pd.DataFrame
    extras: Extras
    plan: EvaluationPlan
    runs: Sequence[RunFolder]
    prepared: Prepared | None
    folder: Path
    openings: int = 0
    seal: str = ""


def finished_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """Find the finished runs below paths given by the user.

    Raises:
        ConfigError: There is none.
    """
    found = sorted({marker.parent for path in paths for marker in [*path.glob("done.json"), *path.glob("*/done.json")]})
    if not found:
        raise ConfigError(
            what="No finished run was found", where=f"Key run={', '.join(map(str, paths))}", remedy="Give a run folder, or a folder of runs"
        )
    return [RunFolder(path) for path in found]


def evidence_of_runs(path: Path, *, arm: str, finding: str | None = None) -> Evidence:
    """Gather the predictions of a run, or of all runs of one recipe.

    Args:
        path: Folder of a run, of the runs of a recipe, or the ``study`` folder among them.
        arm: Arm whose features are wanted, where there are several.
        finding: The finding whose votes of readers are wanted; the primary one when None.

    Returns:
        The evidence.

    Raises:
        ConfigError: No finished run, or runs of several recipes.
        DataError: A file is missing or damaged.
    """
    folder = path.parent if path.name == "study" else path
    runs = finished_runs([folder])
    compared = folder / "study" / "predictions.parquet"
    predictions = (
        read_table(compared) if compared.is_file() else pd.concat([read_table(run.predictions) for run in runs], ignore_index=True)
    )
    runs = [run for run in runs if run.path.name in set(predictions["run"])] or runs
    raws = [read_yaml(run.recipe) for run in runs]
    if len({str(raw["name"]) for raw in raws}) > 1:
        raise ConfigError(what="Runs of several recipes are mixed", where="Key run", remedy="Give the folder of one recipe")
    raw = raws[0]
    prepared = load(Path(str(raw["paths"]["work"])).expanduser() / "manifest" / str(raw["name"]))
    arms = {run_fact(run, "arm") for run in runs}
    wanted = arm if len(arms) > 1 else next(iter(arms))
    chosen = next((run for run in sorted(runs, key=_seed) if run_fact(run, "arm") == wanted), None)
    seal = read_seal(seal_path(Path(str(raw["paths"]["runs"])).expanduser(), str(raw["name"])))
    ledger = ledger_path(Path(str(raw["paths"]["work"])).expanduser(), prepared.fingerprint)
    opened = record_opening(ledger, predictions, verb="shift", recipe=str(raw["name"]), seal="" if seal is None else seal.sha256)
    plan = build(raw["evaluation"], where="evaluation")
    votes = table_of_readers(prepared.votes, finding=finding or plan.primary)
    names, values = ({}, None) if chosen is None else _features(chosen)
    return Evidence(
        title=str(raw["name"]),
        question=str(raw["question"]),
        predictions=predictions,
        extras=Extras(facts=prepared.manifest, features=names, values=values, votes=votes),
        plan=plan,
        runs=runs,
        prepared=prepared,
        folder=folder,
        openings=count_openings(opened),
        seal="" if seal is None else f"sealed on {seal.date}, hash {seal.sha256[:12]}, after {seal.openings} openings",
    )


def evidence_of_scores(
    path: Path, *, columns: Mapping[str, str] | None = None, finding: str | None = None, votes: Path | None = None
) -> Evidence:
    """Read any table of scores, such as those of a peer's model.

    Args:
        path: CSV or parquet file, see ``medsetu.evaluation.score_table``.
        columns: Our column name -> name in the file.
        finding: The finding; the first of the table when None.
        votes: CSV or parquet file with ``sample_id`` and one column of 1 / 0 / empty per reader; None for none.

    Returns:
        The evidence, without manifest and features.

    Raises:
        DataError: See ``read_scores``; or the table of votes names no film.
    """
    table = read_scores(path, columns=columns)
    name = finding or str(table["finding"].iloc[0])
    question = f"Does {name} shift from the global to the local side?" if name != FINDING else "Does the model shift from global to local?"
    return Evidence(
        title=path.stem,
        question=question,
        predictions=table,
        extras=Extras(votes=None if votes is None else _votes(votes)),
        plan=EvaluationPlan(primary=name),
        runs=(),
        prepared=None,
        folder=path.parent,
    )


def _votes(path: Path) -> pd.DataFrame:
    table = read_table(path)
    if "sample_id" not in table.columns or table["sample_id"].duplicated().any():
        raise DataError(
            what="The votes do not name each film once",
            where=str(path),
            remedy="Give sample_id and one column per reader, one row per film",
        )
    readers = table.set_index("sample_id")
    votes = readers.assign(**{name: pd.to_numeric(readers[name], errors="coerce") for name in readers.columns})
    if not votes.isin([0, 1]).where(votes.notna(), other=True).to_numpy().all():
        raise DataError(what="A vote is neither 0, 1 nor empty", where=str(path), remedy="Write 1 present, 0 absent, nothing for no vote")
    return votes


def _features(run: RunFolder) -> tuple[dict[str, int], NDArray[np.float32] | None]:
    if not run.features.is_file():
        return {}, None
    verify_sidecar(run.features)
    with np.load(run.features, allow_pickle=False) as stored:
        names, values = stored["sample_id"], stored["feature"].astype(np.float32)
    return {str(name): row for row, name in enumerate(names)}, values


def run_fact(run: RunFolder, name: str) -> Any:  # noqa: ANN401 - a JSON value
    """Read one fact of a run's provenance, such as its arm or seed."""
    return json.loads(run.provenance.read_text())[name]


def _seed(run: RunFolder) -> int:
    return int(run_fact(run, "seed"))
