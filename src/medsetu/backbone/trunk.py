# SPDX-License-Identifier: Apache-2.0
"""Make a trunk of a library's model: another first convolution, no classifier, strict loading."""

import re
from collections.abc import Collection
from typing import cast

from torch import nn

from medsetu.backbone.stored import State
from medsetu.backbone.weights import load_state
from medsetu.core.errors import ConfigError

CLASSIFIERS = ("fc", "_fc", "classifier", "head", "heads", "class_layers")  # as torchvision, MONAI and torchxrayvision name them
_NESTED_BLOCK = re.compile(r"^_blocks\.\d+\.(\d+\.)")  # MONAI's EfficientNet groups the blocks that the original numbers through
_DENSE_LAYER = re.compile(r"^(.*denselayer\d+)\.(norm|relu|conv)\.?([12]\..*)$")


def first_convolution(trunk: nn.Module) -> str:
    """Name the convolution that reads the image.

    Example:
        >>> first_convolution(nn.Sequential(nn.Conv2d(1, 2, 3)))
        '0'
    """
    return next((name for name, module in trunk.named_modules() if isinstance(module, nn.Conv2d)), "")


def read_channels(trunk: nn.Module, channels: int) -> None:
    """Replace the convolution that reads the image by a fresh one for another number of channels, in place.

    Args:
        trunk: A module whose first convolution reads colour.
        channels: Channels it shall read.
    """
    name = first_convolution(trunk)
    old = trunk.get_submodule(name)
    if not isinstance(old, nn.Conv2d) or old.in_channels == channels:
        return
    new = nn.Conv2d(
        channels,
        old.out_channels,
        kernel_size=cast(tuple[int, int], old.kernel_size),
        stride=cast(tuple[int, int], old.stride),
        padding=cast(tuple[int, int], old.padding),
        bias=old.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    trunk.set_submodule(name, new)


def behead(model: nn.Module, *, where: str) -> str:
    """Replace the declared classifier of a torchvision-like model by nothing, in place.

    Args:
        model: Its classifier is a child by one of the usual names, and the last linear layer in it is the head.
        where: Key, for the message.

    Returns:
        Name of the head that was taken off.

    Raises:
        ConfigError: The model declares no linear classifier.

    Example:
        >>> model = nn.Sequential()
        >>> model.fc = nn.Linear(2, 3)
        >>> behead(model, where="doctest"), model.fc
        ('fc', Identity())
    """
    for child, module in model.named_children():
        linear = [name for name, inner in module.named_modules() if isinstance(inner, nn.Linear)] if child in CLASSIFIERS else []
        if linear:
            head = f"{child}.{linear[-1]}".rstrip(".")
            model.set_submodule(head, nn.Identity())
            return head
    raise ConfigError(what="The architecture declares no linear classifier", where=where, remedy="Choose another architecture")


def load_beheaded(model: nn.Module, state: State | None, *, where: str) -> nn.Module:
    """Take the classifier off and load the rest strictly.

    Args:
        model: With its own classifier; changed in place.
        state: Tensors by name, with any classifier or none; None leaves the model as it is.
        where: Architecture, for the message.

    Returns:
        The trunk.

    Raises:
        WeightError: The tensors do not fit.
    """
    head = behead(model, where=where)
    if state is None:
        return model
    own = model.state_dict()
    flat = {_NESTED_BLOCK.sub(r"_blocks.\1", name): name for name in own}
    named = {name if name in own else flat.get(name) or _modern(name, own): tensor for name, tensor in state.items()}
    outside = (f"{head}.", "classifier.")  # the second: torchvision's DenseNet read by MONAI's
    load_state(model, {name: tensor for name, tensor in named.items() if name in own or not name.startswith(outside)}, where=where)
    return model


def _modern(name: str, own: Collection[str]) -> str:
    """Translate ``denselayer1.norm.1.weight`` of old DenseNets to what torchvision (norm1) or MONAI (layers.norm1) call it."""
    match = _DENSE_LAYER.match(name)
    candidates = [f"{match[1]}{between}{match[2]}{match[3]}" for between in (".", ".layers.")] if match else []
    return next((candidate for candidate in candidates if candidate in own), name)
