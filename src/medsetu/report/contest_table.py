# SPDX-License-Identifier: Apache-2.0
"""A tournament as tables: rows of words shared by terminal (100 columns), page and LaTeX, so that all three say the same."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from medsetu.contest.family import DECLARED
from medsetu.contest.tournament import Tournament
from medsetu.report.grid import Entry, Grid, heads
from medsetu.report.number import DASH, count, number, words
from medsetu.report.passport import p_value

WIDTH = 100
_DIFFERENCE = 3  # place of the difference among the standings; a terminal shows it in a table of its own
_SHOWN = ("sensitivity", "specificity", "brier", "auprc", "calibration_intercept", "calibration_slope", "observed_expected")
HEADS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score",
    "auprc": "average precision",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
    "observed_expected": "observed / expected",
}


@dataclass(frozen=True)
class Sheet:
    """A table of words.

    Attributes:
        name: Short name, for files and figures.
        caption: What it shows, with the claim level.
        columns: Headings.
        rows: Fields, row by row.
        left: Columns that are text, by place.
    """

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Sequence[int] = (0,)


def standings_sheet(found: Tournament) -> Sheet:
    """Rank, AUROC, what it is compared with, and the operating point of each contestant, best first."""
    against = found.plan.reference or found.leader
    values = {(row["contestant"], row["metric"]): row for row in found.metrics.to_dict("records")}
    rows = [
        [
            str(row["contestant"]),
            str(row["rank"]).replace("-", "–"),
            between(row["auroc"], row["auroc_low"], row["auroc_high"]),
            _difference(found, str(row["contestant"]), against),
            *(number(values[row["contestant"], metric]["value"], digits=2) for metric in ("sensitivity", "specificity")),
            number(values.get((row["contestant"], "brier"), {}).get("value", math.nan)),
        ]
        for row in found.standings.to_dict("records")
    ]
    columns = ["contestant", "rank", "AUROC", f"minus {against}" if against else "difference", "sens.", "spec.", "Brier"]
    return Sheet("standings", f"{words(found.plan.finding)}, {found.title}, {claimed(found)}", columns, rows)


def metric_sheet(found: Tournament) -> Sheet:
    """Every metric of each contestant with its interval."""
    values = {(row["contestant"], row["metric"]): row for row in found.metrics.to_dict("records")}
    shown = [metric for metric in _SHOWN if any(key[1] == metric for key in values)]
    rows = [
        [name, str(kind) or DASH, *(_between(values[name, metric]) for metric in shown)]
        for name, kind in zip(found.standings["contestant"], found.standings["threshold"].fillna(""), strict=True)
    ]
    columns = ["contestant", "threshold", *(HEADS[metric] for metric in shown)]
    return Sheet("metrics", f"Metrics, {found.plan.level:.0%} intervals, {claimed(found)}", columns, rows, left=(0, 1))


def cost_sheet(found: Tournament) -> Sheet:
    """What each contestant cost: labels, time, parameters, memory."""
    rows = [
        [
            str(row["contestant"]),
            count(row["labels_used"]),
            _hours(row["hours"], str(row["device"] or "")),
            _hours(row["last_hours"], str(row["device"] or "")),
            count(row["parameters_trained"]),
            count(row["parameters_total"]),
            _memory(row["peak_memory_bytes"]),
            f"{row['runs']:.0f}",
        ]
        for row in found.standings.fillna({"device": ""}).to_dict("records")
    ]
    columns = ["contestant", "local labels", "time", "last stage", "trained", "parameters", "memory", "runs"]
    return Sheet("costs", "Cost of one network: wall time, numbers that moved in the last stage, peak memory", columns, rows)


def pair_sheet(found: Tournament, metric: str = "auroc") -> Sheet:
    """All pairs of one metric: difference, p-values, power and what follows."""
    table = found.pairs[found.pairs["metric"] == metric]
    decides = metric == "auroc"
    rows = []
    for row in table.to_dict("records"):
        adjusted = row["p_bh"] if not decides else row["p_holm"] if row["family"] == DECLARED else row["p_pairs"]
        test = f"{p_value(row['test_p'])} {row['test']}".strip() if row["test_p"] == row["test_p"] else DASH
        more = [p_value(row["p_equivalent_holm"]), number(row["power"], digits=2), count(row["n_per_class"])] if decides else [test]
        head = [f"{row['first']} − {row['second']}", between(row["value"], row["low"], row["high"], sign=True)]
        rows.append([*head, p_value(row["p"]), p_value(adjusted), *more, told(row)])
    kind = "Holm" if decides else "exploratory, Benjamini-Hochberg"
    columns = ["pair", "difference", "p", "p adj."] + (["p equal", "power", "n / class"] if decides else ["test"]) + ["what follows"]
    left = (0, len(columns) - 1) if decides else (0, 4, len(columns) - 1)
    return Sheet(
        f"pairs_{metric}", f"{HEADS.get(metric, 'AUROC')}, pairs on the same films ({kind}), {claimed(found)}", columns, rows, left
    )


def against_sheet(found: Tournament) -> Sheet:
    """Everybody against the reference, or against the leader where there is none: difference, p-values, power and what follows."""
    against = found.plan.reference or found.leader
    table = found.pairs[found.pairs["metric"] == "auroc"]
    rows = []
    for name in found.standings["contestant"]:
        own = table[((table["first"] == name) & (table["second"] == against)) | ((table["first"] == against) & (table["second"] == name))]
        for row in own.to_dict("records"):
            p = p_value(row["p_holm"] if row["family"] == DECLARED else row["p_pairs"])
            more = [p, p_value(row["p_equivalent_holm"]), number(row["power"], digits=2), count(row["n_per_class"])]
            rows.append([name, _difference(found, name, against), *more, _short(row, name)])
    columns = ["contestant", "difference", "p (Holm)", "p equal", "power", "n / class", "what follows"]
    caption = f"AUROC minus that of {against}, same films; power and n for a true difference of {found.plan.smallest:g}"
    return Sheet("against", caption, columns, rows, left=(0, 6))


def _short(row: Mapping[Any, Any], name: str) -> str:
    """What follows, where both names are known already."""
    verdict = told(row)
    _, told_apart, rest = verdict.partition(" is better than ")
    if not told_apart:
        return verdict
    return ("better" if verdict.startswith(f"{name} is better") else "worse") + rest[len(rest.split(",", 1)[0]) :]


def contest_tables(found: Tournament) -> Group:
    """Write a tournament for a terminal of 100 columns.

    Args:
        found: The tournament.

    Returns:
        Something rich can print: standings, everybody against the leader or the reference, costs; all pairs stand in ``pairs.csv``.
    """
    whole = standings_sheet(found)
    kept = [place for place in range(len(whole.columns)) if place != _DIFFERENCE]
    rows = [[row[place] for place in kept] for row in whole.rows]
    standings = Sheet(whole.name, whole.caption, [whole.columns[place] for place in kept], rows)
    return Group(_terminal(standings), _terminal(against_sheet(found)), _terminal(cost_sheet(found)))


def sheet_grid(sheet: Sheet) -> Grid:
    """Lay a sheet out as a table of a page."""
    columns = heads(*(f" {name}" if place in sheet.left and place else name for place, name in enumerate(sheet.columns)))
    rows = [
        [Entry(text, kind="head" if place == 0 else "text" if place in sheet.left else "number") for place, text in enumerate(row)]
        for row in sheet.rows
    ]
    return Grid(sheet.caption, columns, rows)


def between(value: float, low: float, high: float, *, sign: bool = False) -> str:
    """Write a number with its interval.

    Example:
        >>> between(0.8, 0.7, 0.9), between(0.1, -0.1, float("nan"), sign=True), between(float("nan"), 0.0, 1.0)
        ('0.800 [0.700, 0.900]', '+0.100 [no interval]', '–')
    """
    if value != value:
        return DASH
    ends = [number(end, sign=sign) for end in (low, high)]
    return f"{number(value, sign=sign)} " + ("[no interval]" if DASH in ends else f"[{ends[0]}, {ends[1]}]")


def told(row: Mapping[Any, Any]) -> str:
    """What follows from a pair; where nothing does, the reason."""
    reason = str(row["note"] or "").split("; ")[0] if row["note"] == row["note"] else ""
    return reason if row["value"] != row["value"] and reason else str(row["verdict"])


def claimed(found: Tournament) -> str:
    """Claim level of the contestant with the fewest seeds.

    Returns:
        ``claim: this recipe on these films, 3 seeds: descriptive``, or the like.
    """
    fewest = found.standings.sort_values("seeds", kind="stable").iloc[0]
    return f"claim: {fewest['claim']}"


def _between(row: Mapping[Any, Any]) -> str:
    return between(row["value"], row["low"], row["high"])


def _difference(found: Tournament, name: str, other: str) -> str:
    rows = found.pairs[found.pairs["metric"] == "auroc"]
    for first, second, turned in ((name, other, 1), (other, name, -1)):
        own = rows[(rows["first"] == first) & (rows["second"] == second)]
        if len(own):
            row = own.iloc[0]
            ends = sorted((turned * row["low"], turned * row["high"]))
            return between(turned * row["value"], ends[0], ends[1], sign=True)
    return DASH


def _hours(hours: float, device: str) -> str:
    if math.isnan(hours):
        return DASH
    size = f"{hours:.2f} h" if hours >= 0.1 else f"{hours * 60:.1f} min" if hours * 60 >= 0.1 else f"{hours * 3600:.1f} s"
    return f"{size} {device}".strip()


def _memory(size: float) -> str:
    return DASH if math.isnan(size) else f"{size / 2**30:.2f} GiB"


def _terminal(sheet: Sheet) -> Table:
    table = Table(
        title=Text(sheet.caption, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, width=WIDTH, padding=(0, 1), pad_edge=False
    )
    for place, name in enumerate(sheet.columns):
        table.add_column(name, justify="left" if place in sheet.left else "right", overflow="fold", no_wrap=place not in sheet.left)
    for row in sheet.rows:
        table.add_row(*(Text(text) for text in row))
    return table
