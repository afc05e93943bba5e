# SPDX-License-Identifier: Apache-2.0
"""The leakage ledger beside a manifest, and what the terminal says of it: what was found, and where nothing was, what was looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from medsetu.catalog.weights import WeightCard
from medsetu.core.table import write_table
from medsetu.manifest.leakage import CHANGES, EXACT
from medsetu.manifest.overlap import BACKBONE, CATALOGUE, LISTED, PATIENT, STUDY, TESTED, TOLD, backbone_links, ledger_table
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.check import seen_before, weights_of
from medsetu.recipe.recipe import Recipe

LEDGER = "leakage.parquet"
MOST = 20  # lines in the terminal; the table holds all


def write_ledger(recipe: Recipe, prepared: Prepared, folder: Path) -> pd.DataFrame:
    """Write the ledger beside the manifest, with what the weights of the recipe may have seen.

    Args:
        recipe: The recipe; another backbone has another ledger and the same manifest.
        prepared: The manifest.
        folder: Where it is frozen; gets ``leakage.parquet``.

    Returns:
        The ledger, ``medsetu.manifest.prepared.LINK_COLUMNS``.

    Raises:
        ResourceError: The folder cannot be written.
    """
    card = weights_of(recipe)
    own = [prepared.links]
    if card is not None:
        own.append(backbone_links(prepared.manifest, seen_before(recipe), weights=card.name))
    ledger = pd.concat([table for table in own if len(table)] or own[:1], ignore_index=True)
    write_table(ledger, folder / LEDGER)
    return ledger


def ledger_view(ledger: pd.DataFrame, prepared: Prepared, *, weights: WeightCard | None) -> Group:
    """Lay out the ledger for a terminal.

    Args:
        ledger: What ``write_ledger`` gives.
        prepared: The manifest.
        weights: Card of the weights the recipe begins with; None where they are drawn at random, or nothing is trained.

    Returns:
        What ``rich.console.Console.print`` can show.
    """
    view = Table(title="Leakage ledger", title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0), header_style="dim")
    view.pad_edge = False
    for name in ("rule", "release and the other end", "rows", "tested", "patients", "action"):
        view.add_column(name, justify="right" if name in ("rows", "tested", "patients") else "left", overflow="fold")
    counted = ledger_table(ledger)
    for row in counted.head(MOST).to_dict("records"):
        ends = str(row["release"]) if row["other"] == row["release"] else f"{row['release']}: {row['other']}"
        numbers = [str(row[name]) for name in ("rows", "tested", "groups")]
        rule = Text.assemble((str(row["rule"]), "cyan"), f"\n{row['certainty']}")
        view.add_row(rule, Text(ends), *numbers, Text(str(row["action"])))
    tested = prepared.manifest["split"].isin(TESTED)
    marked = tested & (prepared.manifest["sample_id"].isin(ledger.loc[ledger["action"].str.endswith("tagged"), "sample_id"]))
    lines = [Text(f"{len(counted) - MOST} further lines stand in {LEDGER}.")] if len(counted) > MOST else []
    both = "; results are given with and without them" if marked.any() else ""
    lines.append(Text(f"{marked.sum()} of {tested.sum()} tested samples are tagged{both}."))
    lines += [Text(f"{line}.") for line in _nothing(set(ledger["rule"]), prepared.facts["looked_at"], weights)]
    return Group(Text(), *([view] if len(counted) else []), *lines)


def _nothing(found: set[str], looked: Mapping[str, Any], weights: WeightCard | None) -> list[str]:
    """Say of each rule without a line what was looked at, or that there was nothing to look at."""
    files, releases = int(looked["files"]), int(looked["releases"])
    taught = "" if weights is None else f"{weights.name}, taught on {', '.join(weights.trained_on)}"
    said: dict[tuple[str, ...], tuple[str, str]] = {
        (EXACT,): ("equal bytes", f"{files} files"),
        tuple(CHANGES): ("pictures alike, also negatives and mirror images", _counted(files * (files - 1) // 2, "pairs")),
        (PATIENT,): ("patient", _counted(looked["patient ids"], "ids")),
        (STUDY,): ("study", _counted(looked["study ids"], "ids")),
        (LISTED,): ("pretraining list", _counted(looked["entries"], "entries")),
        (CATALOGUE,): ("the catalogue", _counted(releases if releases > 1 else 0, "releases")),
        (TOLD,): ("what the releases say", f"{releases} release{'' if releases == 1 else 's'}"),
        (BACKBONE,): ("the card of the weights", taught),
    }
    left = [told for rules, told in said.items() if not found & set(rules)]
    found_none = [f"No overlap found by {rule}: {what}" for rule, what in left if what]
    absent = ", ".join(rule for rule, what in left if not what)
    return found_none + ([f"Nothing there to compare by: {absent}"] if absent else [])


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number else ""
