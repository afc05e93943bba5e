# SPDX-License-Identifier: Apache-2.0
"""Hold a stored tournament again from the predictions of its runs, and compare every number of its tables and page. No torch here."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from medsetu.contest.plan import ContestPlan
from medsetu.contest.tournament import Tournament, hold
from medsetu.core.errors import DataError, MedsetuError
from medsetu.core.run import RunFolder, plain, sha256_file
from medsetu.core.signed import read_signed
from medsetu.core.table import read_table
from medsetu.evaluation.decision import Rule
from medsetu.experiment.compare import overlapping, settings_of
from medsetu.experiment.entrant import Entrant, cost_of
from medsetu.experiment.number import data_check, page_check, table_check
from medsetu.experiment.record import CONTEST, PREDICTIONS
from medsetu.experiment.verdict import DIFFERS, NUMBERS, PARTS, UNCHECKED, Check
from medsetu.experiment.verify import check_files, read_anyway
from medsetu.report.contest_page import DATA, contest_csv, contest_texts, to_json


def check_contest(folder: Path) -> list[Check]:
    """Check the files of a tournament and hold it again.

    Args:
        folder: A folder with ``contest.json``.

    Returns:
        The checks; what rests on runs or tables that are not here is said to be not checked.
    """
    try:
        record, _ = read_signed(folder / CONTEST, name="record of the tournament", remedy="Run the verb that writes it again")
    except DataError as error:
        return [Check(PARTS, CONTEST, DIFFERS, note=f"{error.what}: {folder.name}")]
    found = check_files(folder, record, left_out={})
    try:
        return [*found, *_again(folder, record)]
    except (MedsetuError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        reason = error.what if isinstance(error, MedsetuError) else type(error).__name__
        return [*found, Check(NUMBERS, folder.name, DIFFERS, note=f"the tournament cannot be held again: {reason}")]


def _again(folder: Path, record: Mapping[str, Any]) -> Iterator[Check]:
    if record["tables"]:
        yield Check(
            NUMBERS, folder.name, UNCHECKED, note=f"{record['tables']} tables of scores took part: run `medsetu compare` on them again"
        )
        return
    runs = {place: RunFolder(folder.parent / place) for place in record["runs"]}
    absent = sum(not run.predictions.is_file() for run in runs.values())
    if absent:
        yield Check(NUMBERS, folder.name, UNCHECKED, note=f"{absent} of the {len(runs)} runs behind it are not here")
        return
    for place, promised in record["runs"].items():
        if sha256_file(runs[place].predictions) != promised:
            note = "not the predictions that the tournament rests on"
            yield Check(NUMBERS, f"{folder.name}: {place}/{PREDICTIONS}", DIFFERS, note=note)
    yield from _compared(folder, record, _held(record, runs))


def _held(record: Mapping[str, Any], runs: Mapping[str, RunFolder]) -> Tournament:
    facts = dict(record["plan"])
    plan = ContestPlan(**{**facts, "rule": None if facts["rule"] is None else Rule(**facts["rule"])})
    entrants: dict[str, list[Entrant]] = {}
    for name, place in record["behind"]:
        entrants.setdefault(name, []).append(Entrant.read(runs[place]))
    tables = [read_table(runs[place].predictions).assign(arm=name) for name, place in record["behind"]]
    costs = {name: cost_of(own) for name, own in entrants.items()}
    return hold(pd.concat(tables, ignore_index=True), plan, costs=costs, overlapping=overlapping())


def _compared(folder: Path, record: Mapping[str, Any], found: Tournament) -> Iterator[Check]:
    told: dict[str, Any] = {"title": record["title"], "settings": settings_of(found)}
    for name, table in contest_csv(found).items():
        yield table_check(f"{folder.name}/{name}", stored=read_anyway(folder / name), derived=table)
    for name, text in contest_texts(found, **told).items():
        if not (folder / name).is_file():
            continue  # its absence was named with the parts
        yield page_check(f"{folder.name}/{name}", stored=(folder / name).read_text(encoding="utf-8"), derived=text, films=True)
    if (folder / DATA).is_file():
        yield data_check(f"{folder.name}/{DATA}", stored=json.loads((folder / DATA).read_text()), derived=plain(to_json(found, **told)))
