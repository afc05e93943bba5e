# SPDX-License-Identifier: Apache-2.0
"""A toy stage: a tiny network with dropout and batch norm, and films whose class is a bright corner."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from medsetu.backbone.network import Network
from medsetu.backbone.spec import SCRATCH, InputSpec
from medsetu.data.loader import PlainBatches, RandomBatches, ResumableLoader, Rows, plain_loader
from medsetu.data.sampler import EpochBatches, make_order
from medsetu.training.finish import complete_stage
from medsetu.training.fit import StageResult, TrainerOptions
from medsetu.training.hardware import Hardware
from medsetu.training.plan import StagePlan

SIZE = 16
CPU = Hardware("cpu", "32-true")
OPTIONS = TrainerOptions(progress=False, save_every_s=1e9)


def small_network(seed: int = 0, findings: tuple[str, ...] = ("tuberculosis",)) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        seeing = [nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
        trunk = nn.Sequential(*seeing, nn.Dropout(0.3), nn.Linear(32, 16))
        head = nn.Linear(16, len(findings))
    spec = InputSpec((SIZE, SIZE), 1, (0.5,), (0.25,))
    return Network(trunk, head, findings=findings, spec=spec, weights=SCRATCH)


class ToyImages:
    """Prepared images in memory, as the cache would hand them out."""

    scale = 1 / 255

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.pixels[rows]


class ToyData(pl.LightningDataModule):
    def __init__(self, *, n: int = 48, batch_size: int = 8, seed: int = 0, workers: int = 0) -> None:
        super().__init__()
        generator = np.random.default_rng(7)
        label = (np.arange(n + 32) % 2).astype(np.float32)
        pixels = generator.integers(0, 120, (n + 32, SIZE, SIZE)).astype(np.uint8)
        pixels[label == 1, :6, :6] += 90
        self.n, self.batch_size, self.seed, self.workers = n, batch_size, seed, workers
        self.pixels, self.label = pixels, label
        self.handed_out: list[tuple[str, ...]] = []

    @property
    def val_names(self) -> tuple[str, ...]:
        return ("local", "global")

    @property
    def groups(self) -> int:
        return 3

    @property
    def train_labels(self) -> Tensor:
        return torch.from_numpy(self.label[: self.n, None])

    def _rows(self, where: slice) -> Rows:
        label = torch.from_numpy(self.label[where, None].copy())
        names = tuple(f"toy/{index}" for index in range(where.start, where.stop))
        return Rows(names, label, torch.ones(len(label), dtype=torch.int64), torch.arange(len(label)) % self.groups)

    def train_dataloader(self) -> ResumableLoader:
        import pandas as pd

        where = slice(0, self.n)
        rows = self._rows(where)
        dataset = RandomBatches(ToyImages(self.pixels[where]), rows, spec=small_network().spec, augment=None, seed=self.seed)
        frame = pd.DataFrame({"sample_id": rows.sample_id, "tuberculosis": self.label[where]})
        order = make_order("natural", frame, findings=("tuberculosis",), seed=self.seed)
        return ResumableLoader(dataset, EpochBatches(order, batch_size=self.batch_size), workers=self.workers)

    def plain_train_dataloader(self) -> DataLoader:
        where = slice(0, self.n)
        dataset = PlainBatches(ToyImages(self.pixels[where]), self._rows(where), spec=small_network().spec)
        return plain_loader(dataset, batch_size=8, workers=0)

    def reseeded(self, seed: int) -> "ToyData":
        other = copy.copy(self)
        other.seed = seed
        return other

    def val_dataloader(self) -> list[DataLoader]:
        loaders = []
        for start in (0, 16):
            where = slice(self.n + start, self.n + start + 16)
            dataset = PlainBatches(ToyImages(self.pixels[where]), self._rows(where), spec=small_network().spec)
            loaders.append(plain_loader(dataset, batch_size=8, workers=0))
        return loaders


def run(folder: Path, *, plan: StagePlan, data: ToyData | None = None, options: TrainerOptions = OPTIONS, seed: int = 0) -> StageResult:
    return complete_stage(small_network(), data or ToyData(), plan=plan, folder=folder, seed=seed, hardware=CPU, options=options)


@pytest.fixture
def plan() -> StagePlan:
    return StagePlan(side="local", findings=("tuberculosis",), watch=("global",), epochs=3, lr=3e-3, batch_size=8)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class KilledError(Exception):
    """Stands for SIGKILL where the test stays in one process."""


class KilledData(ToyData):
    """Raise in the training loader after some batches, as a kill would."""

    def __init__(self, after: int, **more: int) -> None:
        super().__init__(**more)
        self.after = after

    def train_dataloader(self):
        loader = super().train_dataloader()
        take = loader.dataset.__class__.__getitem__
        owner = self

        class Mortal(loader.dataset.__class__):
            def __getitem__(self, request):
                owner.after -= 1
                if owner.after < 0:
                    raise KilledError
                return take(self, request)

        loader.dataset.__class__ = Mortal
        return loader


def resumed_like_whole(folder: Path, *, plan: StagePlan, after: int = 8) -> StageResult:
    """Run a stage whole, and again killed after some batches and continued: both must end with the same bytes."""
    whole = run(folder / "whole", plan=plan)
    often = replace(OPTIONS, save_every_s=0.0)
    with pytest.raises(KilledError):
        run(folder / "cut", plan=plan, data=KilledData(after), options=often)
    resumed = run(folder / "cut", plan=plan, options=often)
    assert resumed.sha256 == whole.sha256
    assert (resumed.best_epoch, resumed.epochs_run) == (whole.best_epoch, whole.epochs_run)
    return whole
