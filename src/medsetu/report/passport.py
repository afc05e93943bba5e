# SPDX-License-Identifier: Apache-2.0
"""The shift passport: five sentences and five pictures on one sheet, the full tables behind it, and the same as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from medsetu import __version__
from medsetu.core.run import atomic_write, write_json
from medsetu.report.grid import Entry, Grid, heads
from medsetu.report.number import DASH, interval, number, words
from medsetu.report.render import Drawing, page_loader
from medsetu.shift.row import SECTIONS, SHIFT_COLUMNS

TITLES = {
    "gap": "How much: gap, local deficit, subgroups",
    "detect": "What differs between the sides",
    "explain": "Why: prevalence, image, labels, threshold",
    "shortcut": "What the model may be cheating with",
    "repair": "What repairs win back",
    "plan": "How many local patients are needed",
    "decide": "What it means for a screening programme",
}
SMALLEST_P = 0.001


@dataclass(frozen=True, kw_only=True)
class Passport:
    """Everything that one passport tells.

    Attributes:
        title: Name of the study, run or table of scores.
        question: What is asked, in one sentence.
        finding: The finding, by name.
        arm: The arm whose scores are studied.
        sides: Title, films, patients and unit of both sides, as ``{"side", "title", "films", "patients", "unit"}``.
        made_on: Day, as text.
        sentences: Five sentences for a clinician.
        drawings: Five pictures.
        behind: Further pictures, behind the sheet.
        table: Table with ``SHIFT_COLUMNS``.
        settings: What was fixed before: plan, profile, arm; name -> value.
        notes: What a reader must know; stands on the printed sheet.
        material: What is known of the releases; stands behind it.
    """

    title: str
    question: str
    finding: str
    arm: str
    sides: Sequence[Mapping[str, Any]]
    made_on: str
    sentences: Sequence[str]
    drawings: Sequence[Drawing]
    table: pd.DataFrame
    behind: Sequence[Drawing] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    material: Sequence[str] = ()


def write_passport(passport: Passport, folder: Path) -> Path:
    """Write ``passport.html`` (self-contained; prints as one page) and ``passport.json``, atomically.

    Args:
        passport: What to tell.
        folder: Target folder.

    Returns:
        Path of the HTML file.

    Raises:
        ResourceError: A file cannot be written.
    """
    write_json(folder / "passport.json", to_plain(passport))
    return atomic_write(folder / "passport.html", to_page(passport).encode())


def to_plain(passport: Passport) -> dict[str, Any]:
    """Write a passport as JSON-like data: the same sentences and numbers, without the pictures."""
    return {
        "medsetu": __version__,
        "title": passport.title,
        "question": passport.question,
        "finding": passport.finding,
        "arm": passport.arm,
        "made_on": passport.made_on,
        "sides": [dict(side) for side in passport.sides],
        "sentences": list(passport.sentences),
        "notes": list(passport.notes),
        "material": list(passport.material),
        "settings": dict(passport.settings),
        "table": passport.table[list(SHIFT_COLUMNS)].to_dict("records"),
    }


def to_page(passport: Passport) -> str:
    """Render a passport as the text of one HTML file; everything that came from outside is escaped."""
    environment = Environment(loader=page_loader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("passport.html.j2").render(
        passport=passport,
        version=__version__,
        finding=words(passport.finding),
        style=Markup(page_loader().get_source(environment, "report.css")[0]),  # noqa: S704 - our own file
        grids=[section_grid(passport.table, section) for section in SECTIONS if section in set(passport.table["section"])],
    )


def section_grid(table: pd.DataFrame, section: str) -> Grid:
    """Lay out the lines of one section: what, number with interval, p, n, verdict with method and remarks.

    Args:
        table: Table with ``SHIFT_COLUMNS``.
        section: One of ``SECTIONS``.

    Returns:
        The table of the page.
    """
    rows = []
    for row in table[table["section"] == section].to_dict("records"):
        between = interval(row["low"], row["high"])
        small = [part for part in (between, "" if row["unit"] == "share" else str(row["unit"])) if part]
        rows.append(
            [
                Entry(words(str(row["measure"])), small=[words(str(row["subject"]))], kind="head"),
                Entry(number(row["value"]), small=small, kind="number"),
                Entry(p_value(row["p_adjusted"] if not math.isnan(row["p_adjusted"]) else row["p"]), kind="number"),
                Entry(f"{row['n_global']} / {row['n_local']}", kind="number"),
                Entry(str(row["verdict"]) or DASH, small=[part for part in (str(row["note"]), str(row["method"])) if part]),
            ]
        )
    return Grid(TITLES[section], heads("measure", "value", "p", "n global / local", " what follows"), rows)


def p_value(value: float) -> str:
    """Write a p-value.

    Example:
        >>> p_value(0.0004), p_value(0.0312), p_value(float("nan"))
        ('< 0.001', '0.031', '–')
    """
    return f"< {SMALLEST_P}" if value < SMALLEST_P else number(value)
