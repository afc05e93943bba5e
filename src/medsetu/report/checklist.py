# SPDX-License-Identifier: Apache-2.0
"""Reporting checklists (TRIPOD+AI, CLAIM, STARD-AI), filled by the program as far as a study can speak for itself; the rest stays open."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.report.content import Report
from medsetu.report.fact import study_facts
from medsetu.report.grid import Entry, Grid, heads

CHECKLIST_COLUMNS = ("checklist", "item", "section", "asks", "status", "answer")
OPEN = "open: to be answered by the authors"
PARTLY = "partly, the rest by the authors"
FILLED = "filled by the program"
_KEYS = {"item", "section", "asks", "facts"}


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Attributes:
        item: Its number, such as ``12a``.
        section: Where it stands in the checklist.
        asks: What it asks, in our words.
        facts: Names of the facts that answer it; empty where only the authors can.
        partly: Whether the authors must add something even when all facts are there.
    """

    item: str
    section: str
    asks: str
    facts: tuple[str, ...]
    partly: bool


@dataclass(frozen=True)
class Checklist:
    """A published checklist.

    Attributes:
        name: Short name.
        cite: Where it was published.
        doi: Its digital object identifier.
        numbering: How the numbers of its items were checked.
        items: The items, in order.
    """

    name: str
    cite: str
    doi: str
    numbering: str
    items: tuple[Item, ...]


def load_checklists(folder: Path | None = None) -> list[Checklist]:
    """Read the checklists.

    Args:
        folder: Their folder; the one that came with medsetu when None.

    Returns:
        Checklists sorted by file name.

    Raises:
        ConfigError: A file is no checklist.
    """
    return [_read(path) for path in sorted((folder or config_folder() / "checklist").glob("*.yaml"))]


def fill(report: Report, folder: Path | None = None) -> pd.DataFrame:
    """Fill the checklists from what a study says of itself.

    Args:
        report: What a study has shown.
        folder: Folder of the checklists; the one that came with medsetu when None.

    Returns:
        One row per item with ``CHECKLIST_COLUMNS``; ``answer`` is empty where the item is open.

    Raises:
        ConfigError: A file is no checklist, or names a fact that does not exist.
    """
    known = study_facts(report)
    rows = [_row(checklist, item, known) for checklist in load_checklists(folder) for item in checklist.items]
    return pd.DataFrame(rows, columns=list(CHECKLIST_COLUMNS))


def checklist_grids(table: pd.DataFrame, folder: Path | None = None) -> list[Grid]:
    """Write filled checklists as tables of a page.

    Args:
        table: What ``fill`` returned.
        folder: As in ``fill``.

    Returns:
        One table per checklist; its caption counts what is open.
    """
    grids = []
    for checklist in load_checklists(folder):
        rows = table[table["checklist"] == checklist.name]
        left = int((rows["status"] == OPEN).sum())
        caption = f"{checklist.name}: {len(rows)} items, {left} open ({checklist.cite}; {checklist.numbering})"
        fields = [
            [
                Entry(str(row["item"]), [str(row["section"])], kind="head"),
                Entry(str(row["asks"])),
                Entry(str(row["answer"]), [str(row["status"])]),
            ]
            for row in rows.to_dict("records")
        ]
        grids.append(Grid(caption, heads("item", " asks", " answer"), fields))
    return grids


def _row(checklist: Checklist, item: Item, known: Mapping[str, str]) -> tuple[str, ...]:
    for name in item.facts:
        if name not in known:
            raise ConfigError(
                what=f"Item {item.item} names a fact that no study knows",
                where=f"Checklist {checklist.name}",
                value=name,
                allowed=sorted(known),
            )
    told = [known[name] for name in item.facts if known[name]]
    whole = len(told) == len(item.facts) and not item.partly
    status = (FILLED if whole else PARTLY) if told else OPEN
    return checklist.name, item.item, item.section, item.asks, status, "; ".join(told)


def _read(path: Path) -> Checklist:
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        head = {key: str(raw[key]) for key in ("name", "cite", "doi", "numbering")}
        return Checklist(**head, items=tuple(_item(entry, path) for entry in raw["items"]))
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(
            what=f"A checklist cannot be read ({type(error).__name__})",
            where=str(path),
            remedy="Compare it with one that came with medsetu",
        ) from error


def _item(entry: Mapping[str, Any], path: Path) -> Item:
    if not set(entry) >= _KEYS or set(entry) - _KEYS - {"partly"}:
        raise ConfigError(what="An item does not hold item, section, asks and facts", where=str(path), remedy="Correct the item")
    return Item(str(entry["item"]), str(entry["section"]), str(entry["asks"]), tuple(entry["facts"]), bool(entry.get("partly", False)))
