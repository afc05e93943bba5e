# SPDX-License-Identifier: Apache-2.0
import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from fakes.films import Spec
from medsetu.data.augment import Augmentation
from medsetu.data.cache import Images, open_images
from medsetu.data.datamodule import sources
from medsetu.data.loader import Batch, PlainBatches, RandomBatches, ResumableLoader, Rows, _leave_orphaned, normalise, plain_loader
from medsetu.data.pipeline import Pipeline
from medsetu.data.sampler import EpochBatches, make_order

AUGMENT = Augmentation(blur_p=0.5, box_p=0.5)


@pytest.fixture
def images(manifest: pd.DataFrame, tmp_path: Path) -> Images:
    return open_images(sources(manifest), Pipeline((16, 16)), folder=tmp_path / "cache", workers=0, memory_limit_gib=1.0, progress=False)


def make_loader(
    manifest: pd.DataFrame, images: Images, *, workers: int = 0, sampler: str = "natural", batch_size: int = 5, seed: int = 0
) -> ResumableLoader:
    dataset = RandomBatches(images, Rows.of(manifest, ["tuberculosis"]), spec=Spec(), augment=AUGMENT, seed=seed)
    order = make_order(sampler, manifest, findings=["tuberculosis"], seed=seed)
    return ResumableLoader(dataset, EpochBatches(order, batch_size=batch_size), workers=workers)


def marks(batches: Iterable[Batch]) -> list[tuple[tuple[str, ...], str]]:
    return [(tuple(batch["sample_id"]), hashlib.sha256(batch["image"].contiguous().numpy().tobytes()).hexdigest()) for batch in batches]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
@pytest.mark.parametrize("sampler", ["natural", "class"])
def test_streams_are_independent(manifest: pd.DataFrame, images: Images, sampler: str) -> None:  # T37
    alone = make_loader(manifest, images, sampler=sampler)
    expected = [marks(alone), marks(alone)]
    assert expected[0] != expected[1]
    for workers in (1, 4):
        loader = make_loader(manifest, images, sampler=sampler, workers=workers)
        assert [marks(loader), marks(loader)] == expected


def test_a_sample_gets_the_same_picture_in_any_batch(manifest: pd.DataFrame, images: Images) -> None:
    def pictures(loader: ResumableLoader) -> dict[str, bytes]:
        return {name: image.numpy().tobytes() for batch in loader for name, image in zip(batch["sample_id"], batch["image"], strict=True)}

    whole = pictures(make_loader(manifest, images, batch_size=24))
    assert pictures(make_loader(manifest, images, batch_size=7)) == whole
    part = pictures(make_loader(manifest.iloc[12:], images.subset(np.arange(12, 24))))  # a fold of the same films
    assert {name: whole[name] for name in part} == part


def test_a_repeated_sample_gets_another_picture(manifest: pd.DataFrame, images: Images) -> None:
    seen = [
        (name, image.numpy().tobytes())
        for batch in make_loader(manifest, images, sampler="class")
        for name, image in zip(batch["sample_id"], batch["image"], strict=True)
    ]
    assert len({name for name, _ in seen}) < len(seen) == len(set(seen))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("after", [0, 2, 4, 5])
def test_resume_is_exact(manifest: pd.DataFrame, images: Images, workers: int, after: int) -> None:
    loader = make_loader(manifest, images, workers=workers)
    everything = [mark for _ in range(3) for mark in marks(loader)]
    fresh = make_loader(manifest, images, workers=workers)
    fresh.load_state_dict({"epoch": 1, "done": 0})
    batches = iter(fresh)
    for _ in range(after):
        next(batches)
    state = fresh.state_dict()
    restored = make_loader(manifest, images, workers=workers)
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    rest = [mark for _ in range(2) for mark in marks(restored)]
    expected = everything[5 + after :]
    assert rest[: len(expected)] == expected
    assert len(restored) == 5


def test_a_second_resume_in_one_epoch_is_exact(manifest: pd.DataFrame, images: Images) -> None:
    expected = marks(make_loader(manifest, images))
    loader = make_loader(manifest, images)
    handed: list[tuple[tuple[str, ...], str]] = []
    for count in (1, 2, 2):
        batches = iter(loader)
        handed += marks(next(batches) for _ in range(count))
        state = loader.state_dict()
        loader = make_loader(manifest, images)
        loader.load_state_dict(state)
    assert handed == expected
    assert state == {"epoch": 1, "done": 0}


def test_iterating_again_begins_the_epoch_again(manifest: pd.DataFrame, images: Images) -> None:
    loader = make_loader(manifest, images)
    first = marks([next(iter(loader))])
    assert marks(loader)[:1] == first
    assert marks(loader)[:1] != first  # a finished epoch moves on by itself


def test_loading_leaves_the_global_generators_alone(manifest: pd.DataFrame, images: Images) -> None:  # T36
    torch.manual_seed(3)
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global generator is what must not move
    marks(make_loader(manifest, images))
    marks(plain_loader(PlainBatches(images, Rows.of(manifest, ["tuberculosis"]), spec=Spec()), batch_size=7, workers=0))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002


def test_plain_batches_keep_the_order(manifest: pd.DataFrame, images: Images) -> None:
    dataset = PlainBatches(images, Rows.of(manifest, ["effusion", "nodule"]), spec=Spec())
    batches = list(plain_loader(dataset, batch_size=7, workers=0))
    assert [name for batch in batches for name in batch["sample_id"]] == manifest["sample_id"].tolist()
    labels = torch.cat([batch["label"] for batch in batches])
    np.testing.assert_array_equal(labels[:, 0].numpy(), manifest["effusion"].to_numpy(dtype=np.float32))
    assert bool(labels[:, 1].isnan().all())  # a finding nobody labelled is unknown, not absent


def test_channels_are_repeated_and_normalised() -> None:
    spec = Spec(channels=3, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    image = normalise(torch.full((2, 1, 4, 4), 0.5), spec)
    assert image.shape == (2, 3, 4, 4)
    torch.testing.assert_close(image[0, :, 0, 0], torch.tensor([0.4, 0.15, 0.05]))


class Recorder(pl.LightningModule):
    """Notes which batches Lightning hands to training."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.marks: list[tuple[tuple[str, ...], str]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.marks += marks([batch])
        return self.layer(batch["image"].mean().view(1, 1)).sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        return None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class KilledError(Exception):
    """Stands for a kill."""


class EveryStep(pl.Callback):
    """Saves after every training batch, and dies after some."""

    def __init__(self, folder: Path, *, die_after: int | None) -> None:
        self.folder = folder
        self.die_after = die_after
        self.count = 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        self.count += 1
        trainer.save_checkpoint(self.folder / "last.ckpt")
        if self.count == self.die_after:
            raise KilledError


def fit(loader: ResumableLoader, val: object, folder: Path, *, die_after: int | None = None, ckpt: Path | None = None) -> list:
    module = Recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_epochs=3,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            callbacks=[EveryStep(folder, die_after=die_after)],
            num_sanity_val_steps=0,
        )
        with contextlib.suppress(KilledError):
            trainer.fit(module, loader, val, ckpt_path=ckpt)
    return module.marks


@pytest.mark.parametrize("workers", [0, 2])
def test_lightning_advances_epochs_and_resumes_exactly(manifest: pd.DataFrame, images: Images, tmp_path: Path, workers: int) -> None:
    val = plain_loader(PlainBatches(images, Rows.of(manifest, ["tuberculosis"]), spec=Spec()), batch_size=24, workers=0)
    expected = [mark for loader in [make_loader(manifest, images)] for _ in range(3) for mark in marks(loader)]
    assert fit(make_loader(manifest, images, workers=workers), val, tmp_path) == expected
    for kill in (2, 5, 8, 10) if workers == 0 else (7,):
        head = fit(make_loader(manifest, images, workers=workers), val, tmp_path, die_after=kill)
        tail = fit(make_loader(manifest, images, workers=workers), val, tmp_path, ckpt=tmp_path / "last.ckpt")
        assert head + tail == expected, kill


def test_a_worker_whose_parent_is_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    _leave_orphaned(os.getppid(), 0)
    assert ended == []
    _leave_orphaned(os.getppid() + 1, 0)
    assert ended == [1]
