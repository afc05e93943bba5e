# SPDX-License-Identifier: Apache-2.0
"""The card of the weights a backbone names, wherever they lie, so that their terms can be asked before anything is loaded."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from medsetu.backbone.fetch import Published, is_local, locate
from medsetu.backbone.header import NOTE
from medsetu.catalog.clause import bound
from medsetu.catalog.weights import WeightCard, read_sidecar

_FIELDS = {"research": "research_use", "commercial": "commercial_use", "release_weights": "weights_release"}  # use -> field of a card
_STRICT = ("no", "ask", "yes")  # the strictest first
_LONGEST_HEADER = 100_000_000  # bytes; what safetensors itself allows


class Source(Protocol):
    """What a backbone must answer to be asked for its terms."""

    @property
    def weights(self) -> str | None:
        """None, ``pretrained``, a tag of the library, ``file:<path>`` or ``run:<folder>[#<stage>]``."""

    @property
    def sha256(self) -> str | None:
        """Digest the weights must have, where the recipe pins one."""

    def published(self) -> Published:
        """Say where the published weights lie."""


def card_of(source: Source) -> WeightCard | None:
    """Find the card of a backbone's weights.

    Published weights have the card of the catalogue. A file has the card beside it and what medsetu wrote into its header: the card may
    know more, but it takes nothing back that the header says of releases and terms. Weights of which nobody wrote anything get a card
    that knows nothing, and so permits nothing but research.

    Args:
        source: The backbone.

    Returns:
        The card; None for weights drawn at random.

    Raises:
        ConfigError: The run or its stage does not exist, or a card is wrong.
        WeightError: The run has no finished checkpoint.
    """
    if source.weights is None:
        return None
    if not is_local(source.weights):
        published = source.published()
        return published.card or _unknown(published.place, licence=published.licence, trained_on=published.trained_on)
    path = locate(source.weights, sha256=source.sha256).path
    beside, noted = read_sidecar(path), _note(path)
    if noted is None:
        return beside or _unknown(path.name)
    return _of_note(path.name, noted) if beside is None else _strictest(beside, noted)


def _note(path: Path) -> Mapping[str, Any] | None:
    """Read what medsetu wrote of weights into the header of its own file, without reading the tensors."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        note: dict[str, Any] = json.loads(json.loads(header).get("__metadata__", {}).get(NOTE, "{}"))
    except ValueError:  # loading the file will say what is wrong with it
        return None
    return note.get("weights")


def _of_note(name: str, noted: Mapping[str, Any]) -> WeightCard:
    card = _unknown(name, licence=noted["licence"], trained_on=tuple(noted["trained_on"]))
    words: dict[str, Any] = _words(noted)
    return replace(card, **words, licence_note=bound(noted["clauses"])) if words else card


def _strictest(beside: WeightCard, noted: Mapping[str, Any]) -> WeightCard:
    """The card beside a file, with every release its header names, and nowhere milder than its header."""
    words: dict[str, Any] = {
        field: word for field, word in _words(noted).items() if _STRICT.index(word) < _STRICT.index(getattr(beside, field))
    }
    return replace(
        beside,
        **words,
        trained_on=tuple(dict.fromkeys([*beside.trained_on, *noted["trained_on"]])),
        licence_note=f"Its header is stricter: {bound(noted['clauses'])}. {beside.licence_note}" if words else beside.licence_note,
    )


def _words(noted: Mapping[str, Any]) -> dict[str, str]:
    """Fields of a card by what the header permits; empty for a file written before headers said so."""
    permits = noted.get("permits") or {}
    return {field: permits[use] for use, field in _FIELDS.items() if permits.get(use) in _STRICT}


def _unknown(name: str, *, licence: str = "", trained_on: tuple[str, ...] = ()) -> WeightCard:
    return WeightCard(
        name=name,
        title=name,
        library="project",
        weights=name,
        backbone=None,
        architecture="",
        parameters=None,
        size=None,
        channels=None,
        mean=None,
        std=None,
        intensity="",
        place=None,
        filename=None,
        revision=None,
        sha256=None,
        code_licence=None,
        weights_licence=licence or None,
        data_terms=None,
        licence_note="No card describes these weights; write one beside the file, or into the mirror folder",
        research_use="ask",
        commercial_use="ask",
        weights_release="ask",
        trained_on=trained_on,
        training="",
        citation=None,
        homepage=None,
        checked_on=date.min,
        confidence="memory",
    )
