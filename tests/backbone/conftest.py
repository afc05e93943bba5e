# SPDX-License-Identifier: Apache-2.0
"""A tiny source of architectures, so that most tests need no library."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from medsetu.backbone.assemble import assemble
from medsetu.backbone.fetch import Published
from medsetu.backbone.network import Network, seeded
from medsetu.backbone.spec import InputSpec
from medsetu.backbone.stored import State
from medsetu.backbone.trunk import load_beheaded

COLOUR = InputSpec((16, 16), 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Tiny(nn.Module):
    """Convolution with zero padding, normalisation, pooling and a classifier of five classes."""

    def __init__(self, channels: int, width: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.norm(self.conv(image))).mean((2, 3)))


@dataclass(frozen=True)
class TinyBackbone:
    weights: str | None = None
    sha256: str | None = None
    channels: int = 1
    size: int | None = None
    width: int = 6

    def build(self, findings: Sequence[str], *, seed: int) -> Network:
        return assemble(self, findings, seed=seed)

    def taught(self) -> InputSpec:
        return COLOUR

    def published(self) -> Published:
        return Published("https://example.org/tiny.pth", licence="MIT", trained_on=("imagenet-1k",))

    def trunk(self, *, channels: int, state: State | None) -> nn.Module:
        return load_beheaded(Tiny(channels, self.width), state, where="tiny")


@pytest.fixture
def tiny():
    return TinyBackbone


@pytest.fixture
def colour_file(tmp_path: Path) -> tuple[Path, Tiny]:
    """A published file of a network taught on colour, and the network."""
    with seeded(3):
        model = Tiny(3)
        model.norm.running_mean.normal_()
        model.norm.running_var.uniform_(0.5, 2)
    path = tmp_path / "published.safetensors"
    safetensors.torch.save_file(model.state_dict(), path)
    return path, model.eval()
