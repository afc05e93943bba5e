# SPDX-License-Identifier: Apache-2.0
"""The same results for a terminal of 80 columns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from medsetu.evaluation.evaluate import ALL
from medsetu.report.number import DASH, claim, count, number, power, remarks, words
from medsetu.shift.matrix import TransferMatrix
from medsetu.shift.shortcut import arm_shown, ladder_verdicts

WIDTH = 80


def matrix_table(matrix: TransferMatrix) -> Group:
    """Write the transfer matrix: arms down, test sides across, each cell with interval, films and seeds.

    Args:
        matrix: The matrix.

    Returns:
        Something rich can print; reasons of empty cells and the notes stand below.
    """
    cells = matrix.cells
    sides = cells.drop_duplicates("side")
    table = _table(f"AUROC of {words(matrix.finding)}, {matrix.population}")
    table.add_column("trained as", style="bold", no_wrap=True)
    for side in sides.to_dict("records"):
        table.add_column(_two(f"tested on {side['side']}", str(side["title"])), justify="left", overflow="fold")
    reasons = []
    for arm, own in cells.groupby("arm", sort=False):
        by_side = own.set_index("side").to_dict("index")
        table.add_row(_plain(str(arm)), *(_cell(by_side[side]) for side in sides["side"]))
        reasons += [remarks(row["note"]) for row in by_side.values() if math.isnan(row["value"])]
    units = [f"{side['side']}: {side['unit']}" for side in sides.to_dict("records") if side["unit"]]
    claims = [f"claim: {said}" for said in dict.fromkeys(claim(note) for note in cells["note"]) if said]
    return Group(table, *_lines([*reasons, "; ".join(units), *claims, *matrix.notes]))


def contrast_table(matrix: TransferMatrix) -> Group:
    """Write the contrasts: difference, interval, power, what follows.

    Args:
        matrix: The matrix.

    Returns:
        Something rich can print.
    """
    table = _table(f"Contrasts, {matrix.population} (* headline)")
    for name in ("contrast", "difference", "power", "what follows"):
        table.add_column(name, no_wrap=name == "power", overflow="fold")
    for row in matrix.contrasts.to_dict("records"):
        head = _two(row["name"] + (" *" if row["headline"] else ""), row["formula"])
        told = Text(row["verdict"])
        reason = remarks(row["note"])
        if reason and (math.isnan(row["value"]) or math.isnan(row["low"])):
            told = _two(row["verdict"], reason.removeprefix(f"{row['verdict']}: "))
        table.add_row(head, _estimate(row, sign=True, between="\n"), _plain(power(row)), told)
    legend = "power: to show non-inferiority at the margin if equal / to find a difference as large as the margin"
    return Group(table, *_lines([legend]))


def ladder_table(ladders: pd.DataFrame | Sequence[pd.DataFrame]) -> Group:
    """Write the shortcut ladder: what a rung reaches alone, and how far the arm of the verdict stands above it.

    Args:
        ladders: Table of ``shortcut_ladders``, or several.

    Returns:
        Something rich can print.
    """
    parts = [ladders] if isinstance(ladders, pd.DataFrame) else list(ladders)
    parts = [part for part in parts if len(part)]
    if not parts:
        return Group(Text("No shortcut ladder was climbed."))
    ladder = pd.concat(parts, ignore_index=True)
    table = _table("Shortcut ladder (> best rung)")
    for name in ("side", "rung", "AUROC alone", "model above it"):
        table.add_column(name, overflow="fold")
    for side, own in ladder.groupby("side", sort=False):
        arm = arm_shown(str(side), list(own["arm"]))
        for place, row in enumerate(own[own["arm"] == arm].to_dict("records")):
            above = {"value": row["skill_above"], "low": row["skill_low"], "high": row["skill_high"], "note": ""}
            head = f"{side}\n({arm})" if place == 0 else ""
            table.add_row(
                _plain(head), _plain(("> " if row["best"] else "") + row["rung"]), _estimate(row), _estimate(above, sign=True, between="\n")
            )
        table.add_section()
    return Group(table, *_lines([verdict.sentence for verdict in ladder_verdicts(ladder)]))


def results_table(results: pd.DataFrame, *, metrics: Sequence[str] = ("auroc", "auprc", "brier")) -> Group:
    """Write the results of the whole test, for runs without a matrix.

    Args:
        results: Long table with ``RESULT_COLUMNS``.
        metrics: Metrics to show.

    Returns:
        Something rich can print.
    """
    rows = results[(results["group"] == ALL) & results["metric"].isin(list(metrics))]
    table = _table("Results on the test")
    for name in ("arm, tested on", "metric", "value", "films (positive)"):
        table.add_column(name, overflow="fold", justify="right" if name.startswith("films") else "left")
    for finding, own in rows.groupby("finding", sort=False):
        table.add_row(Text(words(str(finding)), style="bold"), "", "", "")
        for row in own.to_dict("records"):
            films = f"{count(row['n_samples'])} ({count(row['n_positive'])})"
            table.add_row(_plain(f"{row['arm']}, {row['domain']}"), _plain(words(str(row["metric"]))), _estimate(row), _plain(films))
        table.add_section()
    return Group(table)


def published_table(published: pd.DataFrame) -> Group:
    """Write the numbers of papers beside ours.

    Args:
        published: Table with ``PUBLISHED_COLUMNS``.

    Returns:
        Something rich can print.
    """
    table = _table("Published numbers beside ours (protocols differ: nothing is tested)")
    for name in ("arm, tested on", "metric", "published", "ours"):
        table.add_column(name, overflow="fold")
    for row in published.to_dict("records"):
        theirs = {"value": row["published"], "low": row["published_low"], "high": row["published_high"], "note": ""}
        table.add_row(_plain(f"{row['arm']}, {row['side']}"), _plain(words(str(row["metric"]))), _estimate(theirs), _estimate(row))
    return Group(table, *_lines([f"{source}" for source in published["source"]]))


def sentences(lines: Sequence[str]) -> Group:
    """Write plain words, one paragraph per sentence."""
    return Group(*_lines(lines, mark="- "))


def _table(title: str) -> Table:
    return Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, width=WIDTH, padding=(0, 1), pad_edge=False)


def _cell(row: Mapping[Any, Any]) -> Text:
    if math.isnan(row["value"]):
        return _plain(DASH)
    films = f"{count(row['n_samples'])} films, {row['seeds']} seed{'s' if row['seeds'] != 1 else ''}"
    patients = f"{count(row['n_patients'])} patients, " if row["unit"].startswith("by patient") else ""
    return Text.assemble(_estimate(row), "\n", (patients + films, "dim"))


def _estimate(row: Mapping[Any, Any], *, sign: bool = False, between: str = " ") -> Text:
    value = number(row["value"], sign=sign)
    if value == DASH:
        return _plain(DASH if not row["note"] else f"{DASH} {remarks(row['note'])}")
    low, high = (number(row[end], sign=sign) for end in ("low", "high"))
    return Text.assemble((value, "bold"), between, "[no interval]" if DASH in (low, high) else f"[{low}, {high}]")


def _two(first: str, second: str) -> Text:
    return Text.assemble(first, "\n", (second, "dim")) if second else Text(first)


def _plain(text: str) -> Text:
    """Text as it stands: square brackets in a name are no markup."""
    return Text(text)


def _lines(lines: Sequence[str], *, mark: str = "") -> list[Text]:
    told = [line for line in dict.fromkeys(lines) if line]
    return [Text(f"{mark}{line}", style="" if mark else "dim") for line in told]
