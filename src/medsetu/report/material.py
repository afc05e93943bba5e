# SPDX-License-Identifier: Apache-2.0
"""What a study was made of, as tables of a page: cards, weights, participant flow, what was left out. Counts only: no sample is named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medsetu.catalog.card import Card
from medsetu.catalog.licence import WEIGHT_USES
from medsetu.evaluation.published import HOW
from medsetu.manifest.flow import ANALYSED, ELIGIBLE, EXCLUDED, QUARANTINED
from medsetu.report.grid import Entry, Grid, estimate, heads
from medsetu.report.number import DASH, count, metric_name, words

_CARD = {
    "country": "Country",
    "reference_standard": "Reference standard",
    "readers": "Readers",
    "label_source": "Labels from",
    "collection": "Collection",
    "blinding": "Blinding of the readers",
    "acquired": "Images taken",
    "setting": "Care setting",
    "patient_ids": "Patient ids",
    "splits": "Official splits",
    "access": "Access",
    "citation": "Cite",
    "homepage": "Homepage",
    "doi": "DOI",
}
_USES = {
    "research_use": "research",
    "commercial_use": "commercial use",
    "weights_release": "publishing weights",
    "tables_release": "passing on tables of single images",
}


@dataclass(frozen=True)
class CardView:
    """A data card as a reader sees it.

    Attributes:
        title: Name as published.
        name: Short name.
        size: Images and patients as published.
        licence: The licence, or that none is known.
        uses: What is permitted, in words.
        facts: Name and value of everything else; a dash where nobody knows.
        traps: What goes wrong with it.
        overlaps: Images that it shares with other releases.
        confidence: Whether the facts were checked.
    """

    title: str
    name: str
    size: str
    licence: str
    uses: str
    facts: Sequence[tuple[str, str]]
    traps: Sequence[str]
    overlaps: Sequence[str]
    confidence: str


@dataclass(frozen=True)
class Flow:
    """Participant flow of one release.

    Attributes:
        release: Short name.
        domain: Side it stands on.
        eligible: Samples at the start.
        left: Number and reason of those that left.
        analysed: Samples at the end.
    """

    release: str
    domain: str
    eligible: str
    left: Sequence[str]
    analysed: str


def card_view(card: Card) -> CardView:
    """Write a card; what is unknown is a dash."""
    uses = ", ".join(f"{name}: {getattr(card, field) or 'not known'}" for field, name in _USES.items())
    licence = f"{card.licence or 'no licence text known'}{f'. {card.licence_note}' if card.licence_note else ''}"
    checked = "checked in a cited source" if card.confidence == "verified" else "from memory, not checked"
    return CardView(
        title=card.title,
        name=card.name,
        size=", ".join(_known(number, name) for number, name in ((card.n_images, "images"), (card.n_patients, "patients")))
        + ", as published",
        licence=licence,
        uses=uses,
        facts=[(label, str(getattr(card, field) or DASH)) for field, label in _CARD.items()],
        traps=card.traps,
        overlaps=[f"{overlap.release} ({words(overlap.kind)}): {overlap.detail}" for overlap in card.overlaps],
        confidence=f"{checked}, {card.checked_on.isoformat()}"
        + (f"; second-hand: {', '.join(card.unverified)}" if card.unverified else ""),
    )


def _known(number: int | None, name: str) -> str:
    return f"number of {name} not known" if number is None else f"{count(number)} {name}"


def weight_grid(weights: Sequence[Mapping[str, Any]]) -> Grid:
    """Write where the weights of each stage come from."""
    rows = []
    for weight in weights:
        seen = weight.get("trained_on") or ()
        told = seen if isinstance(seen, str) else ", ".join(map(str, seen))
        licence = str(weight.get("licence") or "unknown: no permission beyond research")
        digest = str(weight.get("sha256") or "")
        terms = "; ".join((licence, *_terms(weight)))
        fields = [Entry(str(weight.get("origin") or DASH)), Entry(terms), Entry(told or DASH), Entry(digest or DASH, kind="code")]
        rows.append([Entry(str(weight.get("stage") or DASH), kind="head"), *fields])
    return Grid("Weights that each stage starts from", heads("stage", " origin", " licence", " trained on", " SHA-256"), rows)


def _terms(weight: Mapping[str, Any]) -> Iterator[str]:
    """What weights made here permit, all terms joined, and by which clauses they stay bound."""
    told = weight.get("permits") or {}
    if permits := [(use, told[use]) for use in WEIGHT_USES if use in told]:
        yield f"made here: {', '.join(f'{words(use)} {word}' for use, word in permits)}"
    yield from map(str, weight.get("clauses") or ())


def flows(flow: pd.DataFrame) -> list[Flow]:
    """Write the participant flow, one box row per release."""
    found: list[Flow] = []
    if flow.empty:
        return found
    for (domain, release), own in flow.groupby(["domain", "release"], sort=False):
        by_step = own.groupby("step")["samples"].sum()
        gone = own[own["step"].isin([EXCLUDED, QUARANTINED])].to_dict("records")
        left = [f"{count(row['samples'])} {row['step']}: {row['reason']}" for row in gone]
        numbers = [count(int(by_step.get(step, 0))) for step in (ELIGIBLE, ANALYSED)]
        found.append(Flow(str(release), str(domain), numbers[0], left, numbers[1]))
    return found


def deviation_grid(deviations: Sequence[tuple[str, str, str]]) -> Grid:
    """Write in which fields a study was done otherwise than sealed."""
    rows = [[Entry(field, kind="head"), Entry(sealed, kind="code"), Entry(now, kind="code")] for field, sealed, now in deviations]
    return Grid("Deviations from the sealed plan", heads("field", " sealed", " done"), rows)


def published_grid(published: pd.DataFrame) -> Grid:
    """Write the numbers of papers beside ours, each with its source."""
    rows = []
    for row in published.to_dict("records"):
        theirs = {"value": row["published"], "low": row["published_low"], "high": row["published_high"], "note": "no interval given"}
        films = [f"n = {count(row['published_n'])}"] if row["published_n"] == row["published_n"] else []
        paper = estimate(theirs)
        head = Entry(f"{row['arm']}, {row['side']}", [words(str(row["finding"])), metric_name(str(row["metric"]))], kind="head")
        told = Entry(row["source"], [HOW[row["how"]], *([row["note"]] if row["note"] else [])])
        rows.append([head, Entry(paper.text, [*paper.small, *films], kind="number"), estimate(row), told])
    return Grid("Numbers of papers, and of this study", heads("arm and side", "published", "ours", " source"), rows)


def split_grid(table: pd.DataFrame) -> Grid:
    """Write how many samples, groups and classes stand in each part."""
    rows = []
    for row in table.to_dict("records"):
        names = [Entry(row["domain"], kind="head"), Entry(row["release"]), Entry(row["split"]), Entry(words(row["finding"]))]
        counts = [Entry(count(row[key]), kind="number") for key in ("samples", "present", "absent", "unknown")]
        rows.append([*names, *counts, Entry(f"{count(row['groups'])} by {row['unit']}", kind="number")])
    columns = heads("side", " release", " part", " finding", "samples", "present", "absent", "unknown", "groups")
    return Grid("Samples of each part; a group never stands on two parts", columns, rows)


def quarantine_grid(quarantine: pd.DataFrame) -> Grid:
    """Count the files that could not be used, by reason."""
    counted = quarantine.groupby(["release", "reason"]).size().reset_index(name="files") if len(quarantine) else quarantine
    rows = [
        [Entry(str(row["release"]), kind="head"), Entry(count(row["files"]), kind="number"), Entry(str(row["reason"]))]
        for row in counted.to_dict("records")
    ]
    return Grid("Files in quarantine, by reason", heads("release", "files", " reason"), rows)


def duplicate_grid(duplicates: pd.DataFrame) -> Grid:
    """Count the pairs of equal images, by kind, by what was done, and whether they cross releases."""
    rows = []
    if len(duplicates):
        release = [duplicates[name].astype(str).str.split("/").str[0] for name in ("a", "b")]
        across = (release[0] != release[1]).map({True: "between releases", False: "within a release"})
        action = duplicates["action"] if "action" in duplicates.columns else pd.Series("", index=duplicates.index)
        counted = duplicates.assign(across=across, action=action.fillna("")).groupby(["kind", "across", "action"]).size()
        for row in counted.reset_index(name="pairs").to_dict("records"):
            head, pairs = Entry(str(row["kind"]), kind="head"), Entry(count(row["pairs"]), kind="number")
            rows.append([head, Entry(str(row["across"])), pairs, Entry(str(row["action"]) or DASH)])
    return Grid("Pairs of equal images, by kind", heads("kind", " where", "pairs", " what was done"), rows)


def pairs_grid(caption: str, values: Mapping[str, Any], *, names: tuple[str, str]) -> Grid:
    """Write a mapping as a table of two columns."""
    rows = [[Entry(words(str(key)), kind="head"), Entry(_plain(value))] for key, value in values.items()]
    return Grid(caption, heads(names[0], f" {names[1]}"), rows)


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{words(str(key))}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, float):
        return DASH if value != value else f"{value:g}"
    return count(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)
