# SPDX-License-Identifier: Apache-2.0
"""``medsetu catalog``: list the releases we know and what they may be used for, or show one card whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from medsetu.catalog.card import REGIONS, Card, Overlap, cards_folder, load_card, load_cards
from medsetu.catalog.licence import USES, verdict
from medsetu.core.errors import ConfigError

_COLOURS = {"yes": "green", "ask": "yellow", "no": "red"}
_REFERENCE = "LicenseRef-"


def main(config: Mapping[str, Any]) -> None:
    """Print the catalogue to the terminal.

    Args:
        config: Keys ``name``, ``region``, ``modality`` and ``use``, each optional.
    """
    wanted = {key: str(config.get(key) or "") for key in ("name", "region", "modality", "use")}
    Console().print(catalog(cards_folder(), **wanted))


def catalog(folder: Path, *, name: str = "", region: str = "", modality: str = "", use: str = "") -> RenderableType:
    """Show one card, or the list of those that pass the filters.

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
    cards = load_cards(folder)
    _known("region", region, REGIONS)
    _known("modality", modality, sorted({card.modality for card in cards}))
    _known("use", use, tuple(USES))
    chosen = [card for card in cards if region in ("", card.region) and modality in ("", card.modality)]
    if use:
        chosen = [card for card in chosen if verdict([card], use).allowed]
    return _list(chosen)


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


def _whole(card: Card) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column("key", style="bold", no_wrap=True)
    table.add_column("value", overflow="fold")
    for field in fields(card):
        if field.name == "tombstone" and not card.tombstone:
            continue
        table.add_row(field.name.replace("_", " "), Text(_written(getattr(card, field.name))))
    for use in USES:
        clause = verdict([card], use).clauses[0]
        answer = "allowed" if clause.allowed else "refused"
        table.add_row(f"verdict {use.replace('_', ' ')}", Text(f"{answer}: {clause.reason}", style="green" if clause.allowed else "red"))
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
    if isinstance(value, tuple):
        return "\n".join(_lines(value)) or "none noted"
    return str(value)


def _lines(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        yield f"{item.release} ({item.kind}): {item.detail}" if isinstance(item, Overlap) else str(item)
