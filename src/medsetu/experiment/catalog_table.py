# SPDX-License-Identifier: Apache-2.0
"""The catalogue on a terminal of 80 columns: lists of releases and of weights, and one card whole."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from medsetu.catalog.card import Card, Overlap
from medsetu.catalog.file import RemoteFile
from medsetu.catalog.licence import USES, WEIGHT_USES, stated, verdict
from medsetu.catalog.weights import WeightCard

_COLOURS = {"yes": "green", "ask": "yellow", "no": "red"}
_REFERENCE = "LicenseRef-"
_SHORT = {"research": "study", "commercial": "product", "release_weights": "publish"}
_ROUTES = {"open": "open", "sign-in": "sign-in", "agreement": "agree", "unavailable": "none", None: "?"}
_GONE = {"name": "not found", "release": "not released"}
_QUIET = ("tombstone", "prefix", "leave_out", "see", "made_in", "also", "files", "by_hand")  # shown only where they say something


def release_list(cards: Sequence[Card], *, ranked: bool = False) -> RenderableType:
    """List releases in 80 columns: where from, what, how many, licence, access, and whether a product may be made with them.

    Args:
        cards: The cards.
        ranked: Keep their order, which is that of a search; otherwise Indian patients come first, then by modality and name.

    Returns:
        Something rich can print.
    """
    table = _table()
    table.add_column("name", width=29, no_wrap=True)
    table.add_column("country", width=8, no_wrap=True)
    table.add_column("type", width=6, no_wrap=True)
    table.add_column("images", width=8, justify="right")
    table.add_column("licence", width=12, no_wrap=True)
    table.add_column("access", width=7)
    table.add_column("sale", width=4)
    order = (
        list(cards) if ranked else sorted(cards, key=lambda card: (card.region != "india", bool(card.tombstone), card.modality, card.name))
    )
    for card in order:
        table.add_row(
            Text(card.name, style="dim" if card.tombstone else "bold" if card.region == "india" else ""),
            _country(card.country),
            "any" if card.modality == "various" else card.modality,
            _number(card),
            _GONE.get(card.record, "gone") if card.tombstone else _licence(card.licence),
            _ROUTES[card.route],
            Text(card.commercial_use, style=_COLOURS[card.commercial_use]),
        )
    return Group(table, *[Text(line, style="dim") for line in ("", *_foot(order))])


def _foot(cards: Sequence[Card]) -> Iterator[str]:
    if lost := [card for card in cards if card.record == "name"]:
        told = "; ".join(f"{card.name}: see {', '.join(card.see)}" for card in lost)
        yield f"Names people look for, of which no release is known (that is no proof): {told}."
    if elsewhere := [card.name for card in cards if card.made_in]:
        yield f"Made in India from patients elsewhere: {', '.join(elsewhere)}."
    yield (
        f"{len(cards)} {'entry' if len(cards) == 1 else 'entries'}. '?' marks a number that is second-hand or recalled, '-' one that is "
        "not known. 'access': open download, sign-in, agreement. 'sale': use in a product, our reading of the terms, no legal advice. "
        "One card whole: medsetu catalog show nitrd"
    )


def weight_list(cards: Sequence[WeightCard]) -> RenderableType:
    """List weights in 80 columns: what they are, their licence, and whether all terms together permit each use."""
    table = _table()
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


def whole(card: Card | WeightCard) -> RenderableType:
    """Show one card whole, with the verdict on each use and its reason."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column("key", style="bold", no_wrap=True)
    table.add_column("value", overflow="fold")
    for field in fields(card):
        if field.name in _QUIET and not getattr(card, field.name):
            continue
        table.add_row(field.name.replace("_", " "), Text(_written(getattr(card, field.name))))
    if isinstance(card, Card):
        table.add_row("fetch", Text(_way(card)))
    for use in WEIGHT_USES if isinstance(card, WeightCard) else USES:
        answer = verdict([], use, weights=card) if isinstance(card, WeightCard) else verdict([card], use)
        clause = next(iter(answer.refused), answer.clauses[0])
        origin = "" if clause.release == card.name else f"{clause.release}: "
        text = f"{'allowed' if clause.allowed else 'refused'}: {origin}{clause.reason}"
        table.add_row(f"verdict {use.replace('_', ' ')}", Text(text, style="green" if clause.allowed else "red"))
    if asked := stated([], card) if isinstance(card, WeightCard) else stated([card], None):
        table.add_row("in return", Text("\n".join(asked)))
    return table


def _way(card: Card) -> str:
    """Say what ``medsetu fetch`` does with a release.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> _way(load_card("vindr_cxr"))
        'medsetu fetch vindr_cxr prints the steps; a person must take them'
    """
    if card.tombstone or card.route == "unavailable":
        return "not to be had"
    if not card.files:
        return f"medsetu fetch {card.name} prints the steps; a person must take them"
    checked = sum(file.digest is not None for file in card.files)
    return (
        f"medsetu fetch {card.name} brings {len(card.files)} file{'' if len(card.files) == 1 else 's'}, {checked} with a published digest"
    )


def _table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)


def _country(country: str) -> str:
    """Write several countries as the first and how many more.

    Example:
        >>> _country("India"), _country("USA, Canada, Brazil")
        ('India', 'USA +2')
    """
    first, *others = country.split(", ")
    return f"{first} +{len(others)}" if others else first


def _licence(licence: str | None) -> str:
    """Write a licence in 12 letters, or its beginning.

    Example:
        >>> _licence("CC-BY-NC-SA-4.0"), _licence(None), _licence("LicenseRef-GODL-India")
        ('CC-BY-NC-SA', 'none known', 'GODL-India')
    """
    if licence is None:
        return "none known"
    return licence.rpartition("-")[0] if licence.startswith("CC-") and len(licence) > 12 else licence.removeprefix(_REFERENCE)


def _number(card: Card) -> str:
    if card.n_images is None:
        return "-"
    return f"{card.n_images:,}" + ("?" if "n_images" in card.unverified or card.confidence == "memory" else "")


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
        lines = list(_lines(value))
        return (", " if max(map(len, lines), default=0) < 28 else "\n").join(lines) or "none noted"
    return str(value)


def _lines(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Overlap):
            yield f"{item.release} ({item.kind}): {item.detail}"
        elif isinstance(item, RemoteFile):
            yield f"{item.name}: {item.url}" + (f" ({item.digest})" if item.digest else "")
        else:
            yield str(item)
