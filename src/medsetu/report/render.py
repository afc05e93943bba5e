# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file: no script, no address that a browser would load, the same bytes for the same content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from medsetu import __version__
from medsetu.core.run import atomic_write
from medsetu.core.sample import DOMAINS
from medsetu.report.caution import cautions
from medsetu.report.checklist import checklist_grids, fill
from medsetu.report.content import Report
from medsetu.report.curve import REPLICATES, curve_sides, learning_panels, reliability_panel, roc_panel
from medsetu.report.film import alternative, picture
from medsetu.report.flow import flow_panels
from medsetu.report.forest import forest, ladder_bars
from medsetu.report.grid import Grid, contrast_grid, finding_grid, group_grid, ladder_grid, matrix_grid, metric_grid
from medsetu.report.material import (
    card_view,
    deviation_grid,
    duplicate_grid,
    flows,
    pairs_grid,
    published_grid,
    quarantine_grid,
    split_grid,
    weight_grid,
)
from medsetu.report.number import number, times, words
from medsetu.shift.pairing import Side, paired_sides
from medsetu.shift.shortcut import ladder_verdicts

MOST_FILMS = 24


@dataclass(frozen=True)
class Drawing:
    """A figure with the words below it.

    Attributes:
        caption: What it shows.
        image: Inline SVG.
    """

    caption: str
    image: Markup


@dataclass(frozen=True)
class Shot:
    """A film on the page.

    Attributes:
        address: ``data:`` address of the picture.
        alternative: The picture in words.
        finding: The finding, in words.
        label: ``present`` or ``absent``.
        score: The score, written.
        why: Why it is shown.
    """

    address: str
    alternative: str
    finding: str
    label: str
    score: str
    why: str


def render(report: Report, path: Path) -> Path:
    """Write a report as one HTML file that needs nothing else, atomically.

    Args:
        report: What to tell.
        path: Target, ending in .html.

    Returns:
        The path.

    Raises:
        DataError: The predictions cannot be paired over arms, or an example is no picture.
        ResourceError: The file cannot be written.
    """
    return atomic_write(path, to_html(report).encode())


def to_html(report: Report) -> str:
    """Render a report as the text of one HTML file.

    Args:
        report: What to tell.

    Returns:
        The page; everything that came from outside is escaped.
    """
    environment = Environment(loader=page_loader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html.j2").render(_context(report))


def page_loader() -> FunctionLoader:
    """Load templates and styles that lie in this package."""
    return FunctionLoader(_resource)


def _resource(name: str) -> str:
    return files("medsetu.report").joinpath(name).read_text(encoding="utf-8")


def _context(report: Report) -> Mapping[str, Any]:
    sides = _sides(report)
    at_prevalence = report.results["metric"].astype(str).str.contains("_prevalence_")
    return {
        "report": report,
        "version": __version__,
        "style": Markup(_resource("report.css")),  # noqa: S704 - our own file
        "finding": words(report.primary),
        "percent": f"{report.level * 100:g}\u00a0%",
        "replicates": REPLICATES,
        "openings": times(report.openings),
        "matrices": [_study(report, place) for place in range(len(report.matrices))],
        "ladders": _ladders(report.ladder),
        "rocs": [
            Drawing(f"{side.name}: {side.title}", roc_panel(side, level=report.level, name=f"roc-{n}")) for n, side in enumerate(sides)
        ],
        "reliabilities": _reliabilities(sides, report),
        "learning": [Drawing(*one) for one in learning_panels(report.histories, finding=report.primary)],
        "metrics": metric_grid(report.results[~at_prevalence], finding=report.primary),
        "prevalences": metric_grid(report.results[at_prevalence], finding=report.primary),
        "findings": finding_grid(report.results),
        "groups": _groups(report),
        "shots": [
            Shot(picture(one), alternative(one), words(one.finding), "present" if one.label == 1 else "absent", number(one.score), one.why)
            for one in report.films[:MOST_FILMS]
        ],
        "more_films": max(0, len(report.films) - MOST_FILMS),
        "cautions": cautions(report),
        **_material(report),
    }


def _material(report: Report) -> Mapping[str, Any]:
    """What the study was made of."""
    return {
        "cards": [card_view(card) for card in report.cards],
        "weights": weight_grid(report.weights),
        "deviations": deviation_grid(report.deviations),
        "published": published_grid(report.published),
        "flows": flows(report.flow),
        "flow_panels": [Drawing(*one) for one in flow_panels(report.flow, report.split_table)],
        "checklists": checklist_grids(fill(report)),
        "splits": split_grid(report.split_table),
        "quarantine": quarantine_grid(report.quarantine),
        "duplicates": duplicate_grid(report.duplicates),
        "labels": pairs_grid(
            "Local labels spent on training, validation and calibration", report.labels_used, names=("arm", "labels of one network")
        ),
        "compute": pairs_grid("Compute", report.compute, names=("what", "value")),
    }


def _study(report: Report, place: int) -> Mapping[str, Any]:
    matrix = report.matrices[place]
    return {
        "population": matrix.population,
        "grid": matrix_grid(matrix),
        "contrasts": contrast_grid(matrix),
        "forest": forest(matrix.contrasts, margin=report.margin, name=f"forest-{place}"),
        "notes": matrix.notes,
    }


def _sides(report: Report) -> Sequence[Side]:
    tested = report.predictions[report.predictions["split"] == "test"]
    if tested.empty or report.primary not in set(tested["finding"]):
        return []
    return list(curve_sides(paired_sides(report.predictions, finding=report.primary)))


def _reliabilities(sides: Sequence[Side], report: Report) -> list[Drawing]:
    pairs = [(side, arm) for side in sides for arm in side.arms]
    return [
        Drawing(f"{arm}, {side.name} side", reliability_panel(side, arm, level=report.level, name=f"reliability-{place}"))
        for place, (side, arm) in enumerate(pairs)
    ]


def _groups(report: Report) -> list[Grid]:
    present = set(report.results["domain"])
    grids = [group_grid(report.results, finding=report.primary, domain=domain) for domain in DOMAINS if domain in present]
    return [grid for grid in grids if grid.rows]


def _ladders(ladder: pd.DataFrame) -> list[Mapping[str, Any]]:
    if ladder.empty:
        return []
    verdicts = {verdict.side: verdict for verdict in ladder_verdicts(ladder)}
    return [
        {"verdict": verdicts[str(side)], "grid": ladder_grid(own), "bars": ladder_bars(own, name=f"ladder-{place}")}
        for place, (side, own) in enumerate(ladder.groupby("side", sort=False))
    ]
