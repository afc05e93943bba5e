# SPDX-License-Identifier: Apache-2.0
"""Low-rank updates of frozen layers (LoRA, DoRA), merged into the layers before the weights are kept."""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError, missing_extra
from medsetu.tuning.call import called_modules
from medsetu.tuning.strategy import Strategy, parameter_groups

KINDS: dict[str, type[nn.Module]] = {"linear": nn.Linear, "conv": nn.Conv2d}


@dataclass(frozen=True)
class Lora(Strategy):
    """Each chosen layer W of the trunk becomes W + (alpha / rank) B A, where only A and B move, and the head (Hu et al. 2022).

    B starts at zero, so the start is the starting network. Batch statistics of the trunk stay as they are. What is kept is a network of
    the original architecture, with B A added to W. The draw of A comes from torch's global generator, which a stage seeds.

    Attributes:
        rank: Rows of A, columns of B; at least 1.
        alpha: Scale of the update, divided by ``rank``; above 0.
        dropout: Share of the inputs of A that is dropped in training, in [0, 1).
        layers: Kinds of layers that are adapted: ``linear``, ``conv``, or both; see ``adapted_layers``.
        dora: Learn the length of each row of W apart from its direction (DoRA, Liu et al. 2024).
        head_lr: Learning rate of the head, times that of the updates; 0 or more.
        statistics: ``frozen``, since the layers below do not move either; see ``Strategy``.

    Raises:
        ConfigError: A value is out of its range.
        ResourceError: The package ``peft`` is not installed (when a stage is built).
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    layers: Sequence[str] = tuple(KINDS)
    dora: bool = False
    head_lr: float = 1.0
    statistics: str = field(default="frozen", kw_only=True)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        rules = {
            "rank": (self.rank >= 1, "at least 1"),
            "alpha": (self.alpha > 0, "above 0"),
            "dropout": (0 <= self.dropout < 1, "in [0, 1)"),
            "layers": (bool(self.layers) and set(self.layers) <= set(KINDS), f"a list of {' and '.join(KINDS)}"),
            "head_lr": (self.head_lr >= 0, "0 or more"),
        }
        for key, (holds, wanted) in rules.items():
            if not holds:
                raise ConfigError(
                    what=f"Low-rank tuning cannot have {key}={getattr(self, key)}", where=f"tuning.{key}", remedy=f"It must be {wanted}"
                )

    def install(self, network: Network) -> None:
        """Put A and B beside each chosen layer, in place."""
        peft, names = _peft(), adapted_layers(network, kinds=self.layers)
        exactly = "|".join(re.escape(name) for name in names)  # a plain list would be matched by the ends of names
        config = peft.LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, use_dora=self.dora, target_modules=f"(?:{exactly})"
        )
        network.trunk = peft.inject_adapter_in_model(config, network.trunk)

    def free(self, network: Network) -> None:
        """Free the updates and the head."""
        network.requires_grad_(requires_grad=False)
        network.head.requires_grad_(requires_grad=True)
        for parameter in _updates(network):
            parameter.requires_grad = True

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """See ``parameter_groups`` of ``medsetu.tuning.strategy``; lengths of rows (DoRA) are scales, and are not decayed."""
        lengths = {id(parameter) for parameter in _lengths(network)}
        result = []
        for group in parameter_groups(network, lr=lr, weight_decay=weight_decay, head_lr=self.head_lr):
            apart = [parameter for parameter in group["params"] if id(parameter) in lengths]
            rest = [parameter for parameter in group["params"] if id(parameter) not in lengths]
            result += [{**group, "params": rest}] if rest else []
            result += [{"name": "trunk/length", "params": apart, "lr": lr, "weight_decay": 0.0}] if apart else []
        return result

    def export(self, network: Network) -> Network:
        """Give a copy of the original architecture, each update merged into its layer."""
        merged = copy.deepcopy(network)
        for name, module in _adapted(merged.trunk):
            module.merge()
            merged.trunk.set_submodule(name, module.get_base_layer())
        return merged


def adapted_layers(network: Network, *, kinds: Sequence[str]) -> tuple[str, ...]:
    """Find the layers of the trunk that a low-rank update can be merged into, by what they are and do, never by name.

    A layer counts when it is exactly ``nn.Linear`` or ``nn.Conv2d`` (a subclass may compute something else from its weight), when its
    channels are not grouped, and when the trunk calls it: where a parent reads the weight itself, an update beside it would be ignored.

    Args:
        network: Unchanged; one image of noise is shown to its trunk.
        kinds: ``linear``, ``conv`` or both.

    Returns:
        Names of modules within the trunk.

    Raises:
        ConfigError: There is no such layer.
    """
    wanted = tuple(KINDS[kind] for kind in kinds)
    candidates = {module: name for name, module in network.trunk.named_modules() if type(module) in wanted and _merges(module)}
    called = called_modules(network, candidates)
    names = tuple(name for module, name in candidates.items() if module in called)
    if not names:
        raise ConfigError(
            what=f"The trunk has no layer of kind {' or '.join(kinds)} that can be adapted",
            where="tuning.layers",
            remedy="Choose another kind, another backbone or another strategy",
        )
    return names


def _merges(module: nn.Module) -> bool:
    return not isinstance(module, nn.Conv2d) or module.groups == 1


def _adapted(trunk: nn.Module) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in trunk.named_modules() if isinstance(module, LoraLayer)]


def _updates(network: Network) -> list[Tensor]:
    """Parameters of the updates: everything in an adapted layer but the layer itself."""
    found = []
    for _, module in _adapted(network.trunk):
        own = {id(parameter) for parameter in module.get_base_layer().parameters()}
        found += [parameter for parameter in module.parameters() if id(parameter) not in own]
    return found


def _lengths(network: Network) -> list[Tensor]:
    return [parameter for _, module in _adapted(network.trunk) for parameter in module.lora_magnitude_vector.parameters()]


def _peft() -> ModuleType:
    try:
        import peft
    except ImportError as error:
        raise missing_extra(package="peft", extra="lora", needed_for="the strategies lora and dora") from error
    module: ModuleType = peft
    return module
