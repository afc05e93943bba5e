# SPDX-License-Identifier: Apache-2.0
"""What a network answers to a fixed batch, so that a library that changed its mind about the same weights is noticed and refused."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medsetu.backbone.network import Network
from medsetu.backbone.spec import InputSpec
from medsetu.core.errors import WeightError

log = logging.getLogger(__name__)
PROBE = 1  # raise when the probe batch changes
IMAGES, DIRECTIONS, CELLS = 4, 8, 7
TOLERANCE = 1e-3  # of the root mean square; float32 on another processor differs by far less, another activation by far more


def probe(spec: InputSpec, *, seed: int = 0) -> Tensor:
    """Draw the probe batch: coarse patches under fine noise, the same on every machine and with every version of every library.

    Args:
        spec: What the network wants to see.
        seed: Of the counter-based generator (Philox), whose raw numbers never change.

    Returns:
        (4, C, H, W) float32, normalised by ``spec``; (4, C, D, H, W) of a network of volumes.

    Example:
        >>> spec = InputSpec((16, 16), 1, (0.0,), (1.0,))
        >>> [round(float(value), 3) for value in probe(spec)[0, 0, 0, :2]], round(float(probe(spec).mean()), 3)
        ([0.074, 0.062], 0.529)
    """
    sides = len(spec.size)
    coarse = _uniform(IMAGES * CELLS**sides, seed=seed, stream=0).reshape(IMAGES, 1, *[CELLS] * sides)
    fine = _uniform(IMAGES * math.prod(spec.size), seed=seed, stream=1).reshape(IMAGES, 1, *spec.size)
    for axis, length in enumerate(spec.size, start=2):
        coarse = coarse.take(np.arange(length) * CELLS // length, axis=axis)
    image = np.clip(coarse + 0.2 * (fine - 0.5), 0, 1)
    return spec.normalise(torch.from_numpy(image.astype(np.float32)))


def fingerprint(network: Network) -> dict[str, Any]:
    """Measure what a network answers to the probe batch.

    Args:
        network: On the CPU, in float32; left in the mode it was in.

    Returns:
        Plain data: ``probe`` (version), ``size``, ``channels``, ``features`` (4 x 8: the pooled features in eight fixed directions) and
        ``logits`` by finding (4 each), to six digits, and the version of torch, for whoever looks for the cause.
    """
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            features = network.features(probe(network.spec)).double()
            logits = network.head(features.to(network.head.weight.dtype)).double()
    finally:
        network.train(was)
    width = features.shape[1]
    directions = torch.from_numpy(2 * _uniform(width * DIRECTIONS, seed=0, stream=2).reshape(width, DIRECTIONS) - 1)
    projected = features @ directions / math.sqrt(width)
    return {
        "probe": PROBE,
        "size": list(network.spec.size),
        "channels": network.spec.channels,
        "features": [[_six(value) for value in row] for row in projected.tolist()],
        "logits": {name: [_six(value) for value in logits[:, row].tolist()] for row, name in enumerate(network.findings)},
        "torch": str(torch.__version__).split("+", maxsplit=1)[0],
    }


def deviation(found: Mapping[str, Any], stored: Mapping[str, Any], *, logits: bool = True) -> float:
    """Compare two fingerprints.

    Args:
        found: What the network answers now.
        stored: What it answered then.
        logits: Also compare the logits of the findings that both know.

    Returns:
        Largest difference, in units of the root mean square of the stored numbers; NaN where the two were not measured on the same batch,
        infinite where a number is none or the features are of another width.

    Example:
        >>> then = {"probe": 1, "size": [2, 2], "channels": 1, "features": [[1.0, -1.0]], "logits": {"mass": [2.0]}}
        >>> deviation(then, then), round(deviation({**then, "features": [[1.0, -1.1]]}, then), 3)
        (0.0, 0.1)
    """
    if any(found[key] != stored[key] for key in ("probe", "size", "channels")):
        return math.nan
    pairs = [(found["features"], stored["features"])]
    shared = [name for name in stored["logits"] if name in found["logits"]] if logits else []
    if shared:
        pairs.append(([found["logits"][name] for name in shared], [stored["logits"][name] for name in shared]))
    return max(_relative(np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64)) for new, old in pairs)


def require_fingerprint(network: Network, stored: Mapping[str, Any] | None, *, where: str, logits: bool = True) -> None:
    """Refuse a network that no longer answers as it did when its weights were written down.

    Args:
        network: The network as loaded.
        stored: Its fingerprint; None where none was ever measured, and nothing can be said.
        where: File or card, for the message.
        logits: Also compare the logits, where the head was loaded with the trunk.

    Raises:
        WeightError: The answers differ by more than ``TOLERANCE``.
    """
    if stored is None:
        return
    found = fingerprint(network)
    differs = deviation(found, stored, logits=logits)
    if math.isnan(differs):
        log.info("The fingerprint of %s was measured on another input size and is not compared", where)
    elif differs > TOLERANCE:
        raise WeightError(
            what=f"The same weights now answer differently: by {differs:.2g} of their size on the probe batch, {TOLERANCE:g} is tolerated",
            where=f"{where}, measured with torch {stored.get('torch', '?')}, now {found['torch']}",
            remedy="A library computes something else than it did: install the versions of the run's provenance.json, or train again",
        )


def _relative(new: np.ndarray, old: np.ndarray) -> float:
    if new.shape != old.shape or not np.isfinite(new).all():
        return math.inf
    scale = float(np.sqrt((old**2).mean()))
    return float(np.abs(new - old).max()) / max(scale, 1e-12)


def _uniform(count: int, *, seed: int, stream: int) -> np.ndarray:
    """Numbers in [0, 1) from the raw output of a counter-based generator; numpy may change its distributions, never this."""
    raw = np.random.Philox(key=[seed, stream]).random_raw(count)
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53)


def _six(value: float) -> float:
    return float(f"{value:.6g}")
