# SPDX-License-Identifier: Apache-2.0
"""Does the input pipeline keep a network waiting? Training throughput from one fixed batch, from medsetu, and from MONAI.

python scripts/bench_input.py --model resnet10t --size 128
Films are those of NIH ChestX-ray14 under MEDSETU_DATA where it is set, else synthetic ones.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from medsetu.core.run import sha256_file
from medsetu.data.augment import Augmentation
from medsetu.data.cache import open_images
from medsetu.data.loader import RandomBatches, ResumableLoader, Rows
from medsetu.data.pipeline import Pipeline
from medsetu.data.prepare import Source
from medsetu.data.sampler import EpochBatches, Order

TARGET = 0.95
FIXED = "one fixed batch in memory"
OURS = "medsetu, cached, augmented"
Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class Spec:
    """Input contract of the benchmarked network."""

    size: tuple[int, int]
    channels: int = 1
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)


def films(folder: Path, count: int) -> list[Path]:
    """Find real films, or draw synthetic ones."""
    real = Path(os.environ.get("MEDSETU_DATA", "")) / "nih_chestxray14"
    if os.environ.get("MEDSETU_DATA") and real.is_dir():
        return sorted(real.rglob("*.png"))[:count]
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[-1:1:384j, -1:1:384j]
    for number in range(count):
        lungs = sum(np.exp(-(((columns - side) / 0.3) ** 2 + (rows / 0.6) ** 2) * 2) for side in (-0.45, 0.45))
        film = 200 - 150 * lungs + generator.normal(0, 12, rows.shape)
        Image.fromarray(np.clip(film, 0, 255).astype(np.uint8)).save(folder / f"{number:04d}.png")
    return sorted(folder.glob("*.png"))


class Trainer:
    """One small network and its training step, bf16 and channels-last."""

    def __init__(self, name: str, *, device: str) -> None:
        self.device = device
        self.network = timm.create_model(name, in_chans=1, num_classes=1).to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4)

    def step(self, images: Tensor, labels: Tensor) -> None:
        """Forward, backward, update."""
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, dtype=torch.bfloat16):
            logits = self.network(images)
        functional.binary_cross_entropy_with_logits(logits.float(), labels.to(self.device)).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def from_memory(spec: Spec, *, batch_size: int, device: str) -> Batches:
    """Hand out one fixed batch again and again."""
    batch = (torch.randn(batch_size, 1, *spec.size, device=device), torch.ones(batch_size, 1, device=device))
    return lambda: cycle([batch])


def from_medsetu(paths: list[Path], spec: Spec, *, folder: Path, batch_size: int, workers: int) -> Batches:
    """Cached images, batched random changes."""
    sources = [Source(path.name, path, sha256_file(path)) for path in paths]
    images = open_images(sources, Pipeline(spec.size), folder=folder, workers=2, memory_limit_gib=8.0)
    rows = Rows.of(pd.DataFrame({"sample_id": [path.name for path in paths], "domain": "global", "finding": 1.0}), ["finding"])
    dataset = RandomBatches(images, rows, spec=spec, augment=Augmentation(), seed=0)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        loader = ResumableLoader(dataset, EpochBatches(Order(0, len(paths)), batch_size=batch_size), workers=workers)
        while True:
            yield from ((batch["image"], batch["label"]) for batch in loader if len(batch["label"]) == batch_size)

    return batches


def from_monai(paths: list[Path], spec: Spec, *, folder: Path, batch_size: int, workers: int) -> Batches:
    """MONAI's PersistentDataset, then the same kinds of random changes sample by sample."""
    from monai.data.dataloader import DataLoader
    from monai.data.dataset import PersistentDataset
    from monai.transforms import (
        Compose,
        EnsureChannelFirstd,
        EnsureTyped,
        LoadImaged,
        NormalizeIntensityd,
        RandAdjustContrastd,
        RandAffined,
        RandGaussianNoised,
        RandScaleIntensityFixedMeand,
        Resized,
        ResizeWithPadOrCropd,
        ScaleIntensityRanged,
    )

    key = ["image"]
    side = max(spec.size)
    steps = [
        LoadImaged(key, reader="PILReader", image_only=True),
        EnsureChannelFirstd(key, channel_dim="no_channel"),
        Resized(key, side, size_mode="longest", mode="bilinear", anti_aliasing=True),
        ResizeWithPadOrCropd(key, spec.size),
        ScaleIntensityRanged(key, 0, 255, 0, 1),
        EnsureTyped(key, track_meta=False),
        RandAffined(key, prob=1.0, rotate_range=np.deg2rad(10), translate_range=0.05 * side, scale_range=0.1, padding_mode="zeros"),
        RandAdjustContrastd(key, prob=1.0, gamma=(0.82, 1.22)),
        RandScaleIntensityFixedMeand(key, prob=1.0, factors=0.2),
        RandGaussianNoised(key, prob=0.5, std=0.02),
        NormalizeIntensityd(key, subtrahend=spec.mean[0], divisor=spec.std[0]),
    ]
    items = [{"image": str(path), "label": torch.ones(1)} for path in paths]
    dataset = PersistentDataset(items, Compose(steps), cache_dir=folder)
    for number in range(len(items)):
        dataset[number]

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=True, num_workers=workers)
        while True:
            yield from ((torch.as_tensor(batch["image"]), batch["label"]) for batch in loader)

    return batches


def images_per_s(trainer: Trainer, batches: Iterator[tuple[Tensor, Tensor]], *, steps: int, batch_size: int) -> float:
    """Time some training steps after one that warms up."""
    trainer.step(*next(batches))
    began = time.perf_counter()
    for images, labels in islice(batches, steps):
        trainer.step(images, labels)
    if trainer.device == "cuda":
        torch.cuda.synchronize()
    return steps * batch_size / (time.perf_counter() - began)


def main() -> None:
    """Print images per second of each input, and the ratios to the fixed batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet10t", help="timm name")
    parser.add_argument("--size", type=int, default=128, help="pixels per side")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--films", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8, help="training steps per measurement")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each input, taken in turn")
    parser.add_argument("--workers", type=int, default=0, help="loader processes of medsetu and of MONAI")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args()
    spec = Spec((chosen.size, chosen.size))
    trainer = Trainer(chosen.model, device=chosen.device)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folders = {part: Path(name) / part for part in ("films", "medsetu", "monai")}
        for folder in folders.values():
            folder.mkdir()
        paths = films(folders["films"], chosen.films)
        options = {"batch_size": chosen.batch_size, "workers": chosen.workers}
        inputs = {
            FIXED: from_memory(spec, batch_size=chosen.batch_size, device=chosen.device),
            OURS: from_medsetu(paths, spec, folder=folders["medsetu"], **options),
            "MONAI PersistentDataset": from_monai(paths, spec, folder=folders["monai"], **options),
        }
        for _ in range(chosen.rounds):  # in turn, so that a busy moment of the machine meets all of them
            for label, make in inputs.items():
                rates.setdefault(label, []).append(images_per_s(trainer, make(), steps=chosen.steps, batch_size=chosen.batch_size))
    where = torch.cuda.get_device_name() if chosen.device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{chosen.model}, {chosen.size} px, batch {chosen.batch_size}, bf16, channels-last, {chosen.workers} workers, {where}")
    report(rates)


def report(rates: dict[str, list[float]]) -> None:
    """Print images per second and the median over the rounds of the ratio to the fixed batch."""
    fixed = rates[FIXED]
    ratios = {label: statistics.median(value / base for value, base in zip(values, fixed, strict=True)) for label, values in rates.items()}
    for label, values in rates.items():
        print(f"{label:28s} {statistics.median(values):9.1f} images/s   {ratios[label]:6.3f} of the fixed batch")
    print(f"target {TARGET}: {'reached' if ratios[OURS] >= TARGET else 'missed'}")


if __name__ == "__main__":
    main()
