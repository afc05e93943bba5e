# SPDX-License-Identifier: Apache-2.0
"""Sources of architectures: timm, torchvision and MONAI, each a small frozen object with ``build``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from medsetu.backbone.assemble import UNTAUGHT_MEAN, UNTAUGHT_STD, assemble
from medsetu.backbone.fetch import PRETRAINED, Published, is_untagged, of_card
from medsetu.backbone.network import Network
from medsetu.backbone.spec import InputSpec
from medsetu.backbone.stored import State
from medsetu.backbone.terms import card_of
from medsetu.backbone.trunk import load_beheaded, read_channels
from medsetu.backbone.weights import compare
from medsetu.catalog.weights import WeightCard, find_weight_card
from medsetu.core.errors import ConfigError, WeightError, nearest

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_VOLUME = 96  # voxels per side, where nobody says
_AUXILIARY = ("googlenet", "inception_v3")  # they answer with two heads while training
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
        options: Further arguments that timm builds the architecture with.
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    revision: str | None = None
    channels: int = 1
    size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self, findings: Sequence[str], *, seed: int) -> Network:
        """Build the network; see ``medsetu.backbone.assemble.assemble``."""
        return assemble(self, findings, seed=seed)

    def card(self) -> WeightCard | None:
        """Describe the weights and their terms; see ``medsetu.backbone.terms.card_of``."""
        return card_of(self)

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
        card = find_weight_card("timm", f"{known.architecture}.{known.tag}")
        if card:
            return of_card(card, revision=self.revision)
        if known.hf_hub_id:
            filename = known.hf_hub_filename or "model.safetensors"
            return Published(known.hf_hub_id, filename, known.license or "", trained_on, self.revision)
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
            compare(empty.state_dict(), state).require(
                minimum_share=1.0, where=f"Weights {self.weights}, read as timm architecture '{self.name}'"
            )
            raise WeightError(
                what=f"timm cannot read these weights ({type(error).__name__})", where=self.name, remedy="Give weights of this architecture"
            ) from error
        model.reset_classifier(0)
        return cast(nn.Module, model)

    def _tagged(self) -> str:
        return self.name if is_untagged(self.weights) else f"{self.name.split('.')[0]}.{self.weights}"

    def _create(self, channels: int, *, classes: int, **more: Any) -> Any:  # noqa: ANN401 - handed on to timm
        import timm

        if self._facts().fixed_input_size and self.size:
            more["img_size"] = self.size
        return timm.create_model(self._tagged(), num_classes=classes, in_chans=channels, **{**self.options, **more})

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


@dataclass(frozen=True)
class TorchvisionBackbone:
    """A network of torchvision.

    Attributes:
        name: Architecture of torchvision, such as ``densenet121``.
        weights: None (from scratch), ``pretrained``, a member of torchvision's enum (``IMAGENET1K_V2``), ``file:<path>`` or
            ``run:<folder>[#<stage>]``.
        sha256: Digest the weights must have; torchvision's own carry one in their name.
        channels: Channels of the images; grey ones (1) also meet weights taught on colour, without loss.
        size: Height and width, pixels; None for the size the weights were taught on.
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    channels: int = 1
    size: int | None = None

    def build(self, findings: Sequence[str], *, seed: int) -> Network:
        """Build the network; see ``medsetu.backbone.assemble.assemble``."""
        return assemble(self, findings, seed=seed)

    def card(self) -> WeightCard | None:
        """Describe the weights and their terms; see ``medsetu.backbone.terms.card_of``."""
        return card_of(self)

    def taught(self) -> InputSpec:
        """Describe what torchvision's weights were taught on."""
        preset = self._member().transforms()
        return InputSpec((preset.crop_size[0],) * 2, 3, tuple(preset.mean), tuple(preset.std))

    def published(self) -> Published:
        """Say where torchvision keeps the weights."""
        member = self._member()
        card = find_weight_card("torchvision", f"{self.name}.{member.name}")
        return of_card(card) if card else Published(member.url, licence="BSD-3-Clause", trained_on=("imagenet-1k",))

    def trunk(self, *, channels: int, state: State | None) -> nn.Module:
        """Build the architecture without its classifier."""
        import torchvision

        size = {"image_size": self.size} if self.name.startswith("vit_") and self.size else {}
        self._member()
        model = torchvision.models.get_model(self.name, weights=None, **size)
        read_channels(model, channels)
        return load_beheaded(model, state, where=f"torchvision architecture '{self.name}'")

    def _member(self) -> Any:  # noqa: ANN401 - torchvision's weights enums have no common type
        import torchvision

        known = torchvision.models.list_models(module=torchvision.models, exclude=_AUXILIARY)
        if self.name not in known:
            guess = nearest(self.name, known)
            raise ConfigError(
                what=f"torchvision has no '{self.name}'",
                where="backbone.name",
                remedy=f"Did you mean '{guess}'?" if guess else "See torchvision.models.list_models()",
            )
        members = torchvision.models.get_model_weights(self.name)
        if is_untagged(self.weights):
            return members.DEFAULT
        if self.weights not in members.__members__:
            raise ConfigError(
                what=f"torchvision has no weights '{self.weights}' for '{self.name}'",
                where="backbone.weights",
                value=self.weights,
                allowed=[PRETRAINED, *members.__members__],
            )
        return members[self.weights]


@dataclass(frozen=True)
class MonaiBackbone:
    """A network of MONAI, of two or three dimensions.

    Attributes:
        name: ``densenet121``, ``densenet169``, ``densenet201``, ``resnet10`` to ``resnet200``, or ``efficientnet-b0`` to ``-b8``.
        weights: None (from scratch), ``pretrained`` (DenseNets only: torchvision's, as MONAI does), ``file:<path>`` or
            ``run:<folder>[#<stage>]``.
        sha256: Digest the weights must have.
        channels: Channels of the images; grey ones (1) also meet weights taught on colour, without loss.
        size: Height and width, pixels, and depth of volumes; None for 224, and 96 of volumes.
        dimensions: 2 for pictures, 3 for volumes.
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    channels: int = 1
    size: int | None = None
    dimensions: int = 2

    def __post_init__(self) -> None:
        if self.dimensions not in (2, 3):
            raise ConfigError(what=f"{self.dimensions} dimensions are impossible", where="backbone.dimensions", remedy="Give 2 or 3")

    def build(self, findings: Sequence[str], *, seed: int) -> Network:
        """Build the network; see ``medsetu.backbone.assemble.assemble``."""
        return assemble(self, findings, seed=seed)

    def card(self) -> WeightCard | None:
        """Describe the weights and their terms; see ``medsetu.backbone.terms.card_of``."""
        return card_of(self)

    def taught(self) -> InputSpec:
        """Describe what the weights were taught on: ImageNet, as all of MONAI's in two dimensions; volumes have none."""
        if self.dimensions == 3:
            return InputSpec((_VOLUME,) * 3, 1, (UNTAUGHT_MEAN,), (UNTAUGHT_STD,))
        return InputSpec((224, 224), 3, IMAGENET_MEAN, IMAGENET_STD)

    def published(self) -> Published:
        """Say where the weights lie."""
        if self.weights != PRETRAINED or self.dimensions == 3 or not self.name.startswith("densenet"):
            raise ConfigError(
                what=f"MONAI offers no weights '{self.weights}' for '{self.name}' in {self.dimensions} dimensions",
                where="backbone.weights",
                remedy="Set backbone.weights=null, give a file, or use the torchvision or timm backbone of this architecture",
            )
        return TorchvisionBackbone(self.name, weights=PRETRAINED).published()

    def trunk(self, *, channels: int, state: State | None) -> nn.Module:
        """Build the architecture without its classifier."""
        from monai.networks import nets
        from monai.networks.nets.efficientnet import EfficientNetBN

        builders: dict[str, Any] = {f"densenet{depth}": getattr(nets, f"DenseNet{depth}") for depth in (121, 169, 201)}
        builders |= {f"resnet{depth}": getattr(nets, f"resnet{depth}") for depth in (10, 18, 34, 50, 101, 152, 200)}
        builders |= {f"efficientnet-b{scale}": EfficientNetBN for scale in range(9)}
        if self.name not in builders:
            raise ConfigError(what=f"No MONAI backbone '{self.name}'", where="backbone.name", value=self.name, allowed=sorted(builders))
        if self.name.startswith("densenet"):
            model = builders[self.name](spatial_dims=self.dimensions, in_channels=channels, out_channels=1)
        elif self.name.startswith("resnet"):
            model = builders[self.name](spatial_dims=self.dimensions, n_input_channels=channels, num_classes=1)
        else:
            model = EfficientNetBN(self.name, pretrained=False, spatial_dims=self.dimensions, in_channels=channels, num_classes=1)
        return load_beheaded(model, state, where=f"MONAI architecture '{self.name}'")


def _rows_of(state: State, classifier: str | Sequence[str] | None) -> int:
    """Count the classes of a timm checkpoint, 0 when it has no classifier."""
    name = classifier if isinstance(classifier, str) or classifier is None else classifier[0]
    weight = state.get(f"{name}.weight")
    return 0 if weight is None else len(weight)
