# SPDX-License-Identifier: Apache-2.0
"""Drawings of readers beside a frozen manifest: written once, looked at on the terminal, and found again by later verbs."""

import json
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from medsetu.core.run import write_json
from medsetu.core.table import read_table, write_table
from medsetu.evaluation.location import location_table
from medsetu.manifest.drawing import REGION_COLUMNS, Drawings, films_of, key_of, measure, only_voted
from medsetu.manifest.drawing_table import drawing_sentences, summarise_drawings
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.prepared import Prepared

DRAWINGS, REGIONS, PROBLEMS, LOCATION = "drawings.parquet", "regions.parquet", "drawing_problems.csv", "location.csv"
STATE: Final = "drawings.json"  # written last: tables without it are made anew
MOST_ROWS: Final = 12  # of the terminal; the tables hold all
_COUNTS: Final = ("drawings", "films", "of present", "labelled absent", "left out")


def write_drawings(prepared: Prepared, folder: Path, *, plan: SplitPlan, workers: int | None = None) -> Drawings | None:
    """Place what was drawn on the films of a manifest and write it beside it; what lies there for the same drawings is used again.

    The tables are no part of the manifest's fingerprint: nothing is trained on them, and a study stays what it was when boxes are added.
    Masks in files count by size and time of change.

    Args:
        prepared: The manifest with ``drawn``.
        folder: Where it is frozen.
        plan: Says how the drawings of several readers become one region.
        workers: Processes that open masks.

    Returns:
        The drawings; None where nothing was drawn.

    Raises:
        ResourceError: The folder cannot be written.
    """
    films = films_of(prepared.drawn, prepared.manifest, votes=prepared.votes, rule=plan.drawing)
    if not films:
        (folder / STATE).unlink(missing_ok=True)  # what was drawn before is no longer believed
        return None
    key = key_of(films)
    if _known(folder) == key:
        tables = [read_table(folder / name) for name in (DRAWINGS, REGIONS)]
        problems = pd.read_csv(folder / PROBLEMS, dtype=str, keep_default_na=False)
        return Drawings(tables[0], tables[1], problems, key)
    (folder / STATE).unlink(missing_ok=True)  # a kill between two tables leaves no mixture
    found = measure(films, workers=workers)
    for table, name in ((found.table, DRAWINGS), (found.regions, REGIONS), (found.problems, PROBLEMS)):
        write_table(table, folder / name)
    patient = prepared.manifest.set_index("sample_id")["patient_id"]
    write_table(location_table(found.regions, patient, seed=int(prepared.facts["seed"])), folder / LOCATION)
    write_json(folder / STATE, {"key": key, "rule": plan.drawing})
    return found


def _known(folder: Path) -> str:
    path = folder / STATE
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text()).get("key", ""))
    except (ValueError, AttributeError):  # damaged: the tables are made anew
        return ""


def read_regions(folder: Path) -> pd.DataFrame:
    """Read the regions beside a frozen manifest.

    Args:
        folder: Where it is frozen.

    Returns:
        ``REGION_COLUMNS``; empty where nothing was drawn.

    Raises:
        DataError: The table was changed.
    """
    return read_table(folder / REGIONS) if _known(folder) else pd.DataFrame(columns=list(REGION_COLUMNS))


def drawing_view(drawings: Drawings, prepared: Prepared, folder: Path) -> Group:
    """Show what is drawn, where it contradicts the labels, and how far readers agree on the place.

    Args:
        drawings: What ``write_drawings`` gives.
        prepared: The manifest.
        folder: Where it is frozen.

    Returns:
        What ``rich.console.Console.print`` can show.
    """
    summary = summarise_drawings(drawings, prepared.manifest, votes=prepared.votes)
    view = Table(title="Drawings", title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    view.padding = (0, 1, 0, 0)
    for name in ("release and finding", *_COUNTS, "IoU of readers"):
        view.add_column(name, justify="right" if name in _COUNTS else "left", overflow="fold", no_wrap=name == "release and finding")
    table = read_table(folder / LOCATION)
    shown = summary.sort_values("films", ascending=False, kind="stable").head(MOST_ROWS)
    for release, rows in shown.groupby("release", sort=True):
        view.add_row(Text(str(release), style="cyan"))
        for row in rows.to_dict("records"):
            present = "" if pd.isna(row["present"]) else f"{int(row['present_drawn'])} of {int(row['present'])}"
            absent = "" if pd.isna(row["absent_drawn"]) else str(int(row["absent_drawn"]))
            counts = [str(row["boxes"] + row["masks"]), str(row["films"]), present, absent, str(row["left_out"])]
            view.add_row(f"  {row['finding']}", *counts, _iou(table, str(release), row["finding"]))
    rest = len(summary) - MOST_ROWS
    sentences = [*drawing_sentences(summary, drawings.problems, prepared.manifest), *_voters(prepared)]
    lines = [Text(f"- {sentence}") for sentence in sentences]
    more = f"{rest} further findings; " if rest > 0 else ""
    told = f"{more}every drawing: {DRAWINGS}; regions by finding: {REGIONS}; agreement on the place: {LOCATION}; left out: {PROBLEMS}"
    return Group(Text(), view, *lines, Text(told))


def _voters(prepared: Prepared) -> list[str]:
    counts = only_voted(prepared.drawn, prepared.votes)["release"].value_counts(sort=False)
    return [f"{release}: readers who voted and never drew, left out of every region: {count}" for release, count in counts.items()]


def _iou(table: pd.DataFrame, release: str, finding: str) -> str:
    rows = table[(table["release"] == release) & (table["finding"] == finding)]
    if rows.empty:
        return ""
    row = rows[rows["measure"] == "iou_where_both_drew"].iloc[0]
    if pd.isna(row["value"]):
        return "never both"
    return f"{row['value']:.2f}" + ("" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]")
