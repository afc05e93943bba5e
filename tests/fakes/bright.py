# SPDX-License-Identifier: Apache-2.0
"""A trunk that sees where a picture is bright, so that everyone knows where its map must point."""

import torch
from torch import nn


class Bright(nn.Module):
    """Sees brightness, place by place, and pools it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 4, stride=4, bias=False)
        nn.init.constant_(self.conv.weight, 1.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(image)).mean(dim=(2, 3))
