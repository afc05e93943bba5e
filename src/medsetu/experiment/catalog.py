# SPDX-License-Identifier: Apache-2.0
"""``medsetu catalog``: list, search or show the releases and weights we know, and what they may be used for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from medsetu.catalog.card import Card, cards_folder, load_cards
from medsetu.catalog.croissant import croissant
from medsetu.catalog.licence import WEIGHT_USES, verdict
from medsetu.catalog.search import Filter, chosen, find, named
from medsetu.catalog.weights import WeightCard, load_weight_card, load_weight_cards
from medsetu.core.errors import ConfigError
from medsetu.core.run import atomic_write
from medsetu.experiment.catalog_table import release_list, weight_list, whole

KINDS = ("releases", "weights")
ACTIONS = ("list", "show", "search")
FILTERS = tuple(field.name for field in fields(Filter))


def main(config: Mapping[str, Any]) -> None:
    """Print the catalogue to the terminal.

    Args:
        config: Keys ``action`` (list, show or search), ``kind`` (releases or weights), ``name``, ``text``, the filters, ``json`` and
            ``export`` (a folder for Croissant files), each optional.

    Raises:
        ConfigError: There is no such card, a filter has an unknown value, or a search finds nothing.
    """
    told = {key: str(config.get(key) or "") for key in ("action", "kind", "name", "text", "json", "export", *FILTERS)}
    told |= {"patient_ids": {"True": "yes", "False": "no"}.get(str(config.get("patient_ids")), told["patient_ids"])}
    _known("action", told["action"], ACTIONS)
    _known("kind", told["kind"], KINDS)
    if told["action"] == "show" and not told["name"]:
        raise ConfigError(what="No name was given to show", where="Key name", remedy="Write one, as in `medsetu catalog show nitrd`")
    cards = _cards(told)
    if told["export"]:
        written = export(cards, Path(told["export"]).expanduser())
        Console(soft_wrap=True, highlight=False).print(f"Wrote {len(written)} Croissant files to {told['export']}.")
    elif told["json"].lower() in ("true", "yes", "1"):
        Console(soft_wrap=True, highlight=False, markup=False, no_color=True).print(
            json.dumps([asdict(card) for card in cards], indent=1, default=str)
        )
    else:
        Console().print(_shown(cards, one=bool(told["name"]), ranked=bool(told["text"]), weights=told["kind"] == "weights"))


def catalog(folder: Path, *, name: str = "", text: str = "", wanted: Filter | None = None) -> RenderableType:
    """Show one card of a release, or the list of those that pass the filter.

    Args:
        folder: Folder of the cards.
        name: Show this card whole; the filter is not used then.
        text: Words to search for; empty for all.
        wanted: The filter; None asks nothing.

    Returns:
        Something rich can print in 80 columns.

    Raises:
        ConfigError: There is no such card, or a filter has an unknown value.
    """
    return _shown([release(folder, name)] if name else releases(folder, text=text, wanted=wanted), one=bool(name), ranked=bool(text))


def releases(folder: Path, *, text: str = "", wanted: Filter | None = None) -> list[Card]:
    """Read the cards of releases that pass a filter and have the words of a search.

    Raises:
        ConfigError: A filter has an unknown value, or no card has the words.
    """
    cards = chosen(load_cards(folder), wanted or Filter())
    return find(cards, text) if text else cards


def release(folder: Path, name: str) -> Card:
    """Read one card, by its name or by another name that only it bears.

    Raises:
        ConfigError: There is no such card; the nearest names are offered.
    """
    cards = load_cards(folder)
    if card := named(cards, name):
        return card
    known = [card.name for card in cards]
    raise ConfigError(what=f"There is no card for release '{name}'", where=str(folder), value=name, allowed=known)


def weight_cards(*, name: str = "", use: str = "") -> list[WeightCard]:
    """Read one card of weights, or those whose terms, with those of the releases they were taught on, permit a use.

    Raises:
        ConfigError: There is no such card or use.
    """
    _known("use", use, WEIGHT_USES)
    cards = [load_weight_card(name)] if name else load_weight_cards()
    return [card for card in cards if name or not use or verdict([], use, weights=card).allowed]


def export(cards: Sequence[Card | WeightCard], folder: Path) -> list[Path]:
    """Write cards as Croissant JSON-LD, ``<name>.croissant.json``; a name without a release is no data set and gets no file.

    Args:
        cards: Cards of releases.
        folder: Where to; made when it is missing.

    Returns:
        The files.

    Raises:
        ConfigError: The cards are of weights, or none of them is of a release.
    """
    chosen = [card for card in cards if isinstance(card, Card) and card.record != "name"]
    if not chosen:
        raise ConfigError(
            what="There is no release to export", where="Key export", remedy="Name or filter releases; weights have no Croissant"
        )
    return [atomic_write(folder / f"{card.name}.croissant.json", json.dumps(croissant(card), indent=2).encode()) for card in chosen]


def _cards(told: Mapping[str, str]) -> Sequence[Card | WeightCard]:
    if told["kind"] == "weights":
        cards = weight_cards(name=told["name"], use=told["use"])
        return [card for card in cards if told["text"].lower() in f"{card.name} {card.title} {' '.join(card.trained_on)}".lower()]
    if told["name"]:
        return [release(cards_folder(), told["name"])]
    return releases(cards_folder(), text=told["text"], wanted=Filter(**{key: told[key] for key in FILTERS}))


def _shown(cards: Sequence[Card | WeightCard], *, one: bool, ranked: bool, weights: bool = False) -> RenderableType:
    if one:
        return whole(cards[0])
    if weights:
        return weight_list([card for card in cards if isinstance(card, WeightCard)])
    return release_list([card for card in cards if isinstance(card, Card)], ranked=ranked)


def _known(key: str, value: str, allowed: Sequence[str]) -> None:
    if value and value not in allowed:
        raise ConfigError(what=f"'{value}' is not a value of '{key}'", where=f"Key {key}", value=value, allowed=list(allowed))
