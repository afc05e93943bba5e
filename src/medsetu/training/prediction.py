# SPDX-License-Identifier: Apache-2.0
"""Scores and features of a trained network over a loader."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from medsetu.backbone.network import Network
from medsetu.training.module import Batch


@dataclass(frozen=True)
class Scores:
    """What a network says of N images.

    Attributes:
        sample_id: N names.
        score: (N, L) float32 probabilities in [0, 1].
        label: (N, L) float32, NaN unknown.
        feature: (N, D) float32 penultimate features.
    """

    sample_id: list[str]
    score: NDArray[np.float32]
    label: NDArray[np.float32]
    feature: NDArray[np.float32]


@torch.inference_mode()
def predict(network: Network, batches: Iterable[Batch], *, device: torch.device) -> Scores:
    """Run a network over batches in float32, without augmentation.

    Float32 keeps scores comparable between machines with and without half precision.

    Args:
        network: Trained network; left in eval mode on ``device``.
        batches: Deterministic loader.
        device: Where to run.

    Returns:
        Scores, labels and features in loader order.
    """
    network.to(device).eval()
    names: list[str] = []
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]] = []
    for batch in batches:
        pooled = network.features(batch["image"].to(device))
        probability = torch.sigmoid(network.head(pooled))
        names += batch["sample_id"]
        parts.append((probability.float().cpu().numpy(), batch["label"].numpy(), pooled.float().cpu().numpy()))
    score, label, feature = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return Scores(names, score, label, feature)
