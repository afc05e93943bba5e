# SPDX-License-Identifier: Apache-2.0
"""The card of the weights a backbone names, wherever they lie, so that their terms can be asked before anything is loaded."""

import json
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from medsetu.backbone.fetch import Published, is_local, locate
from medsetu.backbone.header import NOTE
from medsetu.catalog.weights import WeightCard, read_sidecar

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

    Published weights have the card of the catalogue; a file has the card beside it, else what medsetu wrote into its header. Weights of
    which nobody wrote anything get a card that knows nothing, and so permits nothing but research.

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
    return read_sidecar(path) or _of_note(path) or _unknown(path.name)


def _of_note(path: Path) -> WeightCard | None:
    """Read what medsetu wrote into the header of its own file: licence and releases, without reading the tensors."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        note: dict[str, Any] = json.loads(json.loads(header).get("__metadata__", {}).get(NOTE, "{}"))
    except ValueError:  # loading the file will say what is wrong with it
        return None
    weights = note.get("weights")
    return None if weights is None else _unknown(path.name, licence=weights["licence"], trained_on=tuple(weights["trained_on"]))


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
