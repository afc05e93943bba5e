# SPDX-License-Identifier: Apache-2.0
"""A card as Croissant 1.0 JSON-LD (MLCommons), with the responsible-AI vocabulary, so that other catalogues can read ours."""

import re
from functools import cache
from typing import Any

import yaml

from medsetu.catalog.card import Card, cards_folder
from medsetu.catalog.file import RemoteFile

_UNKNOWN = "not known"


def croissant(card: Card) -> dict[str, Any]:
    """Write a card as Croissant JSON-LD.

    A card describes a release that lies elsewhere, often behind an agreement; so there is no record set, and the distribution holds the
    files that anybody can fetch and whose digest is published: the format asks for one. What is not known is left out, where the format
    allows that. ``datePublished`` is the year of the citation.

    Args:
        card: The card.

    Returns:
        JSON-LD as plain data.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> croissant(load_card("cmmd"))["license"], croissant(load_card("cmmd"))["datePublished"]
        ('https://spdx.org/licenses/CC-BY-4.0.html', '2023')
    """
    facts: dict[str, Any] = {
        "@context": _address()["context"],
        "@type": "sc:Dataset",
        "conformsTo": _address()["conforms_to"],
        "name": card.name,
        "alternateName": [card.title, *card.aliases],
        "description": _description(card),
        "url": _url(card),
        "sameAs": f"{_address()['doi']}{card.doi}" if card.doi else None,
        "license": _licence(card),
        "usageInfo": card.licence_note,
        "conditionsOfAccess": card.access,
        "citeAs": card.citation,
        "creator": _creator(card),
        "datePublished": _year(card),
        "version": card.version if re.fullmatch(r"\d+(\.\d+)*", card.version or "") else None,
        "inLanguage": "en",
        "keywords": [*dict.fromkeys((card.modality, *card.also, card.body_part, *card.findings))],
        "spatialCoverage": [place for place in card.country.split(", ") if place not in ("several", "none", "yours")],
        "temporalCoverage": card.acquired,
        "rai:dataCollection": _sentences(("Setting", card.setting), ("Sampling", card.collection), ("Acquired", card.acquired)),
        "rai:dataAnnotationProtocol": _sentences(
            ("Labels", card.label_source), ("Reference standard", card.reference_standard), ("Blinding", card.blinding)
        ),
        "rai:annotatorDemographics": [card.readers] if card.readers else None,
        "rai:dataLimitations": list(card.traps),
        "distribution": [_object(file) for file in card.files if file.digest],
        "rai:personalSensitiveInformation": ["Images of patients, as their publisher released them"]
        if card.record in ("release", "part")
        else None,
    }
    return {key: value for key, value in facts.items() if value not in (None, [], "")}


@cache
def _address() -> dict[str, Any]:
    return dict(yaml.safe_load((cards_folder() / "croissant" / "address.yaml").read_text(encoding="utf-8")))


def _description(card: Card) -> str:
    size = [f"{number:,} {what}" for number, what in ((card.n_images, "images"), (card.n_patients, "patients")) if number is not None]
    parts = [
        f"{card.title}: {card.modality} of {card.body_part}, patients from {card.country}",
        ", ".join(size) or "Size not known",
        f"Not available: {card.tombstone}" if card.tombstone else None,
        f"Layout: {card.layout}" if card.layout else None,
        f"Official splits: {card.splits}" if card.splits else None,
        f"Card {'checked in a cited source' if card.confidence == 'verified' else 'from memory'} on {card.checked_on.isoformat()}"
        + (f"; second-hand: {', '.join(card.unverified)}" if card.unverified else ""),
    ]
    return ". ".join(part for part in parts if part) + "."


def _object(file: RemoteFile) -> dict[str, Any]:
    kind, _, digest = str(file.digest).partition(":")
    facts = {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.url,
        "contentSize": None if file.bytes is None else f"{file.bytes} B",
        "encodingFormat": "application/zip" if file.name.endswith((".zip", ".npz")) else "application/octet-stream",
        kind: digest,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _url(card: Card) -> str:
    return card.homepage or (f"{_address()['doi']}{card.doi}" if card.doi else f"urn:medsetu:catalog:{card.name}")


def _licence(card: Card) -> str:
    """Address of an SPDX licence; the reference itself where it is none of theirs; the words ``not known`` where no text is known."""
    if card.licence is None:
        return _UNKNOWN
    return card.licence if card.licence.startswith("LicenseRef-") else f"{_address()['licence']}{card.licence}.html"


def _creator(card: Card) -> dict[str, str]:
    """Take the authors from the citation, where it begins with names and initials; else the hospitals; else say it is not known."""
    begin = re.match(r"((?:[\w'-]+(?: [\w'-]+)? [A-Z]{1,4}(?:, | et al)*)+)(?:et al)?\.", card.citation or "")
    if begin:
        return {"@type": "Person", "name": begin.group(1).rstrip(", ")}
    return {"@type": "Organization", "name": "; ".join(card.sites) or _UNKNOWN}


def _year(card: Card) -> str | None:
    years = re.findall(r"(?<![\d.])((?:19|20)\d\d)(?![\d.]*\d)", card.citation or "")
    return years[0] if years else None


def _sentences(*parts: tuple[str, str | None]) -> str | None:
    return ". ".join(f"{name}: {text}" for name, text in parts if text and text != "unknown") or None
