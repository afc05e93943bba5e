# SPDX-License-Identifier: Apache-2.0
"""Results as tables of a page: what stands in each field, and why a field holds only a dash."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medsetu.core.arm import GLOBAL_ONLY, arm_order, base_arm
from medsetu.core.sample import DOMAINS, GLOBAL
from medsetu.evaluation.evaluate import ALL, MACRO
from medsetu.evaluation.score import BY_IMAGE
from medsetu.report.number import DASH, claim, count, interval, metric_family, metric_name, number, power, remarks, words
from medsetu.shift.matrix import TransferMatrix

_SAID_ONCE = ("threshold from", "chosen on", "a perfectly calibrated model", BY_IMAGE)  # in a heading, or in a row of its own
_FAMILIES = ("Discrimination", "Calibration", "Refitted", "Transported", "Read off", "Net benefit")


@dataclass(frozen=True)
class Entry:
    """One field of a table.

    Attributes:
        text: What it says.
        small: What stands below in small letters: interval, counts, reason.
        kind: ``number``, ``text``, ``head`` (of a row), ``strong``, ``span`` (a heading across the table).
        shade: Share of colour behind a cell of the matrix, in [0, 1]; NaN for none.
    """

    text: str
    small: Sequence[str] = ()
    kind: str = "text"
    shade: float = math.nan


@dataclass(frozen=True)
class Grid:
    """A table of a page.

    Attributes:
        caption: What it shows.
        columns: Headings.
        rows: Fields, row by row; a row that is a single ``span`` goes across.
    """

    caption: str
    columns: Sequence[Entry]
    rows: Sequence[Sequence[Entry]]


def heads(*names: str) -> list[Entry]:
    """Write headings; the first column is text, the others numbers unless the name starts with a blank.

    Example:
        >>> [entry.kind for entry in heads("arm", "n", " note")]
        ['text', 'number', 'text']
    """
    return [Entry(name.strip(), kind="text" if place == 0 or name.startswith(" ") else "number") for place, name in enumerate(names)]


def estimate(row: Mapping[Any, Any] | None, *, sign: bool = False, counts: bool = False) -> Entry:
    """Write a value with its interval below it; NaN is a dash with its reason.

    Args:
        row: Mapping with value, low, high, note (and n_samples, n_positive); None where there is no such row.
        sign: Write a plus before positive values.
        counts: Also write films and positives.

    Returns:
        The field.
    """
    if row is None:
        return Entry(DASH, ["not tested here"], kind="number")
    value = number(row["value"], sign=sign)
    reason = _because(row) if value == DASH or math.isnan(row["low"]) else ""
    films = f"{count(row['n_samples'])} films, {count(row['n_positive'])} positive" if counts else ""
    small = [part for part in (interval(row["low"], row["high"], sign=sign), films, reason) if part]
    return Entry(value, small, kind="number")


def _because(row: Mapping[Any, Any]) -> str:
    parts = [part for part in remarks(row["note"]).split("; ") if not part.startswith(_SAID_ONCE)]
    return "; ".join(parts) or ("not estimable" if math.isnan(row["value"]) else "")


def matrix_grid(matrix: TransferMatrix) -> Grid:
    """Write the transfer matrix: arms down, test sides across."""
    cells = matrix.cells
    sides = list(dict.fromkeys(cells["side"]))
    title = cells.drop_duplicates("side").set_index("side")["title"]
    unit = cells.drop_duplicates("side").set_index("side")["unit"]
    rows = []
    for arm, own in cells.groupby("arm", sort=False):
        by_side = own.set_index("side").to_dict("index")
        spent = own["labels_used"].iloc[0]
        head = Entry(str(arm), [f"{count(spent)} local labels spent"] if not math.isnan(spent) else [], kind="head")
        rows.append([head, *(_cell(by_side.get(side)) for side in sides)])
    columns = [Entry("trained as"), *(Entry(f"tested on {side}", [title[side], unit[side]], kind="number") for side in sides)]
    return Grid(f"AUROC of {words(matrix.finding)}, {matrix.population}{_claimed(cells['note'])}", columns, rows)


def _cell(row: Mapping[Any, Any] | None) -> Entry:
    if row is None or math.isnan(row["value"]):
        return Entry(DASH, [remarks(row["note"])] if row else [], kind="number")
    seeds = f"{row['seeds']} seed{'s' if row['seeds'] != 1 else ''}"
    counted = f"{count(row['n_patients'])} patients, " if row["unit"].startswith("by patient") else ""
    counts = f"{counted}{count(row['n_samples'])} films, {count(row['n_positive'])} positive, {seeds}"
    within = [] if math.isnan(row["within_fold"]) else [f"within folds {number(row['within_fold'])}"]
    ends = interval(row["low"], row["high"]) or "no interval"
    extra = remarks(row["note"])
    return Entry(
        number(row["value"]),
        [ends, counts, *within, *([extra] if extra else [])],
        kind="cell",
        shade=min(1.0, max(0.0, 2 * row["value"] - 1)),
    )


def contrast_grid(matrix: TransferMatrix) -> Grid:
    """Write the contrasts: value, interval, power, what follows."""
    rows = []
    for row in matrix.contrasts.to_dict("records"):
        head = Entry(row["name"] + (" (headline)" if row["headline"] else ""), [row["formula"].replace(" - ", " − ")], kind="head")
        verdict = Entry(row["verdict"], [part for part in (remarks(row["note"]), row["unit"]) if part])
        pair = Entry("paired" if row["paired"] else "unpaired")
        rows.append([head, estimate({**row, "note": ""}, sign=True), Entry(power(row), kind="number"), pair, verdict])
    columns = heads("contrast", "difference of AUROC", "power", " films", " what follows")
    claims = "claim: " + matrix.contrasts["claim"].where(matrix.contrasts["claim"] != "")
    return Grid(f"Contrasts, {matrix.population}{_claimed(claims)}", columns, rows)


def _claimed(notes: "pd.Series[str]") -> str:
    """Claim level of a whole table, said once in its caption."""
    said = [found for found in dict.fromkeys(claim(note) for note in notes.dropna()) if found]
    return f". Claim: {'; '.join(said)}" if said else ""


def ladder_grid(ladder: pd.DataFrame) -> Grid:
    """Write the rungs of one side, with the skill of each arm above them."""
    arms = list(dict.fromkeys(ladder["arm"]))
    rows = []
    for rung, own in ladder.groupby("rung", sort=False):
        by_arm = own.set_index("arm").to_dict("index")
        first = own.iloc[0].to_dict()
        above = [_above(by_arm[arm]) for arm in arms]
        head = Entry(f"{rung}{' (best rung)' if first['best'] else ''}", kind="head")
        rows.append([head, estimate(first), *above])
    unit, films = ladder["unit"].iloc[0], int(ladder["n_samples"].max())
    columns = [*heads("rung", "AUROC alone"), *(Entry(f"{arm} above it", kind="number") for arm in arms)]
    return Grid(f"{ladder['side'].iloc[0]} side, {ladder['title'].iloc[0]}: {count(films)} films {unit}", columns, rows)


def _above(row: Mapping[Any, Any]) -> Entry:
    ends = interval(row["skill_low"], row["skill_high"], sign=True)
    return Entry(number(row["skill_above"], sign=True), [ends] if ends else [], kind="number")


def metric_grid(results: pd.DataFrame, *, finding: str) -> Grid:
    """Write every metric of one finding: metrics down, arm and side across, the kinds of threshold kept apart."""
    own = results[(results["finding"] == finding) & (results["group"] == ALL)]
    cells = _addresses(own)
    lookup = {(row["arm"], row["domain"], row["metric"]): row for row in own.to_dict("records")}
    families: dict[str, list[str]] = {}
    for metric in dict.fromkeys(own["metric"]):
        families.setdefault(metric_family(metric), []).append(metric)
    rows: list[list[Entry]] = []
    for family in sorted(families, key=lambda name: next(place for place, start in enumerate(_FAMILIES) if name.startswith(start))):
        rows.append([Entry(family, kind="span")])
        for metric in families[family]:
            found = [(lookup.get((arm, domain, metric)), arm, domain) for arm, domain in cells]
            fields = [
                _metric_entry(row) if row else Entry(DASH, [_absent(metric, arm, domain)], kind="number") for row, arm, domain in found
            ]
            rows.append([Entry(metric_name(metric), kind="head"), *fields])
    return Grid(f"{words(finding)}, test, all samples{_claimed(own['note'])}", _across("metric", cells, own), rows)


def _absent(metric: str, arm: str, domain: str) -> str:
    if "_at_refitted_" in metric and base_arm(arm) == GLOBAL_ONLY:
        return "spends no local label"
    if "_at_refitted_" in metric and domain == GLOBAL:
        return "a local threshold"
    return "no scores on that validation"


def _metric_entry(row: Mapping[Any, Any]) -> Entry:
    """A threshold says so when too few validation positives stand behind it."""
    entry = estimate(row)
    if not str(row["metric"]).startswith("threshold"):
        return entry
    note = next((part for part in str(row["note"]).split("; ") if "not established" in part), "")
    return Entry(entry.text, [*entry.small, *([note] if note and note not in entry.small else [])], kind="number")


def finding_grid(results: pd.DataFrame) -> Grid:
    """Write the AUROC of every finding: findings down, arm and side across."""
    return _auroc_grid(results[results["group"] == ALL], key="finding", caption="AUROC of every finding")


def group_grid(results: pd.DataFrame, *, finding: str, domain: str) -> Grid:
    """Write the AUROC of every group of one side: groups down, arms across; suppressed groups say so."""
    own = results[(results["finding"] == finding) & (results["domain"] == domain) & (results["group"] != ALL)]
    return _auroc_grid(own, key="group", caption=f"AUROC of {words(finding)} by group, {domain} side")


def _auroc_grid(own: pd.DataFrame, *, key: str, caption: str) -> Grid:
    own = own[own["metric"] == "auroc"]
    cells = _addresses(own)
    lookup = {(row[key], row["arm"], row["domain"]): row for row in own.to_dict("records")}
    rows = []
    for name in dict.fromkeys(own[key]):
        told = "macro mean" if name == MACRO else words(str(name).removesuffix("_years").replace("_years=", "=")).replace("=", ": ")
        fields = [estimate(lookup.get((name, arm, domain)), counts=True) for arm, domain in cells]
        rows.append([Entry(told, kind="head"), *fields])
    return Grid(f"{caption}{_claimed(own['note'])}", _across(key, cells, own), rows)


def _addresses(own: pd.DataFrame) -> list[tuple[str, str]]:
    """Arm and side of the columns: sides in their order, on each side the arms in theirs."""
    found = dict.fromkeys(zip(own["arm"], own["domain"], strict=True))
    order = {name: place for place, name in enumerate(DOMAINS)}
    return sorted(found, key=lambda cell: (order.get(cell[1], len(order)), arm_order(cell[0]), cell))


def _across(first: str, cells: Sequence[tuple[str, str]], own: pd.DataFrame) -> list[Entry]:
    by_image = set(own.loc[own["note"].str.contains(BY_IMAGE, regex=False, na=False), "domain"])
    columns = [Entry(arm, [f"tested on {domain}", *(["by image"] if domain in by_image else [])], kind="number") for arm, domain in cells]
    return [Entry(first), *columns]
