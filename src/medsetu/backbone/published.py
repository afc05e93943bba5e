# SPDX-License-Identifier: Apache-2.0
"""A backbone that is described by its card alone: weights their authors publish for an architecture of timm or MONAI, under other names."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from torch import nn

from medsetu.backbone.assemble import assemble
from medsetu.backbone.fetch import PRETRAINED, Published, is_untagged, of_card
from medsetu.backbone.medicalnet import medicalnet_trunk
from medsetu.backbone.network import Network
from medsetu.backbone.spec import InputSpec
from medsetu.backbone.stored import State
from medsetu.backbone.terms import card_of
from medsetu.backbone.zoo import MonaiBackbone, TimmBackbone
from medsetu.catalog.weights import WeightCard, load_weight_card
from medsetu.core.errors import ConfigError


@dataclass(frozen=True)
class PublishedBackbone:
    """Weights of the catalogue that belong to no library: the card names architecture, file, names of the tensors and normalisation.

    Attributes:
        name: Name of the card, as in ``medsetu catalog kind=weights``.
        weights: None (from scratch), ``pretrained``, ``file:<path>`` or ``run:<folder>[#<stage>]``.
        sha256: Digest the weights must have.
        revision: Commit, branch or tag on the hub; None for the one on the card.
        channels: Channels of the images; grey ones (1) also meet weights taught on colour, without loss.
        size: Height and width, pixels; None for the size the weights were taught on.

    Raises:
        ConfigError: There is no such card, its weights have no loader, or ``weights`` names a tag.
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    revision: str | None = None
    channels: int = 1
    size: int | None = None

    def __post_init__(self) -> None:
        card = self._described
        if card.library != "project" or card.backbone is None or card.size is None:
            raise ConfigError(
                what=f"No loader of medsetu reads the weights '{self.name}'",
                where="backbone.name",
                remedy="Choose weights with a backbone: medsetu catalog kind=weights",
            )
        if not is_untagged(self.weights):
            raise ConfigError(
                what=f"There are no weights '{self.weights}' of '{self.name}'",
                where="backbone.weights",
                value=self.weights,
                allowed=[PRETRAINED],
            )

    def build(self, findings: Sequence[str], *, seed: int) -> Network:
        """Build the network; see ``medsetu.backbone.assemble.assemble``."""
        return assemble(self, findings, seed=seed, entry=self._described.entry)

    def card(self) -> WeightCard | None:
        """Describe the weights and their terms; see ``medsetu.backbone.terms.card_of``."""
        return card_of(self)

    def taught(self) -> InputSpec:
        """Describe what the card says the weights were taught on."""
        card = self._described
        size, channels = card.size or (), card.channels or 3
        return InputSpec(tuple(size), channels, card.mean or (), card.std or ())

    def published(self) -> Published:
        """Say where the card says the weights lie."""
        return of_card(self._described, revision=self.revision)

    def trunk(self, *, channels: int, state: State | None) -> nn.Module:
        """Build the architecture of timm, MONAI or MedicalNet; names of the file are brought to its own by the card."""
        card = self._described
        size, belonging = self.size or self.taught().size[0], None if state is None else _belonging(state, card)
        if card.family == "medicalnet":
            return medicalnet_trunk(card.architecture, channels=channels, state=belonging)
        source = (
            MonaiBackbone(card.architecture, channels=channels, size=size)
            if card.family == "monai"
            else TimmBackbone(card.architecture, channels=channels, size=size, options=card.options or {})
        )
        return source.trunk(channels=channels, state=belonging)

    @cached_property
    def _described(self) -> WeightCard:
        return load_weight_card(self.name)


def _belonging(state: State, card: WeightCard) -> State:
    """Keep the tensors of the trunk; a file of medsetu bears no prefix and is taken whole."""
    if not any(name.startswith(card.prefix) for name in state):
        return state
    return {
        name.removeprefix(card.prefix): tensor
        for name, tensor in state.items()
        if name.startswith(card.prefix) and not any(fnmatchcase(name.removeprefix(card.prefix), left) for left in card.leave_out)
    }
