# SPDX-License-Identifier: Apache-2.0
"""Side adapters: small residual networks beside the frozen blocks of a trunk, which alone move, and the head."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from medsetu.backbone.adapter import PLACES, attach, attached
from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.tuning.call import Call, called_modules
from medsetu.tuning.group import STEM, block_of, count_weighted
from medsetu.tuning.part import norms
from medsetu.tuning.strategy import Strategy, parameter_groups, require_rate

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_COMPOUND = (
    0.7  # of the weighted layers; a block with squeeze-and-excitation has up to a half in it, a ConvNeXt block two thirds in its MLP
)


@dataclass(frozen=True)
class SideAdapters(Strategy):
    """Each unit of the trunk gets a bottleneck whose output is added to the unit's; only these move, and the head.

    In a transformer the units are attention and MLP of each block (Houlsby et al. 2019; side by side with them: He et al. 2022, AdaptFormer
    of Chen et al. 2022), in a convolutional network its residual, dense or inverted blocks, with 1 x 1 convolutions (Rebuffi et al. 2017;
    beside: Rebuffi et al. 2018, Li et al. 2022). See ``adapter_sites``. Adapters begin at zero, so the start is the starting network. They
    stay apart from the trunk in what is kept, and are built again from its file. The first layer of each is drawn from torch's global
    generator, which a stage seeds. A network that has adapters already goes on with them, if they are the ones asked for.

    Attributes:
        hidden: Hidden channels of an adapter, at least 1; never more than half the channels of its unit.
        place: ``after`` a unit, from what it gives, or ``beside`` it, from what it is given; then only units whose shape stays have one.
        norm: Scale and shift of the trunk's normalisation layers move too.
        head_lr: Learning rate of the head, times that of the adapters; 0 or more.
        statistics: ``frozen``, since the layers below do not move either; see ``Strategy``.

    Raises:
        ConfigError: A value is out of its range.
    """

    hidden: int = 32
    place: str = "after"
    norm: bool = False
    head_lr: float = 1.0
    statistics: str = field(default="frozen", kw_only=True)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_rate(self.head_lr, key="head_lr")
        if self.hidden < 1:
            raise ConfigError(what=f"An adapter cannot have {self.hidden} channels", where="tuning.hidden", remedy="Give 1 or more")
        if self.place not in PLACES:
            raise ConfigError(what=f"An adapter has no place '{self.place}'", where="tuning.place", value=self.place, allowed=PLACES)

    def install(self, network: Network) -> None:
        """Put the adapters beside the trunk, in place.

        Raises:
            ConfigError: No unit can have one, or the network has other adapters already.
        """
        present, wanted = attached(network), adapter_sites(network, hidden=self.hidden, place=self.place)
        if present and present != wanted:
            raise ConfigError(
                what=f"The network has {len(present)} adapters from a stage before, which are not those asked for ({len(wanted)})",
                where="tuning",
                remedy="Use the same hidden and place in both stages, or train these adapters with tuning=full",
            )
        if not present:
            attach(network, wanted)

    def free(self, network: Network) -> None:
        """Free adapters and head, and normalisation layers where asked for."""
        network.requires_grad_(requires_grad=False)
        network.head.requires_grad_(requires_grad=True)
        network.adapters.requires_grad_(requires_grad=True)
        for layer in norms(network.trunk) if self.norm else ():
            layer.requires_grad_(requires_grad=True)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of ``medsetu.tuning.strategy``."""
        return parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr)


def adapter_sites(network: Network, *, hidden: int, place: str) -> dict[str, dict[str, Any]]:
    """Find the units of a trunk that an adapter can stand beside, by what they are and do, never by name.

    A module is opened where most of its weighted layers lie in children that are themselves compound, and is a unit where they do not: a
    residual block, a dense layer, attention, an MLP. Units of the stem have no adapter; a trunk without units, such as a VGG, has one at
    each weighted layer. Where a unit hands on what it was given and appends to it (dense layers of some libraries), only what is new is
    adapted. The trunk must call a unit, for else a hook would be ignored, and its answer must have the channels where its
    layers put them: last for linear layers, first for convolutions.

    Args:
        network: Unchanged; one empty image is shown to its trunk.
        hidden: Hidden channels.
        place: ``after`` or ``beside``.

    Returns:
        What ``medsetu.backbone.adapter.attach`` wants.

    Raises:
        ConfigError: There is no such unit.

    Example:
        >>> from medsetu.backbone.zoo import TimmBackbone
        >>> list(adapter_sites(TimmBackbone("test_vit", size=32).build(["mass"], seed=0), hidden=8, place="after"))[:2]
        ['blocks.0.attn', 'blocks.0.mlp']
    """
    trunk, blocks = network.trunk, block_of(network)
    paths = {module: path for path, module in trunk.named_modules()}
    units = [unit for unit in _units(trunk) if {blocks[f"trunk.{paths[unit]}.{name}"] for name, _ in unit.named_parameters()} != {STEM}]
    if any(2 * count_weighted(unit) > count_weighted(trunk) for unit in units):
        units = []
    candidates = units or [module for module in trunk.modules() if isinstance(module, _WEIGHTED)]
    calls = called_modules(network, candidates)
    sites = {}
    for unit in candidates:
        found = None if unit not in calls else _site(unit, calls[unit], hidden=hidden, place=place)
        if found is not None:
            sites[paths[unit]] = found
    if not sites:
        raise ConfigError(
            what=f"The trunk has no unit that an adapter can stand {place}",
            where="tuning",
            remedy="Use place=after, another backbone or another strategy",
        )
    return sites


def _site(unit: nn.Module, call: Call, *, hidden: int, place: str) -> dict[str, Any] | None:
    """Describe the adapter of a unit; None where its answer has no channels, or its shape changes beside it."""
    answer = call.answer[0] if isinstance(call.answer, tuple) else call.answer
    if not isinstance(answer, Tensor) or answer.ndim < 2:
        return None
    given = call.given[0] if call.given else None
    if place == "beside" and not (isinstance(given, Tensor) and given.shape == answer.shape):
        return None
    layout = "token" if _channels_last(unit, answer) else {4: "image", 5: "volume"}.get(answer.ndim)
    if layout is None:
        return None
    channels = answer.shape[-1 if layout == "token" else 1]
    skip = _handed_on(given, answer) if layout != "token" else 0
    width = channels - skip
    return {"width": width, "hidden": min(hidden, max(1, width // 2)), "layout": layout, "place": place, "skip": skip}


def _handed_on(given: object, answer: Tensor) -> int:
    """Count the leading channels that are what the unit was given, where others follow them."""
    if not isinstance(given, Tensor) or given.ndim != answer.ndim or given.shape[1] >= answer.shape[1]:
        return 0
    return given.shape[1] if torch.equal(answer[:, : given.shape[1]], given) else 0


def _channels_last(unit: nn.Module, answer: Tensor) -> bool:
    """Tell whether channels are the last dimension: in a sequence of tokens, and in a map that no convolution has made."""
    convolutions = [module for module in unit.modules() if isinstance(module, (nn.Conv2d, nn.Conv3d))]
    widths = {module.out_channels for module in convolutions}
    return answer.ndim <= 3 or not convolutions or (answer.shape[1] not in widths and answer.shape[-1] in widths)


def _units(module: nn.Module) -> Iterator[nn.Module]:
    """Units below a module, which is none itself; a wrapper around a single unit is the unit."""
    for child in module.children():
        if not _is_compound(child):
            continue
        if not _opens(child):
            yield child
            continue
        inner = list(_units(child))
        alone = inner[0] if len(inner) == 1 else None
        yield from [child] if alone is not None and count_weighted(alone) == count_weighted(child) else inner


def _opens(module: nn.Module) -> bool:
    return sum(count_weighted(child) for child in module.children() if _is_compound(child)) >= _COMPOUND * count_weighted(module)


def _is_compound(module: nn.Module) -> bool:
    return count_weighted(module) > 1
