# SPDX-License-Identifier: Apache-2.0
"""Stages that learn from films without labels: two views of a film must agree (SimCLR), or hidden patches are painted in (MAE).

Losses, heads and masking are those of ``lightly`` (MIT). The trunk is the network's own, so what a stage leaves behind is an ordinary
network without findings, and the next stage gives it a head.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from medsetu.backbone.network import Network, seeded
from medsetu.core.errors import ConfigError, missing_extra


class Task(nn.Module, ABC):
    """What a pretext adds to the network for the time of the stage: its own weights, and the loss; the trunk is handed in each time."""

    @abstractmethod
    def forward(self, network: Network, views: Sequence[Tensor]) -> Tensor:
        """Compute the mean loss of a batch.

        Args:
            network: The network that learns.
            views: As many times (B, C, H, W) as the pretext has views, normalised by the network's spec, the same films in each.

        Returns:
            Scalar.
        """


class Pretext(ABC):
    """A task that needs no labels; configuration without state, like a strategy."""

    augment: Any

    @property
    @abstractmethod
    def name(self) -> str:
        """Name for tables and cards."""

    @property
    @abstractmethod
    def views(self) -> int:
        """How many random views of each film the task compares."""

    @abstractmethod
    def build(self, network: Network, *, seed: int) -> Task:
        """Build what the task adds to a network; its first weights depend on the seed alone."""


@dataclass(frozen=True)
class SimCLR(Pretext):
    """Two random views of a film lie close, those of other films far (Chen et al. 2020, arXiv:2002.05709); any backbone.

    The other films of the batch are what a film is told apart from, so the batch should be large; two films of one patient count as
    different.

    Attributes:
        temperature: Of the softmax over similarities, above 0.
        width: Numbers of the projection that is compared, at least 1.
        augment: Random changes that make a view; None for those of the data section.

    Raises:
        ConfigError: A value is out of range.
    """

    temperature: float = 0.1
    width: int = 128
    augment: Any = None

    def __post_init__(self) -> None:
        _require("temperature", self.temperature, holds=self.temperature > 0, wanted="above 0")
        _require("width", self.width, holds=self.width >= 1, wanted="at least 1")

    @property
    def name(self) -> str:
        """See ``Pretext``."""
        return "SimCLR"

    @property
    def views(self) -> int:
        """See ``Pretext``."""
        return 2

    def build(self, network: Network, *, seed: int) -> Task:
        """See ``Pretext``."""
        try:
            from lightly.loss.ntx_ent_loss import NTXentLoss
            from lightly.models.modules.heads import SimCLRProjectionHead
        except ImportError as error:
            raise missing_extra(package="lightly", extra="ssl", needed_for="stages without labels") from error
        width = network.head.in_features
        with seeded(seed):
            return _Contrast(SimCLRProjectionHead(width, width, self.width), NTXentLoss(temperature=self.temperature))


class _Contrast(Task):
    def __init__(self, projection: nn.Module, loss: nn.Module) -> None:
        super().__init__()
        self.projection, self.loss = projection, loss

    def forward(self, network: Network, views: Sequence[Tensor]) -> Tensor:
        one, two = (self.projection(network.features(view)) for view in views)
        return cast(Tensor, self.loss(one.float(), two.float()))


@dataclass(frozen=True)
class MaskedAutoencoder(Pretext):
    """Most patches of a film are hidden and painted in from the rest (He et al. 2022, arXiv:2111.06377); plain ViTs of timm only.

    Attributes:
        mask: Share of the patches that are hidden, in (0, 1).
        decoder_width: Width of the decoder, which is thrown away afterwards; a multiple of ``decoder_heads`` and of 4.
        decoder_depth: Blocks of the decoder, at least 1.
        decoder_heads: Attention heads of the decoder, at least 1.
        augment: Random changes of the films; None for those of the data section.

    Raises:
        ConfigError: A value is out of range.
    """

    mask: float = 0.75
    decoder_width: int = 128
    decoder_depth: int = 2
    decoder_heads: int = 4
    augment: Any = None

    def __post_init__(self) -> None:
        _require("mask", self.mask, holds=0 < self.mask < 1, wanted="between 0 and 1")
        _require("decoder_depth", self.decoder_depth, holds=self.decoder_depth >= 1, wanted="at least 1")
        heads = self.decoder_heads
        fits = heads >= 1 and self.decoder_width >= 4 and self.decoder_width % max(1, heads) == 0 and self.decoder_width % 4 == 0
        _require("decoder_width", self.decoder_width, holds=fits, wanted="a multiple of decoder_heads and of 4")

    @property
    def name(self) -> str:
        """See ``Pretext``."""
        return "masked autoencoder"

    @property
    def views(self) -> int:
        """See ``Pretext``."""
        return 1

    def build(self, network: Network, *, seed: int) -> Task:
        """See ``Pretext``.

        Raises:
            ConfigError: The trunk is no plain ViT of timm with one class token.
            ResourceError: The package lightly is not installed.
        """
        from timm.models.vision_transformer import VisionTransformer

        if not isinstance(network.trunk, VisionTransformer) or network.trunk.num_prefix_tokens != 1:
            raise ConfigError(
                what=f"A masked autoencoder cannot hide patches of a {type(network.trunk).__name__}",
                where="stages.*.pretext",
                remedy="Choose a plain ViT of timm as the backbone (vit_small_timm, dinov2_vit_small_timm), or the pretext simclr",
            )
        try:
            import lightly.models.modules  # noqa: F401 - is it there?
        except ImportError as error:
            raise missing_extra(package="lightly", extra="ssl", needed_for="stages without labels") from error
        with seeded(seed):
            return _Painting(network, self)


class _Painting(Task):
    """Encoder of lightly around the network's own ViT, and a small decoder.

    The encoder is kept in a list, which hides it from the module tree: its weights are the network's and are counted there.
    """

    def __init__(self, network: Network, plan: MaskedAutoencoder) -> None:
        from lightly.models.modules.masked_vision_transformer_decoder_timm import MaskedVisionTransformerDecoderTIMM
        from lightly.models.modules.masked_vision_transformer_timm import MaskedVisionTransformerTIMM

        super().__init__()
        trunk: Any = network.trunk
        self.mask, self.patch = plan.mask, int(trunk.patch_embed.patch_size[0])
        self._encoder = [MaskedVisionTransformerTIMM(vit=trunk, weight_initialization="skip", pos_embed_initialization="skip")]
        self.length = int(self._encoder[0].sequence_length)
        self.narrow = nn.Linear(trunk.embed_dim, plan.decoder_width)
        self.decoder = MaskedVisionTransformerDecoderTIMM(
            num_patches=self.length - 1, embed_dim=plan.decoder_width, depth=plan.decoder_depth, num_heads=plan.decoder_heads
        )
        self.paint = nn.Linear(plan.decoder_width, self.patch**2 * network.native.channels)

    def forward(self, network: Network, views: Sequence[Tensor]) -> Tensor:
        from lightly.models import utils

        image = network.stem(views[0])
        keep, hide = (index.to(image.device) for index in self._indices(len(image)))
        seen = self.narrow(self._encoder[0].encode(image, idx_keep=keep))
        tokens = utils.repeat_token(self.decoder.mask_token, (len(image), self.length))
        tokens = utils.set_at_index(tokens, keep, seen.type_as(tokens))
        painted = self.paint(utils.get_at_index(self.decoder(tokens), hide)).float()
        wanted = utils.get_at_index(utils.patchify(image.contiguous(), self.patch), hide - 1).float()  # the class token has no patch
        mean, spread = wanted.mean(-1, keepdim=True), wanted.var(-1, keepdim=True)
        loss: Tensor = (painted - (wanted - mean) / (spread + 1e-6).sqrt()).square().mean()
        return loss

    def _indices(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw what is hidden from torch's global generator, which a resume restores; validation hides the same each time."""
        from lightly.models import utils

        if self.training:
            return cast(tuple[Tensor, Tensor], utils.random_token_mask((count, self.length), mask_ratio=self.mask, device="cpu"))
        with seeded(0):
            return cast(tuple[Tensor, Tensor], utils.random_token_mask((count, self.length), mask_ratio=self.mask, device="cpu"))


def _require(key: str, value: float, *, holds: bool, wanted: str) -> None:
    if not holds:
        raise ConfigError(what=f"{key} cannot be {value}", where=f"stages.*.pretext.{key}", remedy=f"It must be {wanted}")
