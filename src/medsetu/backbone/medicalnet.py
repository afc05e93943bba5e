# SPDX-License-Identifier: Apache-2.0
"""The 3-D ResNets of MedicalNet (Chen et al. 2019), as their authors trained them: strided first, dilated instead of strided at the end."""

from functools import partial
from typing import Any

from torch import nn

from medsetu.backbone.stored import State
from medsetu.backbone.trunk import load_beheaded
from medsetu.core.errors import ConfigError

SHORTCUTS = {"resnet10": "B", "resnet18": "A", "resnet34": "A", "resnet50": "B", "resnet101": "B", "resnet152": "B", "resnet200": "B"}
_DILATIONS = {"layer3": 2, "layer4": 4}


def medicalnet_trunk(name: str, *, channels: int, state: State | None) -> nn.Module:
    """Build a ResNet of MedicalNet out of MONAI's and load it strictly.

    MONAI loads these weights into a network that strides where that of the authors dilates, and does not stride where it does: the names
    and shapes fit, the features are others. Here the stem strides by 2, and the last two stages keep their size and dilate by 2 and 4.

    Args:
        name: ``resnet10`` to ``resnet200``.
        channels: Channels of the volumes.
        state: Tensors by name; None for random weights.

    Returns:
        The trunk: (B, C, D, H, W) to (B, features).

    Raises:
        ConfigError: MedicalNet has no such network.
        WeightError: The tensors do not fit.
    """
    from monai.networks import nets

    if name not in SHORTCUTS:
        raise ConfigError(what=f"MedicalNet has no '{name}'", where="backbone.name", value=name, allowed=list(SHORTCUTS))
    kind = SHORTCUTS[name]
    model = getattr(nets, name)(
        spatial_dims=3, n_input_channels=channels, num_classes=1, conv1_t_stride=2, shortcut_type=kind, bias_downsample=False
    )
    for layer, dilation in _DILATIONS.items():
        _dilate(model.get_submodule(layer), dilation)
    return load_beheaded(model, state, where=f"MedicalNet architecture '{name}'")


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Let a stage keep the size of what it is given: its convolutions dilate, and neither they nor its shortcut stride."""
    for module in stage.modules():
        if isinstance(module, nn.Conv3d):
            module.stride = (1, 1, 1)
            if module.kernel_size != (1, 1, 1):
                module.dilation = module.padding = (dilation,) * 3
        shortcut: Any = getattr(module, "downsample", None)
        if isinstance(shortcut, partial):  # type A has no weights and is no module
            module.downsample = partial(shortcut.func, **{**shortcut.keywords, "stride": 1})  # type: ignore[assignment]
