# SPDX-License-Identifier: Apache-2.0
"""From folders of runs and tables of scores to contestants of a comparison; what may not be mixed is refused. No torch here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medsetu.contest.contestant import OF_STUDY, SETTINGS, Cost
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.core.sample import LOCAL
from medsetu.core.table import read_table
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.score_table import FINDING, MODEL, read_scores
from medsetu.experiment.entrant import Entrant, cost_of, refuse_manifests
from medsetu.experiment.evidence import finished_runs
from medsetu.manifest.ledger import ledger_path, record_opening
from medsetu.recipe.instantiate import build

TABLES = (".csv", ".parquet")
_FIXED = ("primary", "margin", "level", "sensitivity_targets", "specificity_targets", "score_kind")  # what runs must agree on, or be told


@dataclass(frozen=True)
class Contenders:
    """Who takes part, before anybody has looked.

    Attributes:
        title: What is compared.
        predictions: Long table with ``PREDICTION_COLUMNS``; ``arm`` names the contestant.
        costs: Contestant -> what it cost.
        plan: What the recipes have fixed.
        behind: Contestant and run, in the order of the predictions; those of tables come after them.
        tables: Tables of scores that take part.
    """

    title: str
    predictions: pd.DataFrame
    costs: Mapping[str, Cost]
    plan: EvaluationPlan
    behind: Sequence[tuple[str, RunFolder]] = ()
    tables: int = 0


def contenders(
    inputs: Sequence[Path], *, columns: Mapping[str, str], given: Mapping[str, Any], side: str = LOCAL, verb: str = "compare"
) -> Contenders:
    """Gather contestants from folders and tables.

    A contestant is an arm of one recipe and one way of training, all its seeds and folds; a table is one, or one per arm it names. Looking
    at runs is entered into the ledger of their test.

    Args:
        inputs: Folders of runs, of studies, single runs, CSV or parquet tables of scores.
        columns: Our column name -> name in the tables.
        given: What the command line fixes (``primary``, ``margin``, ...); runs need not agree on it.
        side: Side whose films decide.
        verb: Verb that looks, for the ledger.

    Returns:
        The contestants.

    Raises:
        ConfigError: No finished run in a folder, recipes fix different plans, or a run of a learning curve is given.
        DataError: Films, labels or splits of the runs differ; a file is missing or damaged.
    """
    folders = [path for path in inputs if path.suffix.lower() not in TABLES]
    tables = [path for path in inputs if path.suffix.lower() in TABLES]
    entrants = [Entrant.read(run) for run in _runs(folders)]
    _refuse_thinned(entrants)
    plan = _plan(entrants, given)
    scores = {path: _scores(path, columns=columns, side=side) for path in tables}
    primary = str(given["primary"]) if "primary" in given else _only(scores.values()) if plan is None else plan.primary
    scores = {path: table.assign(finding=table["finding"].replace(FINDING, primary)) for path, table in scores.items()}
    plan = plan or EvaluationPlan(**{"primary": primary, **given})
    refuse_manifests(entrants, side=side, finding=plan.primary)
    named = names_of(entrants)
    parts = [_predictions(named, verb=verb)] if entrants else []
    parts += _named_tables(scores, taken=set(named))
    title = " and ".join(dict.fromkeys([one.recipe for one in entrants] + [path.stem for path in tables]))
    costs = {name: cost_of(runs) for name, runs in named.items()}
    behind = [(name, one.run) for name, runs in named.items() for one in runs]
    return Contenders(title, pd.concat(parts, ignore_index=True), costs, plan, behind, len(tables))


def names_of(entrants: Sequence[Entrant]) -> dict[str, list[Entrant]]:
    """Name the contestants: by arm, with the recipe before it where two recipes share arms, with a mark where settings differ.

    Args:
        entrants: All runs.

    Returns:
        Name -> its runs.

    Raises:
        ConfigError: One seed and fold of a contestant was given twice.
    """
    groups: dict[tuple[str, str, str], list[Entrant]] = {}
    for one in entrants:
        groups.setdefault((one.recipe, one.arm, one.settings), []).append(one)
    recipes: dict[str, set[str]] = {}
    marks: dict[tuple[str, str], set[str]] = {}
    for recipe, arm, settings in groups:
        recipes.setdefault(arm, set()).add(recipe)
        marks.setdefault((recipe, arm), set()).add(settings)
    found = {}
    for (recipe, arm, settings), own in groups.items():
        name = f"{recipe}{OF_STUDY}{arm}" if len(recipes[arm]) > 1 else arm
        name += f"{SETTINGS}{settings}" if len(marks[recipe, arm]) > 1 else ""
        _refuse_twice(name, own)
        found[name] = own
    return found


def _runs(folders: Sequence[Path]) -> list[RunFolder]:
    """Finished runs of all folders, each once; a folder with a study brings the runs of its study."""
    found: dict[Path, RunFolder] = {}
    for given in folders:
        folder = given.parent if given.name == "study" else given
        own = finished_runs([folder])
        compared = folder / "study" / "predictions.parquet"
        if compared.is_file():
            inside = set(read_table(compared, columns=["run"])["run"].astype(str))
            own = [run for run in own if run.path.name in inside] or own
        found |= {run.path.resolve(): run for run in own}
    return list(found.values())


def _predictions(named: Mapping[str, Sequence[Entrant]], *, verb: str) -> pd.DataFrame:
    """Predictions of all runs under the names of the contestants; the look is entered into the ledgers first."""
    tables = {one.run.path: read_table(one.run.predictions) for runs in named.values() for one in runs}
    looks: dict[tuple[Path, str, str], list[pd.DataFrame]] = {}
    for one in (one for runs in named.values() for one in runs):
        ledger = ledger_path(one.work, str(one.facts["manifest"]))
        looks.setdefault((ledger, one.recipe, str(one.facts["manifest"])), []).append(tables[one.run.path])
    for (ledger, recipe, _), parts in looks.items():
        record_opening(ledger, pd.concat(parts, ignore_index=True), verb=verb, recipe=recipe)
    return pd.concat([tables[one.run.path].assign(arm=name) for name, runs in named.items() for one in runs], ignore_index=True)


def _scores(path: Path, *, columns: Mapping[str, str], side: str) -> pd.DataFrame:
    return read_scores(path, columns=columns, assumed={"domain": side} if side == LOCAL else {})


def _named_tables(scores: Mapping[Path, pd.DataFrame], *, taken: set[str]) -> list[pd.DataFrame]:
    """A table is called by its file where it names no model, or where another contestant has the same name."""
    arms = [str(arm) for table in scores.values() for arm in table["arm"].unique()]
    parts = []
    for path, table in scores.items():
        names = {
            arm: path.stem if arm == MODEL else f"{path.stem}{OF_STUDY}{arm}" if arms.count(str(arm)) > 1 or arm in taken else str(arm)
            for arm in table["arm"].unique()
        }
        clash = sorted(set(names.values()) & taken)
        if clash:
            raise ConfigError(what=f"Two contestants are called '{clash[0]}'", where=str(path), remedy="Rename one of the files")
        taken |= set(names.values())
        parts.append(table.assign(arm=table["arm"].map(names)))
    return parts


def _plan(entrants: Sequence[Entrant], given: Mapping[str, Any]) -> EvaluationPlan | None:
    """The plan the recipes share, with what the command line fixes; None without runs."""
    if not entrants:
        return None
    for key in _FIXED:
        values = {json.dumps(one.raw["evaluation"].get(key), sort_keys=True): one for one in entrants}
        if len(values) > 1 and key not in given:
            (first, one), (second, other) = list(values.items())[:2]
            raise ConfigError(
                what=f"The recipes fix different values of '{key}': {first} and {second}",
                where=f"Runs {one.run.path.name} and {other.run.path.name}",
                remedy=f"Say which one counts: {_OPTIONS.get(key, key)}=...",
            )
    plan: EvaluationPlan = build({**entrants[0].raw["evaluation"], **given}, where="evaluation")
    return plan


_OPTIONS = {"primary": "finding", "sensitivity_targets": "target", "specificity_targets": "target"}


def _only(tables: Iterable[pd.DataFrame]) -> str:
    """The one finding that tables name; a table that names none has that of the others."""
    found = sorted({str(name) for table in tables for name in table["finding"].unique()} - {FINDING}) or [FINDING]
    if len(found) > 1:
        raise ConfigError(
            what=f"The tables hold {len(found)} findings", where="Key finding", remedy=f"Choose one: finding={found[0]}; there are {found}"
        )
    return found[0]


def _refuse_thinned(entrants: Sequence[Entrant]) -> None:
    thinned = [one for one in entrants if one.raw.get("local_share") is not None]
    if thinned:
        raise ConfigError(
            what=f"{len(thinned)} runs were trained with a share of the local patients",
            where=f"Run {thinned[0].run.path.name}",
            remedy="Leave out the folder curve: the study writes their learning curve",
        )


def _refuse_twice(name: str, own: Sequence[Entrant]) -> None:
    seen: dict[tuple[int, int], Entrant] = {}
    for one in own:
        cell = (int(one.facts["seed"]), int(one.facts["fold"]))
        rival = seen.setdefault(cell, one)
        if rival is not one:
            raise ConfigError(
                what=f"Seed {cell[0]} of '{name}' was given twice, in two runs of the same settings",
                where=f"{rival.run.path} and {one.run.path}",
                remedy="Give each run once; copies and runs of another version are no further seeds",
            )
