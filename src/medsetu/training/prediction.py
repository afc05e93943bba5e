# SPDX-License-Identifier: Apache-2.0
"""Scores and features of a trained network over a loader."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medsetu.backbone.network import Network
from medsetu.training.module import Batch

_SHIFT = 0.03  # of the side: less than the shift that training draws by default


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
def predict(network: Network, batches: Iterable[Batch], *, device: torch.device, views: Sequence[str] = ()) -> Scores:
    """Run a network over batches in float32, without random changes.

    Float32 keeps scores comparable between machines with and without half precision.

    Args:
        network: Trained network; left in eval mode on ``device``.
        batches: Deterministic loader.
        device: Where to run.
        views: Further views of each image (see ``view``) whose probabilities are averaged with its own; features are those of the image.

    Returns:
        Scores, labels and features in loader order.
    """
    network.to(device).eval()
    names: list[str] = []
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]] = []
    for batch in batches:
        pooled = network.features(batch["image"].to(device))
        probability = torch.sigmoid(network.head(pooled))
        if views:
            further = [torch.sigmoid(network(view(batch["image"], name).to(device))) for name in views]
            probability = torch.stack([probability, *further]).mean(0)
        names += batch["sample_id"]
        parts.append((probability.float().cpu().numpy(), batch["label"].numpy(), pooled.float().cpu().numpy()))
    score, label, feature = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return Scores(names, score, label, feature)


def view(image: Tensor, name: str) -> Tensor:
    """Change pictures as test-time augmentation does: ``flip`` mirrors left and right, ``up``, ``down``, ``left``, ``right`` shift them.

    Args:
        image: (B, C, H, W) float.
        name: Name of the view.

    Returns:
        (B, C, H, W), shifted by 3 % of the side, at least one pixel; the border is repeated.

    Example:
        >>> view(torch.tensor([[[[1.0, 2.0, 3.0]]]]), "right").flatten().tolist()
        [1.0, 1.0, 2.0]
    """
    if name == "flip":
        return image.flip(-1)
    height, width = image.shape[-2:]
    down, right = max(1, round(_SHIFT * height)), max(1, round(_SHIFT * width))
    pad = {"up": (0, 0, 0, down), "down": (0, 0, down, 0), "left": (0, right, 0, 0), "right": (right, 0, 0, 0)}[name]
    padded = functional.pad(image, pad, mode="replicate")
    top, left = pad[3], pad[1]
    return padded[..., top : top + height, left : left + width]
