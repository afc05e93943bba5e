# SPDX-License-Identifier: Apache-2.0
"""Sources of architectures: timm, torchvision and MONAI, each a small frozen object with ``build``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from medsetu.backbone.assemble import assemble
from medsetu.backbone.fetch import PRETRAINED, Published
from medsetu.backbone.network import Network
from medsetu.backbone.spec import InputSpec
from medsetu.backbone.stored import State
from medsetu.backbone.weights import Rows, compare
from medsetu.core.errors import ConfigError, WeightError, nearest

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TRAINED_ON = {"in1k": "imagenet-1k", "in12k": "imagenet-12k", "in21k": "imagenet-21k", "in22k": "imagenet-21k", "lvd142m": "lvd-142m"}


@dataclass(frozen=True)
class TimmBackbone:
    """A network of timm.

    Attributes:
        name: Architecture of timm, with a tag where one is meant: ``resnet18`` or ``resnet18.a1_in1k``.
        weights: None (from scratch), ``pretrained``, a tag of timm, ``file:<path>`` or ``run:<folder>[#<stage>]``.
        sha256: Digest the weights must have.
        revision: Commit, branch or tag on the hub.
        channels: Channels of the images; grey ones (1) also meet weights taught on colour, without loss.
        size: Height and width, pixels; None for the size the weights were taught on.
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    revision: str | None = None
    channels: int = 1
    size: int | None = None

    def build(self, findings: Sequence[str], *, seed: int) -> Network:
        """Build the network; see ``medsetu.backbone.assemble.assemble``."""
        return assemble(self, findings, seed=seed)

    def taught(self) -> InputSpec:
        """Describe what timm's weights of this name were taught on."""
        known = self._facts()
        channels, height, width = known.input_size
        return InputSpec((height, width), channels, tuple(known.mean), tuple(known.std))

    def published(self) -> Published:
        """Say where timm keeps the weights: the hub, else the address of its release."""
        known = self._facts()
        words = re.split(r"[_.]", known.tag or "")
        trained_on = tuple(dict.fromkeys(_TRAINED_ON[word] for word in words if word in _TRAINED_ON))
        if known.hf_hub_id:
            filename = known.hf_hub_filename or "model.safetensors"
            return Published(known.hf_hub_id, filename, licence=known.license or "", trained_on=trained_on)
        if isinstance(known.url, str) and known.url:
            return Published(known.url, licence=known.license or "", trained_on=trained_on)
        raise WeightError(
            what=f"timm offers no weights for '{self.name}'", where="backbone.weights", remedy="Set backbone.weights=null, or give a file"
        )

    def trunk(self, *, channels: int, state: State | None) -> nn.Module:
        """Build the architecture without its classifier; timm's own filter translates the names of older files."""
        known = self._facts()
        if state is None:
            return cast(nn.Module, self._create(channels, classes=0))
        classes = _rows_of(state, known.classifier)
        overlay = {"state_dict": dict(state), "num_classes": classes, "input_size": (channels, *known.input_size[1:]), "custom_load": False}
        try:
            model = self._create(channels, classes=classes, pretrained=True, pretrained_cfg_overlay=overlay)
        except (RuntimeError, KeyError, AttributeError, IndexError) as error:  # timm is strict when no number has to be adapted
            empty = self._create(channels, classes=classes)
            compare(empty.state_dict(), state).require(minimum_share=1.0, where=f"timm architecture '{self.name}'")
            raise WeightError(
                what=f"timm cannot read these weights ({type(error).__name__})", where=self.name, remedy="Give weights of this architecture"
            ) from error
        model.reset_classifier(0)
        return cast(nn.Module, model)

    def rows(self, state: State) -> Rows:
        """No row: the classes of published weights are no findings."""
        del state
        return {}

    def _tagged(self) -> str:
        own = self.weights
        plain = own is None or own == PRETRAINED or own.startswith(("file:", "run:"))
        return self.name if plain else f"{self.name.split('.')[0]}.{own}"

    def _create(self, channels: int, *, classes: int, **more: Any) -> Any:  # noqa: ANN401 - handed on to timm
        import timm

        if self._facts().fixed_input_size and self.size:
            more["img_size"] = self.size
        return timm.create_model(self._tagged(), num_classes=classes, in_chans=channels, **more)

    def _facts(self) -> "PretrainedCfg":
        import timm
        from timm.models import PretrainedCfg

        architecture, _, tag = self._tagged().partition(".")
        if not timm.is_model(architecture):
            guess = nearest(architecture, timm.list_models())
            raise ConfigError(
                what=f"timm has no architecture '{architecture}'",
                where="backbone.name",
                remedy=f"Did you mean '{guess}'?" if guess else "See timm.list_models()",
            )
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
        if tag and tag not in tags:
            raise ConfigError(what=f"timm has no weights '{tag}' for '{architecture}'", where="backbone", value=tag, allowed=tags)
        return timm.get_pretrained_cfg(self._tagged()) or PretrainedCfg()


def _rows_of(state: State, classifier: str | Sequence[str] | None) -> int:
    """Count the classes of a timm checkpoint, 0 when it has no classifier."""
    name = classifier if isinstance(classifier, str) or classifier is None else classifier[0]
    weight = state.get(f"{name}.weight")
    return 0 if weight is None else len(weight)
