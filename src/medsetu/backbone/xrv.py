# SPDX-License-Identifier: Apache-2.0
"""Networks of torchxrayvision, without its unsafe loading and without its side effects."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn

from medsetu.backbone.assemble import assemble
from medsetu.backbone.fetch import PRETRAINED, Published, is_untagged, of_card
from medsetu.backbone.network import Network
from medsetu.backbone.spec import InputSpec
from medsetu.backbone.stored import State
from medsetu.backbone.terms import card_of
from medsetu.backbone.trunk import load_beheaded, read_channels
from medsetu.backbone.weights import Rows
from medsetu.catalog.weights import WeightCard, find_weight_card
from medsetu.core.errors import ConfigError, missing_extra
from medsetu.core.label import finding_name

_TAGS = ("all", "nih", "pc", "chex", "rsna", "mimic_nb", "mimic_ch")
_KNOWN = (*(f"densenet121-res224-{tag}" for tag in _TAGS), "resnet50-res512-all")
_CLASSES = ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition")  # its DenseNet files hold a whole module
_DEFAULT = {"densenet121": "densenet121-res224-all", "resnet50": "resnet50-res512-all"}


@dataclass(frozen=True)
class XrvBackbone:
    """A network of torchxrayvision, taught on chest radiographs.

    Its convention, intensities in [-1024, 1024], is the InputSpec's mean 0.5 and std 1/2048. Its head is kept by name: a finding it was
    trained for keeps its row, and logits stay logits (the library rescales its outputs so that each operating point is 0.5; here nothing
    is rescaled). It publishes no digests, so the first use says which one to pin.

    Attributes:
        name: ``densenet121`` or ``resnet50``.
        weights: None (from scratch), ``pretrained``, a name of torchxrayvision (``densenet121-res224-nih``), ``file:<path>`` or
            ``run:<folder>[#<stage>]``.
        sha256: Digest the weights must have.
        size: Height and width, pixels; None for 224 (DenseNet) or 512 (ResNet).
    """

    name: str = "densenet121"
    weights: str | None = None
    sha256: str | None = None
    size: int | None = None

    @property
    def channels(self) -> int:
        """Grey, as all networks of torchxrayvision."""
        return 1

    def build(self, findings: Sequence[str], *, seed: int) -> Network:
        """Build the network; see ``medsetu.backbone.assemble.assemble``."""
        return assemble(self, findings, seed=seed, rows=self.rows, module_classes=_CLASSES)

    def card(self) -> WeightCard | None:
        """Describe the weights and their terms; see ``medsetu.backbone.terms.card_of``."""
        return card_of(self)

    def taught(self) -> InputSpec:
        """Describe what the library's weights were taught on: (x - 0.5) * 2048 takes [0, 1] to [-1024, 1024]."""
        size = self._facts()["input_resolution"]
        return InputSpec((size, size), 1, (0.5,), (1 / 2048,))

    def published(self) -> Published:
        """Say where the library keeps the weights."""
        card = find_weight_card("torchxrayvision", self._tag())
        return of_card(card) if card else Published(self._facts()["weights_url"])

    def trunk(self, *, channels: int, state: State | None) -> nn.Module:
        """Build the architecture without its classifier."""
        if self._tag().startswith("densenet"):
            model = import_innocently().models.DenseNet(weights=None, in_channels=channels)
        else:
            import torchvision

            model = torchvision.models.resnet50(weights=None)
            read_channels(model, channels)
        kept = None if state is None else {name: tensor for name, tensor in state.items() if name != "op_threshs"}
        return load_beheaded(model, kept, where=f"torchxrayvision architecture '{self.name}'")

    def rows(self, state: State) -> Rows:
        """Take the trained rows of the library's head, by finding; slots without a name or an operating point were never trained."""
        head = "classifier" if self._tag().startswith("densenet") else "fc"
        weight, bias = state.get(f"{head}.weight"), state.get(f"{head}.bias")
        facts = self._facts()
        if weight is None or bias is None or len(weight) != len(facts["labels"]) or (self.weights or "").startswith("file:"):
            return {}
        pairs = zip(facts["labels"], facts["op_threshs"], strict=True)
        return {
            finding_name(label): (weight[row], bias[row]) for row, (label, point) in enumerate(pairs) if label and not math.isnan(point)
        }

    def _tag(self) -> str:
        if self.name not in _DEFAULT:
            raise ConfigError(what=f"torchxrayvision has no '{self.name}'", where="backbone.name", value=self.name, allowed=list(_DEFAULT))
        tag = _DEFAULT[self.name] if is_untagged(self.weights) else str(self.weights)
        if tag not in _KNOWN or not tag.startswith(self.name):
            allowed = [PRETRAINED, *(known for known in _KNOWN if known.startswith(self.name))]
            raise ConfigError(what=f"torchxrayvision has no weights '{tag}'", where="backbone.weights", value=tag, allowed=allowed)
        return tag

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = import_innocently().models.model_urls[self._tag()]
        return facts


def import_innocently() -> ModuleType:
    """Import torchxrayvision and undo that it silences all warnings of the process.

    Raises:
        ResourceError: The package is not installed.
    """
    with warnings.catch_warnings():
        try:
            import torchxrayvision
        except ImportError as error:
            raise missing_extra(package="torchxrayvision", extra="xrv", needed_for="the torchxrayvision backbone") from error
    module: ModuleType = torchxrayvision
    return module
