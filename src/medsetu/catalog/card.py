# SPDX-License-Identifier: Apache-2.0
"""The card of a release: what it is, who may use it for what, and which traps it holds. Cheap to import: no pandas, no Hydra."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from medsetu.catalog.entry import choice, read_entry, require_name, wrong
from medsetu.catalog.file import RemoteFile, read_files
from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder

REGIONS = ("india", "global")
PERMISSIONS = ("yes", "no", "ask")
ROUTES = ("open", "sign-in", "agreement", "unavailable")
OPPOSITES = {  # what the other card says of the same images
    "contains": "contained",
    "contained": "contains",
    "relabels": "relabelled_by",
    "relabelled_by": "relabels",
    "derived_from": "derived_into",
    "derived_into": "derived_from",
    "same_images": "same_images",
    "overlaps": "overlaps",
}
CHOICES: dict[str, tuple[str, ...]] = {
    "region": REGIONS,
    "patient_ids": ("yes", "no"),
    "research_use": PERMISSIONS,
    "commercial_use": PERMISSIONS,
    "weights_release": PERMISSIONS,
    "tables_release": PERMISSIONS,
    "record": ("release", "part", "platform", "name"),
    "route": ROUTES,
    "collection": ("case-control", "consecutive", "unknown"),
    "confidence": ("verified", "memory"),
}

SPDX = re.compile(r"^[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*$")
_LISTS = ("findings", "traps", "unverified", "aliases", "sites", "also", "formats", "see", "sources", "by_hand")
_NUMBERS = ("n_images", "n_patients")


@dataclass(frozen=True)
class Overlap:
    """Images that a release shares with another one.

    Attributes:
        release: Name of the other release.
        kind: A key of ``OPPOSITES``, seen from the card that holds the entry; the other card says the opposite.
        detail: What is shared, as far as known.
    """

    release: str
    kind: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of one release; None is unknown.

    Attributes:
        name: Short name; equals the stem of its file and, where an adapter exists, of its adapter.
        title: Name as published.
        country: Where the patients are from; several countries with commas between, or ``several`` where they are not listed.
        region: Whether the patients are Indian (``india``) or not (``global``).
        modality: CXR (chest X-ray), MG (mammography), XR (other X-ray), CT, MR, US (ultrasound), fundus, WSI (slides) or various.
        body_part: What the images show.
        findings: Labels, as medsetu or the release writes them.
        n_images: Images as published.
        n_patients: Patients as published.
        patient_ids: Whether images can be grouped by patient (yes, no).
        readers: Who read the images.
        label_source: Where the labels come from.
        splits: Official splits.
        licence: SPDX identifier or ``LicenseRef-...``; None when no licence text is known, which permits nothing beyond ``research_use``.
        licence_note: What the terms say, in a sentence.
        research_use: yes, no, or ask (terms allow or seem to allow it, confirm before relying on it).
        commercial_use: yes, no or ask.
        weights_release: Whether weights trained on it may be published: yes, no or ask; None when the terms known do not say.
        tables_release: Whether tables about its single images (manifests, scores) may be passed on: yes, no or ask; None as above.
        access: How to get it.
        homepage: Address.
        doi: Digital object identifier.
        citation: What to cite.
        reference_standard: What the labels were checked against.
        collection: case-control, consecutive or unknown.
        blinding: What the readers who set the labels did not know.
        acquired: When the images were taken, in words.
        setting: Where the patients were seen: hospital, kind of care.
        checked_on: Day on which the card was written down.
        confidence: verified (main facts read in a cited source) or memory (recalled).
        unverified: Fields that are second-hand even on a verified card.
        traps: What goes wrong with it.
        overlaps: Images shared with other releases.
        tombstone: Why it cannot be had (any more); None for a living release.
        record: release, part (of a release that has a card), platform (where releases are found), or name (people look for it, but no
            release of that name is known).
        route: open, sign-in, agreement (also credentials and request forms) or unavailable; None where it is not known.
        aliases: Other names people look for.
        version: As published.
        made_in: Where it was collated or annotated, when that is not where the patients are from.
        sites: Hospitals or centres.
        also: Further modalities.
        formats: File formats.
        pixels: Depth, size and colour.
        layout: How it lies on disk.
        patient_key: Where the patient id stands.
        see: Releases that exist and come nearest, where this name has none.
        sources: Where the facts were read.
        files: What ``medsetu fetch`` gets; empty where no direct address is known, or where a person must ask first.
        by_hand: Files or folders of the layout that ``files`` does not hold, for want of a direct address; words in brackets say how.
    """

    name: str
    title: str
    country: str
    region: str
    modality: str
    body_part: str
    findings: tuple[str, ...]
    n_images: int | None
    n_patients: int | None
    patient_ids: str | None
    readers: str | None
    label_source: str | None
    splits: str | None
    licence: str | None
    licence_note: str | None
    research_use: str
    commercial_use: str
    weights_release: str | None
    access: str
    homepage: str | None
    doi: str | None
    citation: str | None
    reference_standard: str | None
    collection: str
    checked_on: date
    confidence: str
    unverified: tuple[str, ...] = ()
    traps: tuple[str, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    tombstone: str | None = None
    blinding: str | None = None
    acquired: str | None = None
    setting: str | None = None
    record: str = "release"
    route: str | None = None
    tables_release: str | None = None
    aliases: tuple[str, ...] = ()
    version: str | None = None
    made_in: str | None = None
    sites: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    pixels: str | None = None
    layout: str | None = None
    patient_key: str | None = None
    see: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = ()
    by_hand: tuple[str, ...] = ()


def cards_folder() -> Path:
    """Find the cards that came with this copy of medsetu.

    Example:
        >>> (cards_folder() / "nitrd.yaml").is_file()
        True
    """
    return config_folder() / "catalog"


def load_card(name: str, folder: Path | None = None) -> Card:
    """Read the card of one release.

    Args:
        name: Name of the release.
        folder: Folder of the cards; the one that came with medsetu when None.

    Returns:
        The card.

    Raises:
        ConfigError: There is no such card (the nearest name is offered), or the card is wrong.

    Example:
        >>> load_card("nitrd").region
        'india'
    """
    place = folder or cards_folder()
    known = _names(place)
    if name not in known:
        raise ConfigError(what=f"There is no card for release '{name}'", where=str(place), value=name, allowed=known)
    return _read(place / f"{name}.yaml")


def load_cards(folder: Path | None = None) -> list[Card]:
    """Read every card.

    Args:
        folder: Folder of the cards; the one that came with medsetu when None.

    Returns:
        Cards sorted by name.

    Raises:
        ConfigError: A card is wrong.
    """
    place = folder or cards_folder()
    return [_read(place / f"{name}.yaml") for name in _names(place)]


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _read(path: Path) -> Card:
    card = Card(**read_entry(path, Card, value=_value))
    require_name(card.name, path)
    return card


def _value(key: str, value: Any, path: Path) -> Any:  # noqa: ANN401 - a YAML value becomes a field of Card
    """Type one value: lists become tuples, YAML's own yes and no become words again."""
    if key in _LISTS:
        return _words(key, value, path)
    if key == "overlaps":
        return tuple(_overlap(item, path) for item in value or ())
    if key == "files":
        return read_files(value, path)
    if key in CHOICES:
        return _choice(key, value, path)
    if value is None:
        return None
    right = isinstance(value, int) if key in _NUMBERS else isinstance(value, date if key == "checked_on" else str)
    if not right:
        raise wrong(path, what=f"The value of '{key}' has the wrong type")
    if key == "licence" and not SPDX.match(value):
        raise wrong(path, what="The licence is not an SPDX expression", remedy="Write an SPDX identifier, LicenseRef-<name>, or null")
    return value


def _words(key: str, value: Any, path: Path) -> tuple[str, ...]:  # noqa: ANN401 - a YAML value
    if not isinstance(value, list | None):
        raise wrong(path, what=f"The value of '{key}' is not a list")
    words = tuple(str(item) for item in value or ())
    known = {field.name for field in fields(Card)}
    if key == "unverified" and set(words) - known:
        raise ConfigError(
            what="An unverified field is not one of the card", where=str(path), value=min(set(words) - known), allowed=sorted(known)
        )
    return words


def _choice(key: str, value: Any, path: Path) -> str | None:  # noqa: ANN401 - a YAML value
    if value is None and key in ("patient_ids", "weights_release", "tables_release", "route"):
        return None
    return choice(key, value, path, allowed=CHOICES[key])


def _overlap(item: Any, path: Path) -> Overlap:  # noqa: ANN401 - a YAML value
    names = {field.name for field in fields(Overlap)}
    if not isinstance(item, Mapping) or set(item) != names:
        raise wrong(path, what="An overlap does not name release, kind and detail")
    kind = choice("kind", item["kind"], path, allowed=tuple(OPPOSITES))
    return Overlap(release=str(item["release"]), kind=kind, detail=str(item["detail"]))
