# SPDX-License-Identifier: Apache-2.0
"""Where a gradient points on a film: an illustration for the eye, never a verdict (published sanity checks of such maps fail)."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.data.datamodule import prediction_loader
from medsetu.data.plan import DataPlan

_SPATIAL = (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm)


def saliency_map(network: Network, image: Tensor, *, finding: str) -> NDArray[np.float32]:
    """Gradient-weighted class activation of the last spatial layer (Grad-CAM, Selvaraju et al. 2017), by captum.

    Args:
        network: Trained convolutional network; left in eval mode, its gradients cleared.
        image: (1, C, H, W) at the network's input contract.
        finding: Row of the head that is asked.

    Returns:
        (H, W) float32 in [0, 1], 1 at its maximum; all 0 where nothing speaks for the finding.

    Raises:
        ConfigError: captum is not installed, the head has no such finding, or the network has no spatial layer (a transformer).
    """
    if importlib.util.find_spec("captum") is None:
        raise ConfigError(what="Saliency maps need captum", where="Key saliency", remedy="Install it: pip install 'medsetu[saliency]'")
    from captum.attr import LayerAttribution, LayerGradCam

    if finding not in network.findings:
        raise ConfigError(what="The head has no such finding", where="Key finding", value=finding, allowed=network.findings)
    network.eval()
    layer = last_spatial_layer(network, image)
    cam = LayerGradCam(network, layer).attribute(image, target=network.findings.index(finding), relu_attributions=True)
    grown = LayerAttribution.interpolate(cam, tuple(image.shape[-2:]), interpolate_mode="bilinear")
    network.zero_grad(set_to_none=True)
    found = grown.detach()[0].mean(dim=0).clamp_min(0).cpu().numpy().astype(np.float32)
    top = float(found.max())
    return np.asarray(found / top if top > 0 else np.zeros_like(found))


def last_spatial_layer(network: nn.Module, image: Tensor) -> nn.Module:
    """Find the convolution or normalisation that runs last and still sees a picture of more than one pixel.

    Args:
        network: The network.
        image: (1, C, H, W) it can take.

    Returns:
        The layer.

    Raises:
        ConfigError: There is none.
    """
    seen: list[nn.Module] = []

    def note(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        if output.ndim == 4 and min(output.shape[-2:]) > 1:
            seen.append(module)

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, _SPATIAL)]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise ConfigError(
            what="The network has no spatial layer whose activation could be shown",
            where="Key saliency",
            remedy="Leave saliency=0 for transformers",
        )
    return seen[-1]


def draw_saliency(
    network: Network, rows: pd.DataFrame, *, finding: str, plan: DataPlan
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Compute the map of each film.

    Args:
        network: Trained network, on the CPU.
        rows: Manifest rows, few.
        finding: The finding.
        plan: How rows become batches.

    Returns:
        One pair per row: the film as the network sees it, (H, W) in [0, 1], and its map, (H, W) in [0, 1].
    """
    pairs = []
    for batch in prediction_loader(rows, findings=network.findings, spec=network.spec, plan=plan):
        for image in batch["image"]:
            film = (image[0] * network.spec.std[0] + network.spec.mean[0]).clamp(0, 1).numpy()
            pairs.append((film, saliency_map(network, image[None], finding=finding)))
    return pairs


def overlay(film: NDArray[np.float32], heat: NDArray[np.float32], *, strength: float = 0.5) -> NDArray[np.uint8]:
    """Lay a map over a film in red.

    Args:
        film: (H, W) in [0, 1].
        heat: (H, W) in [0, 1].
        strength: Share of red at the map's maximum, in [0, 1].

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> overlay(np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)).tolist()
        [[[127, 0, 0]]]
    """
    share = strength * heat
    red, rest = film * (1 - share) + share, film * (1 - share)
    return (np.stack([red, rest, rest], axis=-1) * 255).astype(np.uint8)


def write_saliency(pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], folder: Path) -> list[Path]:
    """Write each film with its map as ``illustration_<number>.png``: numbers, not names, because a file name may hold a patient's.

    Args:
        pairs: From ``draw_saliency``.
        folder: Target folder.

    Returns:
        The files.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (film, heat) in enumerate(pairs):
        grey = np.repeat((film * 255).astype(np.uint8)[..., None], 3, axis=-1)
        path = folder / f"illustration_{number}.png"
        Image.fromarray(np.concatenate([grey, overlay(film, heat)], axis=1)).save(path)
        paths.append(path)
    return paths
