# SPDX-License-Identifier: Apache-2.0
"""Five sentences of a shift passport, for a clinician: how much, what differs, why, what the model may cheat with, what helps."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from medsetu.shift.row import CANNOT_TELL, NOT_IDENTIFIED, REFUSED
from medsetu.shift.waterfall import Waterfall

MOST_NAMED = 4  # facts a sentence names
MOST_PLANNED = 2  # needs a sentence names
_FIRST = ("local patients for sensitivity", "positives to prove", "negatives to prove", "positives, and as many")  # what the profile asks


def five_sentences(table: pd.DataFrame, *, waterfalls: Sequence[Waterfall], shortcut: str, repairs: pd.DataFrame, arm: str) -> list[str]:
    """Say in five sentences what a shift table holds.

    Args:
        table: Table with ``SHIFT_COLUMNS``.
        waterfalls: Waterfalls of the gap.
        shortcut: Sentence of ``verdict_sentence`` for the global side.
        repairs: Table of repairs, with ``REPAIR_COLUMNS``; empty when none was measured.
        arm: The arm whose scores were studied.

    Returns:
        Five sentences, each with its numbers, or with the reason why there is none.
    """
    return [
        _how_much(table, arm=arm),
        _what_differs(table[table["section"] == "detect"]),
        _why(table[table["section"] == "explain"], waterfalls),
        shortcut,
        _what_helps(repairs, table[table["section"] == "plan"]),
    ]


def _how_much(table: pd.DataFrame, *, arm: str) -> str:
    gap = table[table["section"] == "gap"]
    sides = [_find(gap, measure="auroc", subject=side) for side in ("global", "local")]
    lost = _find(gap, measure="gap: auroc", subject="all films")
    if lost is None or math.isnan(lost["value"]):
        reasons = [str(row["verdict"]) for row in (lost, *sides) if row is not None and row["verdict"] not in ("", "measured")]
        return f"How much {arm} loses cannot be said: {'; '.join(dict.fromkeys(reasons)) or 'the gap was not measured'}.{_one_class(gap)}"
    there, here = ("unknown" if row is None else _number(row) for row in sides)
    counts = f"{lost['n_global']} global and {lost['n_local']} local patients or films"
    fall = f"{there} on the global side, {here} on the local side; gap {_number(lost, sign=True)}"
    return f"AUROC of {arm}: {fall} ({counts}): {lost['verdict']}."


def _one_class(gap: pd.DataFrame) -> str:
    """What a side with a single class still tells: sensitivity or specificity, at the threshold in use."""
    local = gap[gap["subject"].eq("local") & gap["measure"].str.match("sensitivity|specificity") & gap["value"].notna()]
    if local.empty:
        return ""
    row = {str(key): value for key, value in local.iloc[0].items()}
    return f" On the local side, {str(row['measure']).replace('_', ' ')}: {_number(row)}."


def _what_differs(rows: pd.DataFrame) -> str:
    tested = rows[rows["p_adjusted"].notna()]
    if tested.empty:
        reason = next(iter(rows["verdict"]), "nothing was tested")
        return f"Whether the sides differ cannot be said: {reason}."
    found = tested[tested["verdict"].str.startswith("shift found")]
    silent = f"{len(tested)} tests, adjusted p (Holm)"
    if found.empty:
        return f"No difference between the sides was found ({silent}); that is not proof that there is none."
    names = list(dict.fromkeys(found.sort_values("p_adjusted", kind="stable")["subject"].str.replace("_", " ")))
    named = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    return f"The sides differ in {named} ({len(found)} of {silent} up to {found['p_adjusted'].max():.3f})."


def _why(rows: pd.DataFrame, waterfalls: Sequence[Waterfall]) -> str:
    named = _find(rows, measure="shift named")
    name = NOT_IDENTIFIED if named is None else str(named["verdict"])
    parts = list(_parts(waterfalls))
    return f"Named cause of the shift: {name}. {' '.join(parts) if parts else 'The gap was not decomposed.'}"


def _parts(waterfalls: Sequence[Waterfall]) -> Iterator[str]:
    for waterfall in waterfalls:
        known = [part for part in waterfall.parts if not math.isnan(part.value)]
        if known:
            largest = max(known, key=lambda part: abs(part.value))
            between = f" [{largest.low:+.3f}, {largest.high:+.3f}]" if not math.isnan(largest.low) else ""
            yield f"Loss in {waterfall.scale} {waterfall.total.value:+.3f}, the largest part {largest.name} {largest.value:+.3f}{between}."
            return
        refused = next((part for part in waterfall.parts if part.verdict.startswith(REFUSED)), None)
        if refused is not None:
            more = [note for note in waterfall.notes if note not in refused.verdict]
            yield f"The gap in {waterfall.scale} is not decomposed ({': '.join([refused.verdict, *(['; '.join(more)] if more else [])])})."


def _what_helps(repairs: pd.DataFrame, plan: pd.DataFrame) -> str:
    needed = list(_needs(plan))
    planned = f" Planning: {'; '.join(needed[:MOST_PLANNED])}." if needed else ""
    helped = repairs[repairs["value"].notna() & (repairs["rank"] == 1)] if len(repairs) else repairs
    if helped.empty:
        measured = len(repairs) and repairs["value"].notna().any()
        return f"No repair could be {'chosen: there are no local validation films' if measured else 'measured'}.{planned}"
    best = helped.iloc[0]
    spent = f"{best['local_images']:.0f} local images, {best['local_labels']:.0f} local labels"
    first = f"the first repair for {_metric(best['metric'])} is {best['repair']}: gain {_number(dict(best), sign=True)} ({spent})"
    return f"Chosen on validation, {first}.{planned}"


def _metric(name: str) -> str:
    return str(name).replace("_", " ").replace("auroc", "AUROC")


def _needs(plan: pd.DataFrame) -> Iterator[str]:
    """What it takes: the needs of the profile first, then the precision of the gap; an answer before a refusal."""
    for answered in (True, False):
        for start in _FIRST:
            for row in plan[plan["measure"].str.startswith(start) & (plan["value"].notna() == answered)].to_dict("records"):
                yield f"{row['value']:.0f} {row['measure']} ({row['verdict']})" if answered else f"{row['measure']}: {row['verdict']}"


def _find(rows: pd.DataFrame, *, measure: str, subject: str | None = None) -> Mapping[str, Any] | None:
    chosen = rows[(rows["measure"] == measure) & ((rows["subject"] == subject) if subject is not None else True)]
    return None if chosen.empty else {str(key): value for key, value in chosen.iloc[0].items()}


def _number(row: Mapping[str, Any], *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if math.isnan(value):
        return str(row.get("verdict") or CANNOT_TELL)
    return f"{value:{form}} [{low:{form}}, {high:{form}}]" if not math.isnan(low) else f"{value:{form}} (no interval)"
