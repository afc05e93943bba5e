# SPDX-License-Identifier: Apache-2.0
"""Save and load the weights of a network, and never load half of them silently."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from medsetu import __version__
from medsetu.backbone.header import NOTE
from medsetu.backbone.network import Network
from medsetu.backbone.spec import WeightSpec
from medsetu.backbone.stored import State, Stored, read_stored, state_digest
from medsetu.backbone.structure import rebuild_head, rebuild_trunk, structure_of
from medsetu.core.errors import WeightError
from medsetu.core.run import atomic_write, sha256_bytes

_COUNTER = "num_batches_tracked"  # absent from weights older than torch 0.4.1, and without effect at a fixed momentum


@dataclass(frozen=True)
class LoadReport:
    """Which tensors of a file found their place in a network.

    Attributes:
        matched: Same name, same shape; these were loaded.
        missing: In the network, not in the file.
        unexpected: In the file, not in the network.
        mismatched: Same name, other shape.
        reinitialised: Findings whose rows of the head were not loaded.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    reinitialised: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of all names, of network and file together, that matched; in [0, 1]."""
        total = len(self.matched) + len(self.missing) + len(self.unexpected) + len(self.mismatched)
        return len(self.matched) / total if total else 0.0

    def require(self, *, minimum_share: float, where: str) -> None:
        """Refuse a partial load.

        Raises:
            WeightError: Less than ``minimum_share`` of the names matched; counts and first names are given.
        """
        if self.share >= minimum_share:
            return
        parts = [
            f"{len(names)} {word} (first: {', '.join(names[:3])})"
            for word, names in (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.mismatched))
            if names
        ]
        raise WeightError(
            what=f"The weights do not fit the network: {len(self.matched)} tensors matched, {', '.join(parts)}",
            where=where,
            remedy="Give weights of this architecture, or choose the backbone they were made with",
        )


def compare(wanted: Mapping[str, Tensor], offered: Mapping[str, Tensor]) -> LoadReport:
    """Compare the tensors a network wants with those a file offers, by name and shape.

    Args:
        wanted: State of the network.
        offered: State of the file.

    Returns:
        The report; nothing is loaded. Batch counters of normalisation layers are left out.

    Example:
        >>> one, two = torch.zeros(1), torch.zeros(2)
        >>> compare({"a": one, "b": one, "c": one}, {"a": one, "b": two, "d": one}).share
        0.25
    """
    wanted = {name: tensor for name, tensor in wanted.items() if not name.endswith(_COUNTER)}
    offered = {name: tensor for name, tensor in offered.items() if not name.endswith(_COUNTER)}
    shared = [name for name in wanted if name in offered]
    return LoadReport(
        matched=tuple(name for name in shared if wanted[name].shape == offered[name].shape),
        missing=tuple(name for name in wanted if name not in offered),
        unexpected=tuple(name for name in offered if name not in wanted),
        mismatched=tuple(name for name in shared if wanted[name].shape != offered[name].shape),
    )


def load_state(module: nn.Module, state: State, *, where: str, minimum_share: float = 1.0) -> LoadReport:
    """Load tensors by name; the module is untouched when they do not fit.

    Args:
        module: Receives the tensors.
        state: Tensors by name.
        where: File, for the message.
        minimum_share: Share of names that must match; below 1 a partial load is what the caller wants.

    Returns:
        What was loaded.

    Raises:
        WeightError: Too few names match.
    """
    own = module.state_dict()
    report = compare(own, state)
    report.require(minimum_share=minimum_share, where=where)
    counters = [name for name in own if name.endswith(_COUNTER) and name in state]
    module.load_state_dict({name: state[name] for name in (*report.matched, *counters)}, strict=False)
    return report


def load_adapters(network: Network, state: State, *, where: str) -> None:
    """Load the adapters of a file into those the network has been given.

    Raises:
        WeightError: They do not fit.
    """
    if network.adapters:
        load_state(network.adapters, part(state, "adapters."), where=where)


def save_weights(network: Network, path: Path) -> str:
    """Write trunk and head as safetensors (float32), atomically, with a SHA-256 beside them.

    The header carries findings, trained findings, InputSpec, WeightSpec, what the network has beyond trunk and linear head, the version of
    medsetu and a digest over all of it: everything needed to load the network again, and nothing that could be executed.

    Args:
        network: What to save.
        path: Target, ending in .safetensors.

    Returns:
        SHA-256 of the file. The same network gives the same bytes.

    Raises:
        ResourceError: The disk is full, or the folder cannot be written.
    """
    state = {name: _plain(tensor) for name, tensor in network.state_dict().items()}
    note: dict[str, Any] = {
        "version": __version__,
        "findings": network.findings,
        "trained": network.trained,
        "spec": network.spec.to_dict(),
        "native": network.native.to_dict(),
        "weights": network.weights.to_dict(),
    }
    if structure := structure_of(network):
        note["structure"] = structure
    note["digest"] = state_digest(state, note)
    data = safetensors.torch.save(state, metadata={NOTE: json.dumps(note, sort_keys=True)})
    atomic_write(path, data, sidecar=True)
    return sha256_bytes(data)


def load_weights(
    network: Network, path: Path, *, sha256: str | None = None, include_head: bool = True, minimum_share: float = 1.0
) -> LoadReport:
    """Load what ``save_weights`` wrote into a network of the same architecture.

    Args:
        network: Receives the weights; untouched when they do not fit.
        path: The file.
        sha256: Expected digest; the one beside the file is compared in any case.
        include_head: Also load the head. Its rows are found by name, so another order of findings is no obstacle; another set of
            findings is refused. When False the head stays as it is and the report names its findings as ``reinitialised``.
        minimum_share: Share of the trunk's names that must match.

    Returns:
        What was loaded.

    Raises:
        WeightError: The file is damaged, not the promised one, not written by medsetu, of another architecture, or of other findings.
    """
    stored = read_stored(path, sha256=sha256)
    if not stored.note:
        raise WeightError(
            what="The file was not written by medsetu, so nobody knows what its head means",
            where=str(path),
            remedy=f"Give it to a backbone instead: backbone.weights=file:{path}",
        )
    if include_head:
        _require_same_findings(network.findings, stored.note["findings"], where=str(path))
    structure = stored.note.get("structure", {})
    report = load_state(network.trunk, part(stored.state, "trunk."), where=str(path), minimum_share=minimum_share)
    rebuild_trunk(network, structure, where=str(path))
    load_adapters(network, stored.state, where=str(path))
    network.weights = WeightSpec.from_dict(stored.note["weights"])
    if not include_head:
        return LoadReport(**{**vars(report), "reinitialised": network.findings})
    load_rows(network, stored_rows(stored), trained=stored.note["trained"])
    rebuild_head(network, structure, stored.state, findings=stored.note["findings"])
    network.trained = tuple(name for name in network.findings if name in stored.note["trained"])
    return report


def part(state: State, prefix: str) -> State:
    """Take the tensors below a prefix, without it.

    Example:
        >>> list(part({"trunk.a": torch.zeros(1), "head.bias": torch.zeros(1)}, "trunk."))
        ['a']
    """
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


Rows = dict[str, tuple[Tensor, Tensor]]  # finding -> weight (D,), bias ()


def stored_rows(stored: Stored) -> Rows:
    """Take the rows of the head out of a file of medsetu, by name of the finding; a head of neighbours has none."""
    if "head.weight" not in stored.state:
        return {}
    weight, bias = stored.state["head.weight"], stored.state["head.bias"]
    return {name: (weight[row], bias[row]) for row, name in enumerate(stored.note["findings"])}


def load_rows(network: Network, rows: Rows, *, trained: Sequence[str]) -> tuple[str, ...]:
    """Fill the rows of the head whose findings are known, by name.

    Args:
        network: Its head is filled in place.
        rows: Weight (D,) and bias () by finding; those the head does not name are left out.
        trained: Findings whose rows were trained.

    Returns:
        Findings of the head that were not filled.

    Raises:
        WeightError: The head has neighbours instead of rows.
    """
    known, head = [name for name in network.findings if name in rows], network.head
    if not isinstance(head, nn.Linear):
        raise WeightError(
            what="A head of neighbours has no rows to load into", where="Head of the network", remedy="Load into a network as it was built"
        )
    with torch.no_grad():
        for name in known:
            row = network.findings.index(name)
            head.weight[row], head.bias[row] = rows[name]
    network.trained = tuple(name for name in network.findings if name in (trained if name in rows else network.trained))
    return tuple(name for name in network.findings if name not in rows)


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    tensor = tensor.float() if tensor.is_floating_point() else tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def _require_same_findings(own: Sequence[str], stored: Sequence[str], *, where: str) -> None:
    lacking, extra = [name for name in own if name not in stored], [name for name in stored if name not in own]
    if lacking or extra:
        raise WeightError(
            what=f"The heads differ: the file lacks {len(lacking)} findings {lacking[:3]} and has {len(extra)} others {extra[:3]}",
            where=where,
            remedy="Load with include_head=False and train the head, or build the network with the findings of the file",
        )
