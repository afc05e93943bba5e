# SPDX-License-Identifier: Apache-2.0
"""``medsetu compare``: any runs, studies or tables of scores against each other, on the same patients. No torch here."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from medsetu.catalog.card import load_cards
from medsetu.catalog.relation import relatives
from medsetu.contest.contestant import Cost
from medsetu.contest.plan import ContestPlan, contest_plan
from medsetu.contest.sentence import sentences
from medsetu.contest.tournament import Tournament, hold
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder, sha256_file
from medsetu.core.signed import write_signed
from medsetu.experiment.contender import contenders
from medsetu.experiment.journal import journal
from medsetu.experiment.record import CONTEST, FORMAT, environment, part_hashes
from medsetu.report.contest_page import write_contest
from medsetu.report.contest_table import WIDTH, contest_tables

log = logging.getLogger(__name__)


def main(config: Mapping[str, Any]) -> None:
    """Compare contestants and write tables, figures and a page.

    Args:
        config: Resolved configuration of ``configs/compare.yaml``.

    Raises:
        ConfigError: Nothing, or too little, was named; recipes fix different plans; the reference does not take part.
        DataError: Films, patients, labels or splits differ between contestants; a file is missing or damaged.
    """
    inputs = [Path(str(one)).expanduser() for one in config["inputs"]]
    if not inputs:
        raise ConfigError(
            what="Nothing was named to compare", where="Command line", remedy="For example `medsetu compare runs/demo` or `... a.csv b.csv`"
        )
    folder = _folder(config, inputs)
    with journal(folder):
        found = contenders(
            inputs,
            columns={ours: name for ours, name in config["columns"].items() if name},
            given=_given(config),
            side=str(config["side"]),
        )
        plan = contest_plan(
            found.plan,
            side=str(config["side"]),
            reference=config["reference"],
            smallest=config["smallest_difference"],
            power=config["power"],
            kind=config["threshold"],
            films=str(config["on"]),
        )
        log.info("Comparing %d contestants", found.predictions["arm"].nunique())
        shown = tournament(found.predictions, found.costs, plan, folder, title=found.title)
        remember(folder, plan, behind=found.behind, tables=found.tables, title=found.title)
    show(shown, folder)


def tournament(
    predictions: pd.DataFrame, costs: Mapping[str, Cost], plan: ContestPlan, folder: Path, *, title: str = "Comparison"
) -> Tournament:
    """Hold a tournament of the arms of a table of predictions and write everything it has shown.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``, all seeds and folds, splits test and val; ``arm`` names the contestant.
        costs: Contestant -> what it cost (``entrant.costs_of`` for the runs of a study); unknown where it is missing.
        plan: What was fixed before (``contest_plan`` reads it off the evaluation plan of a recipe).
        folder: Where ``compare.html``, ``compare.json`` and the tables go.
        title: What is compared.

    Returns:
        The tournament; ``show`` writes it to the terminal.

    Raises:
        ConfigError: Fewer than two contestants, or one that was not tested.
        DataError: The contestants may not be compared.
    """
    found = hold(predictions, plan, costs=costs, overlapping=overlapping())
    write_contest(found, folder, title=title, settings=settings_of(found))
    return found


def settings_of(found: Tournament) -> dict[str, str]:
    """Say what the page names beside the plan."""
    return {"contestants": ", ".join(found.standings["contestant"])}


def remember(folder: Path, plan: ContestPlan, *, behind: Sequence[tuple[str, RunFolder]], tables: int = 0, title: str) -> None:
    """Write down what a tournament rests on, signed, so that ``medsetu reproduce`` can hold it again.

    Args:
        folder: Folder of its tables.
        plan: What was fixed before.
        behind: Contestant and run, in the order of the predictions.
        tables: Tables of scores that took part beside the runs.
        title: What was compared.
    """
    runs = {run.path: os.path.relpath(run.path, folder.parent) for _, run in behind}
    facts: dict[str, Any] = {"format": FORMAT, "verb": "compare", "title": title, "plan": asdict(plan), "tables": tables}
    facts["behind"] = [[name, Path(runs[run.path]).as_posix()] for name, run in behind]
    facts["runs"] = {Path(place).as_posix(): sha256_file(RunFolder(path).predictions) for path, place in runs.items()}
    kept = [path for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".tex", ".html", ".json", ".svg") and path.name != CONTEST]
    write_signed(folder / CONTEST, {**facts, "files": part_hashes(folder, kept), **environment()})


def show(found: Tournament, folder: Path) -> None:
    """Write a tournament to the terminal: tables of 100 columns, sentences, and where the page lies."""
    console = Console(width=WIDTH)
    console.print(contest_tables(found))
    for number, sentence in enumerate(sentences(found), start=1):
        console.print(f"{number}. {sentence}", markup=False, highlight=False)
    for note in found.notes:
        console.print(f"- {note}", markup=False, highlight=False)
    console.print(f"\nComparison: {folder / 'compare.html'}", markup=False, highlight=False, soft_wrap=True)


def _folder(config: Mapping[str, Any], inputs: list[Path]) -> Path:
    if config["output"]:
        return Path(str(config["output"])).expanduser()
    if len(inputs) == 1 and inputs[0].is_dir():
        return (inputs[0].parent if inputs[0].name == "study" else inputs[0]) / "compare"
    return Path("compare")


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line fixes of the evaluation plan, under the names that plan has for it."""
    names = {"finding": "primary", "margin": "margin", "level": "level", "bootstrap": "bootstrap", "seed": "seed"}
    given = {ours: config[key] for key, ours in names.items() if config[key] is not None}
    if config["target"] is not None:
        kind, _, share = str(config["target"]).partition("_")
        if kind not in ("sensitivity", "specificity"):
            raise ConfigError(
                what=f"'{config['target']}' is no rule of a threshold", where="Key target", remedy="For example target=sensitivity_0.90"
            )
        others = {"sensitivity": "specificity", "specificity": "sensitivity"}
        given |= {f"{kind}_targets": [_share(share)], f"{others[kind]}_targets": []}
    return given


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(what=f"'{text}' is no number", where="Key target", remedy="For example target=sensitivity_0.90") from None


def overlapping() -> set[frozenset[str]]:
    """Pairs of releases that share images, as the catalogue knows them, also by way of others."""
    cards = load_cards()
    return {frozenset((card.name, other)) for card in cards for other in relatives(card.name, cards)}
