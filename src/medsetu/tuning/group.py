# SPDX-License-Identifier: Apache-2.0
"""Blocks of a network, from the image to the head, found by the structure of its module tree and never by names."""

from dataclasses import dataclass

from torch import nn
from torch.nn.modules import pooling

from medsetu.backbone.adapter import site_of
from medsetu.backbone.network import Network

STEM, HEAD = "stem", "head"
_DOMINANT = 0.85  # of the weights of all nested modules; the longest stage of a ResNet-152 or a large ConvNeXt holds about three quarters
_POOLS = (
    pooling._MaxPoolNd,
    pooling._AvgPoolNd,
    pooling._AdaptiveMaxPoolNd,
    pooling._AdaptiveAvgPoolNd,
)
_PLAIN = (nn.Sequential, nn.ModuleList)  # exactly these: a subclass is a unit with a meaning of its own
_Unit = tuple[str, nn.Module]


@dataclass(frozen=True)
class Block:
    """Neighbouring layers that move together.

    Attributes:
        name: ``stem``, ``head``, or the path in the trunk of the module it begins with.
        parameters: Names of its parameters in the network.
    """

    name: str
    parameters: tuple[str, ...]


def blocks(network: Network) -> tuple[Block, ...]:
    """Cut a network into blocks, from the side of the image to the head.

    A stage is a module whose children are themselves made of several weighted layers: a stage of a ResNet or ConvNeXt, a dense block, a
    block of a transformer. What stands before the first stage (first convolution, patch and position embeddings, tokens) is the stem;
    what stands between or after stages (transitions, the last norm) belongs to the stage before it. A trunk without stages (VGG) is cut
    where it pools, and one that does not pool either at each weighted layer.

    Args:
        network: Any trunk.

    Returns:
        Blocks in order, none of them empty, the declared head last. Each parameter of the network is in exactly one; an adapter is in that
        of the module it stands beside.

    Example:
        >>> from medsetu.backbone.zoo import TimmBackbone
        >>> [block.name for block in blocks(TimmBackbone("test_resnet", size=32).build(["mass"], seed=0))]
        ['stem', 'layer1', 'layer2', 'layer3', 'layer4', 'head']
    """
    starts = _starts(network.trunk)
    members: dict[str, list[str]] = {name: [] for name in dict.fromkeys(starts.values())} or {STEM: []}
    first = next(iter(members))
    for name, _ in network.named_parameters():
        if not name.startswith("head."):
            members[starts.get(_unit_of(site_of(name), starts), first)].append(name)
    found = [Block(name, tuple(names)) for name, names in members.items() if names]
    return (*found, Block(HEAD, tuple(f"head.{name}" for name, _ in network.head.named_parameters())))


def block_of(network: Network) -> dict[str, str]:
    """Name the block of each parameter.

    Example:
        >>> from medsetu.backbone.zoo import TimmBackbone
        >>> block_of(TimmBackbone("test_vit", size=32).build(["mass"], seed=0))["trunk.pos_embed"]
        'stem'
    """
    return {name: block.name for block in blocks(network) for name in block.parameters}


def count_weighted(module: nn.Module) -> int:
    """Count the layers that own a matrix or a kernel.

    Example:
        >>> count_weighted(nn.Sequential(nn.Linear(1, 1), nn.LayerNorm(1), nn.Conv2d(1, 1, 1)))
        2
    """
    return sum(any(parameter.ndim > 1 for parameter in inner.parameters(recurse=False)) for inner in module.modules())


def _unit_of(name: str, starts: dict[str, str]) -> str:
    """Longest path of a unit that a parameter lies below; empty for a parameter of a container, such as a token."""
    while name and name not in starts:
        name = name.rpartition(".")[0]
    return name


def _starts(trunk: nn.Module) -> dict[str, str]:
    """Name the block of each unit, by the unit's path."""
    units = _units(trunk)
    stages = [path for path, module in units if _is_nested(module)]
    if len(stages) < 2:
        return _plain_starts(units)
    current, starts = STEM, {}
    for path, _ in units:
        current = path if path in stages else current
        starts[path] = current
    return {"": STEM, **starts}


def _units(trunk: nn.Module) -> list[_Unit]:
    """Open modules that hold nearly everything, until several stages stand side by side."""
    units = list(trunk.named_children())
    while True:
        nested = {path: count_weighted(module) for path, module in units if _is_nested(module)}
        whole = next((path for path, count in nested.items() if count >= _DOMINANT * sum(nested.values())), None)
        if whole is None:
            return units
        units = [inner for unit in units for inner in (_children(unit) if unit[0] == whole else [unit])]


def _plain_starts(units: list[_Unit]) -> dict[str, str]:
    """Blocks of a trunk without stages."""
    while any(type(module) in _PLAIN for _, module in units):
        units = [inner for unit in units for inner in (_children(unit) if type(unit[1]) in _PLAIN else [unit])]
    begins: list[str] = []
    last, pooled = None, False
    for path, module in units:
        if isinstance(module, _POOLS):
            pooled = True
        elif next(module.parameters(), None) is not None:
            parent = path.rpartition(".")[0]
            if pooled or parent != last:
                begins.append(path)
            last, pooled = parent, False
    if len(begins) < 2:
        begins = [path for path, module in units if count_weighted(module)]
    current, starts = next(iter(begins), STEM), {}
    for path, _ in units:
        current = path if path in begins else current
        starts[path] = current
    return starts


def _children(unit: _Unit) -> list[_Unit]:
    return [(f"{unit[0]}.{name}", module) for name, module in unit[1].named_children()]


def _is_nested(module: nn.Module) -> bool:
    """Tell whether a child is itself made of several weighted layers."""
    return any(count_weighted(child) > 1 for child in module.children())
