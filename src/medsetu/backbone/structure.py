# SPDX-License-Identifier: Apache-2.0
"""What a stored network has beyond trunk and linear head, so that it can be built again before its weights are loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

from medsetu.backbone.nearest import NearestHead
from medsetu.backbone.network import Network
from medsetu.backbone.stored import State
from medsetu.core.errors import WeightError

Structure = dict[str, Any]


def structure_of(network: Network) -> Structure:
    """Describe in plain data what the network has beyond trunk and linear head; empty for an ordinary network."""
    if isinstance(network.head, NearestHead):
        return {"nearest": {"k": network.head.k, "images": len(network.head.bank)}}
    return {}


def rebuild(network: Network, structure: Mapping[str, Any], state: State, *, findings: Sequence[str], where: str) -> None:
    """Give a network what a file says it has beyond trunk and linear head, and its weights.

    Args:
        network: Its trunk is loaded; changed in place.
        structure: As ``structure_of`` described it.
        state: All tensors of the file.
        findings: Findings of the file's head, in its order; the network has the same ones in any order.
        where: File, for the message.

    Raises:
        WeightError: This version of medsetu does not know the structure.
    """
    for kind, facts in structure.items():
        if kind != "nearest":
            raise WeightError(what=f"The weights hold a '{kind}', which this medsetu cannot build", where=where, remedy="Update medsetu")
        order = [list(findings).index(name) for name in network.findings]
        network.head = NearestHead(state["head.bank"], state["head.label"][:, order], k=int(facts["k"])).to(network.head.weight.device)


def refuse_bank(structure: Mapping[str, Any], *, where: str) -> None:
    """Refuse to go on from a head of neighbours: it has no rows to go on from, and its trunk is the one it was given.

    Raises:
        WeightError: The structure holds one.
    """
    if "nearest" in structure:
        raise WeightError(
            what="A nearest-neighbour head has no rows to go on from",
            where=where,
            remedy="Start from the weights that it began with: its trunk never moved",
        )
