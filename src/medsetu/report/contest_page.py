# SPDX-License-Identifier: Apache-2.0
"""A tournament as files: page, JSON, CSV, LaTeX and forest plots."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from medsetu import __version__
from medsetu.contest.sentence import sentences
from medsetu.contest.tournament import Tournament
from medsetu.core.run import atomic_write, write_json
from medsetu.core.table import write_table
from medsetu.report.contest_figure import critical_panel, difference_forest, standings_forest
from medsetu.report.contest_table import claimed, cost_sheet, metric_sheet, pair_sheet, sheet_grid, standings_sheet
from medsetu.report.latex import latex_table
from medsetu.report.number import words
from medsetu.report.render import Drawing, page_loader

PAGE, DATA = "compare.html", "compare.json"
_METRICS = ("sensitivity", "specificity", "brier", "log_loss", "auprc")


def write_contest(found: Tournament, folder: Path, *, title: str, settings: Mapping[str, Any]) -> Path:
    """Write everything that a tournament has shown, each file atomically.

    ``compare.html`` (self-contained), ``compare.json``, ``standings``, ``metrics`` and ``pairs`` as CSV, ``standings``, ``metrics``,
    ``costs`` and ``pairs_auroc`` as LaTeX, ``forest.svg`` and ``differences.svg``; ``critical.svg`` where there are enough releases.

    Args:
        found: The tournament.
        folder: Target folder.
        title: What was compared.
        settings: What was fixed before, name -> value.

    Returns:
        Path of the page.

    Raises:
        ResourceError: A file cannot be written.
    """
    for name, table in contest_csv(found).items():
        write_table(table, folder / name)
    for name, text in contest_texts(found, title=title, settings=settings).items():
        atomic_write(folder / name, text.encode())
    for name, drawn in _figures(found).items():
        if drawn:
            atomic_write(folder / f"{name}.svg", _alone(drawn).encode())
    write_json(folder / DATA, to_json(found, title=title, settings=settings))
    return folder / PAGE


def contest_csv(found: Tournament) -> dict[str, pd.DataFrame]:
    """Name the tables that are written as CSV, all digits."""
    return {f"{name}.csv": getattr(found, name) for name in ("standings", "metrics", "pairs")}


def contest_texts(found: Tournament, *, title: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Write what is read rather than computed with: the page and the tables in LaTeX, by the name of their file."""
    sheets = (standings_sheet(found), metric_sheet(found), cost_sheet(found), pair_sheet(found))
    return {**{f"{sheet.name}.tex": latex_table(sheet) for sheet in sheets}, PAGE: to_page(found, title=title, settings=settings)}


def to_json(found: Tournament, *, title: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write a tournament as JSON-like data: the same sentences and numbers, without the pictures."""
    chi2, freedom, p = found.joint
    return {
        "medsetu": __version__,
        "title": title,
        "tested_on": found.title,
        "unit": found.unit,
        "leader": found.leader,
        "winner": found.winner,
        "sentences": sentences(found),
        "notes": list(found.notes),
        "plan": asdict(found.plan),
        "settings": dict(settings),
        "standings": found.standings.to_dict("records"),
        "metrics": found.metrics.to_dict("records"),
        "pairs": found.pairs.to_dict("records"),
        "optimism": asdict(found.optimism),
        "critical_difference": asdict(found.critical),
        "joint_delong": {"chi2": chi2, "degrees": freedom, "p": p},
        "n_per_class_holm": found.n_family,
    }


def to_page(found: Tournament, *, title: str, settings: Mapping[str, Any]) -> str:
    """Render a tournament as the text of one HTML file; everything that came from outside is escaped."""
    environment = Environment(loader=page_loader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    figures = _figures(found)
    captions = {
        "forest": "AUROC of every contestant; those in ink are not told apart from the leader",
        "differences": f"Differences from {found.plan.reference or found.leader}",
        "critical": "Average ranks over releases",
    }
    plan = {name: "–" if value in (None, "") else str(value) for name, value in asdict(found.plan).items()}
    return environment.get_template("contest.html.j2").render(
        title=title,
        finding=words(found.plan.finding),
        tested=found.title,
        side=found.plan.side,
        unit=found.unit,
        claim=claimed(found),
        version=__version__,
        style=Markup(page_loader().get_source(environment, "report.css")[0]),  # noqa: S704 - our own file
        sentences=sentences(found),
        notes=[*found.notes, *([f"no critical-difference diagram: {found.critical.refused}"] if found.critical.refused else [])],
        drawings=[Drawing(captions[name], drawn) for name, drawn in figures.items() if drawn],
        grids=[sheet_grid(sheet) for sheet in (standings_sheet(found), cost_sheet(found), metric_sheet(found))],
        pairs=[sheet_grid(pair_sheet(found, metric)) for metric in ("auroc", *_METRICS) if (found.pairs["metric"] == metric).any()],
        settings={**plan, **{name: str(value) for name, value in settings.items()}},
    )


def _figures(found: Tournament) -> dict[str, Markup]:
    return {
        "forest": standings_forest(found, name="forest"),
        "differences": difference_forest(found, name="differences"),
        "critical": critical_panel(found.critical, name="critical"),
    }


def _alone(drawn: Markup) -> str:
    """An inline figure as a file of its own."""
    head = '<svg xmlns="http:' + '//www.w3.org/2000/svg" font-family="sans-serif"'
    return '<?xml version="1.0" encoding="utf-8"?>\n' + str(drawn).replace("<svg", head, 1) + "\n"
