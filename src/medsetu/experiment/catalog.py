# SPDX-License-Identifier: Apache-2.0
"""``medsetu catalog``: list the releases or weights we know and what they may be used for, or show one card whole."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from medsetu.catalog.card import REGIONS, Card, Overlap, cards_folder, load_card, load_cards
from medsetu.catalog.licence import USES, verdict
from medsetu.catalog.weights import WeightCard, load_weight_card, load_weight_cards
from medsetu.core.errors import ConfigError

_COLOURS = {"yes": "green", "ask": "yellow", "no": "red"}
_REFERENCE = "LicenseRef-"
_SHORT = {"research": "study", "commercial": "product", "release_weights": "publish"}
KINDS = ("releases", "weights")


def main(config: Mapping[str, Any]) -> None:
    """Print the catalogue to the terminal.

    Args:
        config: Keys ``kind`` (releases or weights), ``name``, ``region``, ``modality``, ``use`` and ``json``, each optional.

    Raises:
        ConfigError: There is no such card, or a filter has an unknown value.
    """
    kind = str(config.get("kind") or KINDS[0])
    _known("kind", kind, KINDS)
    name, use = str(config.get("name") or ""), str(config.get("use") or "")
    as_json = str(config.get("json") or "").lower() in ("true", "yes", "1")
    cards: Sequence[Card | WeightCard]
    if kind == "weights":
        weights = weight_cards(name=name, use=use)
        cards, shown = weights, weight_list(weights)
    else:
        filters = {key: str(config.get(key) or "") for key in ("region", "modality")}
        releases = [load_card(name)] if name else chosen_cards(cards_folder(), use=use, **filters)
        cards, shown = releases, _list(releases)
    if as_json:
        Console(soft_wrap=True, highlight=False, markup=False, no_color=True).print(
            json.dumps([asdict(card) for card in cards], indent=1, default=str)
        )
    else:
        Console().print(_whole(cards[0]) if name else shown)


def catalog(folder: Path, *, name: str = "", region: str = "", modality: str = "", use: str = "") -> RenderableType:
    """Show one card of a release, or the list of those that pass the filters.

    Args:
        folder: Folder of the cards.
        name: Show this card whole; the filters are not used then.
        region: india or global; empty for both.
        modality: CXR or MG; empty for all.
        use: research, commercial or release_weights: only releases whose terms permit it; empty for all.

    Returns:
        Something rich can print in 80 columns.

    Raises:
        ConfigError: There is no such card, or a filter has an unknown value.
    """
    if name:
        return _whole(load_card(name, folder))
    return _list(chosen_cards(folder, region=region, modality=modality, use=use))


def chosen_cards(folder: Path, *, region: str = "", modality: str = "", use: str = "") -> list[Card]:
    """Read the cards of releases that pass the filters of ``catalog``.

    Raises:
        ConfigError: A filter has an unknown value.
    """
    cards = load_cards(folder)
    _known("region", region, REGIONS)
    _known("modality", modality, sorted({card.modality for card in cards}))
    _known("use", use, tuple(USES))
    chosen = [card for card in cards if region in ("", card.region) and modality in ("", card.modality)]
    return [card for card in chosen if verdict([card], use).allowed] if use else chosen


def weight_cards(*, name: str = "", use: str = "") -> list[WeightCard]:
    """Read one card of weights, or those whose terms, with those of the releases they were taught on, permit a use.

    Raises:
        ConfigError: There is no such card or use.
    """
    _known("use", use, tuple(USES))
    cards = [load_weight_card(name)] if name else load_weight_cards()
    return [card for card in cards if name or not use or verdict([], use, weights=card).allowed]


def weight_list(cards: Sequence[WeightCard]) -> RenderableType:
    """List weights in 80 columns: what they are, their licence, and whether all terms together permit each use."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("name", width=24, no_wrap=True)
    table.add_column("pixels", width=6, justify="right")
    table.add_column("million", width=7, justify="right")
    table.add_column("licence", width=15, no_wrap=True)
    for use in _SHORT:
        table.add_column(_SHORT[use], width=7)
    for card in cards:
        answers = ["yes" if verdict([], use, weights=card).allowed else "no" for use in _SHORT]
        table.add_row(
            Text(card.name, style="bold" if card.backbone else "dim"),
            "-" if card.size is None else str(card.size[-1]),
            "-" if card.parameters is None else f"{card.parameters / 1e6:.1f}",
            (card.weights_licence or "none known").removeprefix(_REFERENCE),
            *[Text(answer, style=_COLOURS[answer]) for answer in answers],
        )
    foot = (
        f"{len(cards)} files of weights; those in dim letters have no loader here. The last columns join the licence of the weights "
        "with the terms of the releases they were taught on: our reading, no legal advice; 'no' also where terms are not known. "
        "One card whole: medsetu catalog kind=weights name=rad_dino"
    )
    return Group(table, Text(), Text(foot, style="dim"))


def _known(key: str, value: str, allowed: Sequence[str]) -> None:
    if value and value not in allowed:
        raise ConfigError(what=f"'{value}' is not a value of '{key}'", where=f"Key {key}", value=value, allowed=list(allowed))


def _list(cards: Sequence[Card]) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("name", width=29, no_wrap=True)
    table.add_column("country", width=8, no_wrap=True)
    table.add_column("type", width=4)
    table.add_column("images", width=8, justify="right")
    table.add_column("licence", width=15, no_wrap=True)
    table.add_column("commercial", width=10)
    for card in sorted(cards, key=lambda card: (card.region != "india", card.modality, card.name)):
        table.add_row(
            Text(card.name, style=("dim strike" if card.tombstone else "bold" if card.region == "india" else "")),
            card.country,
            card.modality,
            _number(card),
            "not available" if card.tombstone else (card.licence or "none known").removeprefix(_REFERENCE),
            Text(card.commercial_use, style=_COLOURS[card.commercial_use]),
        )
    foot = (
        f"{len(cards)} releases, Indian patients first. '?' marks a number that is second-hand or recalled, '-' one that is not known. "
        "'commercial' is our reading of the terms, no legal advice. One card whole: medsetu catalog name=nitrd"
    )
    return Group(table, Text(), Text(foot, style="dim"))


def _number(card: Card) -> str:
    if card.n_images is None:
        return "-"
    return f"{card.n_images:,}" + ("?" if "n_images" in card.unverified or card.confidence == "memory" else "")


def _whole(card: Card | WeightCard) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column("key", style="bold", no_wrap=True)
    table.add_column("value", overflow="fold")
    for field in fields(card):
        if field.name in ("tombstone", "prefix", "leave_out") and not getattr(card, field.name):
            continue
        table.add_row(field.name.replace("_", " "), Text(_written(getattr(card, field.name))))
    for use in USES:
        answer = verdict([], use, weights=card) if isinstance(card, WeightCard) else verdict([card], use)
        clause = next(iter(answer.refused), answer.clauses[0])
        origin = "" if clause.release == card.name else f"{clause.release}: "
        text = f"{'allowed' if clause.allowed else 'refused'}: {origin}{clause.reason}"
        table.add_row(f"verdict {use.replace('_', ' ')}", Text(text, style="green" if clause.allowed else "red"))
    return table


def _written(value: object) -> str:
    """Write a field in words: None as unknown, several entries as lines.

    Example:
        >>> _written(None), _written(("a b",)), _written(()), _written(112120)
        ('unknown', 'a b', 'none noted', '112,120')
    """
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, tuple) and value and isinstance(value[0], int | float):
        return " x ".join(str(item) for item in value) if isinstance(value[0], int) else ", ".join(str(item) for item in value)
    if isinstance(value, tuple):
        return "\n".join(_lines(value)) or "none noted"
    return str(value)


def _lines(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        yield f"{item.release} ({item.kind}): {item.detail}" if isinstance(item, Overlap) else str(item)
