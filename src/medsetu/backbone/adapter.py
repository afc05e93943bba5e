# SPDX-License-Identifier: Apache-2.0
"""Small residual networks beside the modules of a trunk, kept apart from it and applied by hooks, so that the trunk stays what it was."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from medsetu.backbone.network import Network

LAYOUTS: dict[str, type[nn.Linear | nn.Conv2d | nn.Conv3d]] = {"token": nn.Linear, "image": nn.Conv2d, "volume": nn.Conv3d}
PLACES = ("after", "beside")


class Adapter(nn.Module):
    """A bottleneck U g(D x) with g = GELU, at every token, pixel or voxel by itself (Houlsby et al. 2019; Rebuffi et al. 2017).

    U and its bias start at zero, so that it adds exactly nothing before it is trained.

    Args:
        width: Channels C of what it reads and gives.
        hidden: Channels between D and U.
        layout: ``token`` (..., C), ``image`` (B, C, H, W) or ``volume`` (B, C, D, H, W).
        place: ``after``: a module's output y becomes y + A(y). ``beside``: its output for the input x becomes y + A(x).
        skip: Leading channels of y that are left as they are, in an ``image`` or ``volume`` after a module.
    """

    def __init__(self, width: int, hidden: int, *, layout: str, place: str, skip: int = 0) -> None:
        super().__init__()
        self.facts: dict[str, Any] = {"width": width, "hidden": hidden, "layout": layout, "place": place, "skip": skip}
        kind, kernel = LAYOUTS[layout], () if layout == "token" else (1,)
        self.down: nn.Module = kind(width, hidden, *kernel)
        self.up: nn.Module = kind(hidden, width, *kernel)
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, given: Tensor) -> Tensor:
        """Compute what is added, in the shape of what is given.

        Example:
            >>> Adapter(4, 2, layout="token", place="after")(torch.ones(1, 4)).abs().max().item()
            0.0
        """
        added: Tensor = self.up(nn.functional.gelu(self.down(given)))
        return added


class _Adding:
    """A hook as an object: a copy of a network takes its own adapter along, which a copied function would not."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    def __call__(self, _: nn.Module, given: tuple[Any, ...], answer: Any) -> Any:  # noqa: ANN401 - some modules answer with several
        first = answer[0] if isinstance(answer, tuple) else answer
        if self.adapter.facts["place"] == "beside":
            changed = first + self.adapter(given[0])
        elif skip := self.adapter.facts["skip"]:
            new = first[:, skip:]
            changed = torch.cat([first[:, :skip], new + self.adapter(new)], dim=1)
        else:
            changed = first + self.adapter(first)
        return (changed, *answer[1:]) if isinstance(answer, tuple) else changed


def attach(network: Network, sites: Mapping[str, Mapping[str, Any]]) -> None:
    """Put adapters beside modules of the trunk, in place; their first layer is drawn from torch's global generator.

    Args:
        network: Has none yet.
        sites: Arguments of ``Adapter``, by path of the module within the trunk.
    """
    for path, facts in sites.items():
        adapter = Adapter(facts["width"], facts["hidden"], layout=facts["layout"], place=facts["place"], skip=facts["skip"]).to(
            network.head.weight
        )
        network.adapters[path.replace(".", "/")] = adapter
        network.trunk.get_submodule(path).register_forward_hook(_Adding(adapter))


def attached(network: Network) -> dict[str, dict[str, Any]]:
    """Describe the adapters of a network as ``attach`` wants them, in plain data; empty where there are none."""
    found = {name.replace("/", "."): adapter for name, adapter in network.adapters.items()}
    return {path: dict(adapter.facts) for path, adapter in found.items() if isinstance(adapter, Adapter)}


def site_of(name: str) -> str:
    """Name what a parameter of a network belongs to within the trunk: itself, or the module that its adapter stands beside.

    Example:
        >>> site_of("trunk.layer1.0.conv1.weight"), site_of("adapters.layer1/0.up.bias")
        ('layer1.0.conv1.weight', 'layer1.0')
    """
    place, _, rest = name.partition(".")
    return rest.partition(".")[0].replace("/", ".") if place == "adapters" else name.removeprefix("trunk.")
