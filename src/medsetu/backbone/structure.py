# SPDX-License-Identifier: Apache-2.0
"""What a stored network has beyond trunk and linear head, so that it can be built again before its weights are loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

from medsetu.backbone.adapter import attach, attached
from medsetu.backbone.nearest import NearestHead
from medsetu.backbone.network import Network, seeded
from medsetu.backbone.stored import State
from medsetu.core.errors import WeightError

Structure = dict[str, Any]
ADAPTERS, NEAREST = "adapters", "nearest"


def structure_of(network: Network) -> Structure:
    """Describe in plain data what the network has beyond trunk and linear head; empty for an ordinary network."""
    found: Structure = {}
    if sites := attached(network):
        found[ADAPTERS] = sites
    if isinstance(network.head, NearestHead):
        found[NEAREST] = {"k": network.head.k, "images": len(network.head.bank)}
    return found


def rebuild_trunk(network: Network, structure: Mapping[str, Any], *, where: str) -> None:
    """Give a network the adapters that a file says it has; their weights are loaded afterwards.

    Args:
        network: With no adapters, or with the same ones; changed in place.
        structure: As ``structure_of`` described it.
        where: File, for the message.

    Raises:
        WeightError: This version of medsetu does not know the structure, or the network has other adapters.
    """
    unknown = [kind for kind in structure if kind not in (ADAPTERS, NEAREST)]
    if unknown:
        raise WeightError(what=f"The weights hold a '{unknown[0]}', which this medsetu cannot build", where=where, remedy="Update medsetu")
    wanted, present = structure.get(ADAPTERS, {}), attached(network)
    if wanted == present:
        return
    if present:
        raise WeightError(
            what=f"The network has {len(present)} adapters, and the file was written with others or none ({len(wanted)})",
            where=where,
            remedy="Load into a network as the backbone builds it",
        )
    with seeded(0):
        attach(network, wanted)


def rebuild_head(network: Network, structure: Mapping[str, Any], state: State, *, findings: Sequence[str]) -> None:
    """Give a network the head of neighbours that a file says it has.

    Args:
        network: Its trunk is loaded; changed in place.
        structure: As ``structure_of`` described it.
        state: All tensors of the file.
        findings: Findings of the file's head, in its order; the network has the same ones in any order.
    """
    if NEAREST in structure:
        order = [list(findings).index(name) for name in network.findings]
        k = int(structure[NEAREST]["k"])
        network.head = NearestHead(state["head.bank"], state["head.label"][:, order], k=k).to(network.head.weight.device)


def refuse_bank(structure: Mapping[str, Any], *, where: str) -> None:
    """Refuse to go on from a head of neighbours: it has no rows to go on from, and its trunk is the one it was given.

    Raises:
        WeightError: The structure holds one.
    """
    if NEAREST in structure:
        raise WeightError(
            what="A nearest-neighbour head has no rows to go on from",
            where=where,
            remedy="Start from the weights that it began with: its trunk never moved",
        )
