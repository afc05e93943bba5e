# SPDX-License-Identifier: Apache-2.0
"""The data of one training stage as a Lightning data module: one training loader, one validation loader per watched side."""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import check_findings
from medsetu.core.run import content_key
from medsetu.core.sample import DOMAINS
from medsetu.core.table import finding_columns
from medsetu.data.cache import Images, open_images
from medsetu.data.loader import Batch, PlainBatches, RandomBatches, ResumableLoader, Rows, plain_loader
from medsetu.data.pipeline import InputSpec
from medsetu.data.plan import DataPlan, TrainOn
from medsetu.data.prepare import Source
from medsetu.data.sampler import EpochBatches, Request, make_order
from medsetu.data.target import targets_of

MINIMUM_TRAIN = 4
_OTHER_VIEW = 2**32  # beyond any count of repeats within an epoch
_LOG = logging.getLogger(__name__)


class StageDataModule(LightningDataModule):
    """Rows of a manifest as batches of one stage.

    Args:
        manifest: MANIFEST_COLUMNS and one column per finding.
        assignment: ``sample_id`` -> ``train``, ``val`` or ``test``; samples that are not in it are left out.
        findings: Findings of the stage, in head order; none for a stage without labels, which then takes every film, labelled or not.
        train_on: Side and releases whose ``train`` rows with a known label are learned from, and the facts of these rows, and of no others,
            that training batches show beside the labels.
        watch: Name -> side and releases whose ``val`` rows are watched; the first one chooses the weights and may not be empty.
        spec: What the network wants to see.
        plan: How rows become batches.
        seed: Seed of order and augmentation, at least 0.

    Raises:
        ConfigError: A finding, side or fact is unknown.
        DataError: Too few training samples, a finding with one class, or nothing to select on.
    """

    def __init__(
        self,
        manifest: pd.DataFrame,
        assignment: pd.Series,
        *,
        findings: Sequence[str],
        train_on: TrainOn,
        watch: Mapping[str, TrainOn],
        spec: InputSpec,
        plan: DataPlan,
        seed: int,
    ) -> None:
        super().__init__()
        if findings:
            check_findings(findings, finding_columns(manifest), where="Findings of the stage")
        self.findings = tuple(findings)
        self.spec = spec
        self.plan = plan
        self.train_on = train_on
        self.seed = seed
        split = manifest["sample_id"].map(assignment)
        self.train_rows = self._labelled(manifest[split == "train"], train_on)
        watched = {name: self._labelled(manifest[split == "val"], rows) for name, rows in watch.items()}
        self.val_rows = {name: rows for name, rows in watched.items() if len(rows)}
        self.met_rows = manifest[(split == "train") & (manifest["domain"] == train_on.meet)]
        if train_on.meet and len(self.met_rows) < MINIMUM_TRAIN:
            raise DataError(
                what=f"{len(self.met_rows)} training images of the {train_on.meet} side cannot be aligned to",
                where="Alignment of the stage",
                remedy="Add images or switch the alignment off; where that side is cross-fitted, only a fold has training images",
            )
        self._refuse_unfit({name: len(watched[name]) for name in list(watch)[:1]})
        for name in watched.keys() - self.val_rows.keys():
            _LOG.warning("No validation row of '%s' has a known label of %s: it is not watched", name, ", ".join(findings))
        self.targets = targets_of(self.train_rows, train_on.facts)
        self._images: Images | None = None
        self._views: RandomBatches | None = None
        self._places: dict[str, int] = {}

    @property
    def val_names(self) -> tuple[str, ...]:
        """Name of each validation loader."""
        return tuple(self.val_rows)

    @property
    def train_labels(self) -> Tensor:
        """(N, L) float32 labels of the training rows, NaN unknown."""
        return Rows.of(self.train_rows, self.findings).label

    @property
    def auxiliary(self) -> dict[str, int]:
        """Number of classes of each fact that training batches show, 0 for a number."""
        return {target.column: len(target.classes) for target in self.targets}

    @property
    def groups(self) -> int:
        """Number of sites among the training rows, as the ``group`` of a batch numbers them.

        Raises:
            DataError: A row has no site.
        """
        group = Rows.of(self.train_rows, self.findings).group
        if group is None or bool((group < 0).any()):
            raise DataError(what="Rows without a site cannot be grouped by site", where="Key loss of the stage", remedy="Group by class")
        return int(group.max()) + 1

    def prepare_data(self) -> None:
        """Fill the cache with all images of the stage."""
        self._opened()

    def train_dataloader(self) -> ResumableLoader:
        """Load the training rows, shuffled and changed at random as a function of (seed, epoch, sample)."""
        if self.trainer is not None and self.trainer.world_size != self.train_on.parts:
            raise ConfigError(
                what=f"{self.trainer.world_size} processes train and the images are shared among {self.train_on.parts}",
                where="trainer.devices",
                remedy="Give the number of processes as TrainOn.parts",
            )
        rows = np.arange(len(self.train_rows), dtype=np.int64)
        dataset = RandomBatches(
            self._opened().subset(rows),
            Rows.of(self.train_rows, self.findings, self.targets),
            spec=self.spec,
            augment=self.plan.augment,
            seed=self.seed,
        )
        order = make_order(self.plan.sampler, self.train_rows, findings=self.findings, seed=self.seed)
        batches = EpochBatches(order, batch_size=self.train_on.batch_size, part=self.train_on.part, parts=self.train_on.parts)
        return ResumableLoader(dataset, batches, workers=self.plan.workers, pin_memory=self.plan.pin_memory)

    def plain_train_dataloader(self) -> DataLoader[Batch]:
        """Load the training rows once, in their order, without random changes."""
        images = self._opened().subset(np.arange(len(self.train_rows), dtype=np.int64))
        return _plain(images, self.train_rows, findings=self.findings, spec=self.spec, plan=self.plan)

    def reseeded(self, seed: int) -> "StageDataModule":
        """Give the same rows in another order and with other random changes; prepared images are shared."""
        other = copy.copy(self)
        other.seed = seed
        return other

    def batched(self, batch_size: int) -> "StageDataModule":
        """Give the same rows in batches of another size; prepared images are shared."""
        other = copy.copy(self)
        other.train_on = replace(self.train_on, batch_size=batch_size)
        return other

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """One loader per name in ``val_names``, in that order."""
        loaders, start = [], len(self.train_rows)
        for rows in self.val_rows.values():
            images = self._opened().subset(np.arange(start, start + len(rows), dtype=np.int64))
            loaders.append(_plain(images, rows, findings=self.findings, spec=self.spec, plan=self.plan))
            start += len(rows)
        return loaders

    def unlabelled(self, sample_id: Sequence[str], epoch: int) -> Tensor:
        """Draw as many images of the side that is met as a training batch has: a pure function of seed, epoch and batch.

        Args:
            sample_id: Names of the training batch.
            epoch: Number of the epoch.

        Returns:
            (B, C, H, W) normalised images, changed at random like those of the batch; their labels are not read.
        """
        start = len(self.train_rows) + sum(len(rows) for rows in self.val_rows.values())
        images = self._opened().subset(np.arange(start, start + len(self.met_rows), dtype=np.int64))
        rng = np.random.default_rng(int(content_key([self.seed, epoch, *sample_id]), 16))
        rows = rng.choice(len(self.met_rows), len(sample_id), replace=len(sample_id) > len(self.met_rows))
        dataset = RandomBatches(images, Rows.of(self.met_rows, ()), spec=self.spec, augment=self.plan.augment, seed=self.seed)
        return dataset[Request(epoch, rows, np.arange(len(rows), dtype=np.int64))]["image"]

    def view(self, sample_id: Sequence[str], epoch: int, number: int) -> Tensor:
        """Draw another random view of films of this stage, from training or validation: a pure function of seed, epoch, film and number.

        Args:
            sample_id: Names of the films.
            epoch: Number of the epoch.
            number: Number of the view; the training loader itself draws view 0.

        Returns:
            (B, C, H, W) normalised images, changed at random as training images are.
        """
        if self._views is None:
            table = pd.concat([self.train_rows, *self.val_rows.values()])
            images = self._opened().subset(np.arange(len(table), dtype=np.int64))
            self._views = RandomBatches(images, Rows.of(table, ()), spec=self.spec, augment=self.plan.augment, seed=self.seed)
            self._places = {name: place for place, name in enumerate(self._views.rows.sample_id)}
        rows = np.array([self._places[name] for name in sample_id], dtype=np.int64)
        shown = pd.Series(rows).groupby(rows).cumcount().to_numpy().astype(np.int64)  # a sampler may show one film twice in a batch
        return self._views[Request(epoch, rows, shown + number * _OTHER_VIEW)]["image"]

    def _opened(self) -> Images:
        if self._images is None:
            parts = [self.train_rows, *self.val_rows.values(), *([self.met_rows] if len(self.met_rows) else [])]
            self._images = _open(pd.concat(parts), spec=self.spec, plan=self.plan)
        return self._images

    def _labelled(self, rows: pd.DataFrame, wanted: TrainOn) -> pd.DataFrame:
        if wanted.side not in DOMAINS:
            raise ConfigError(what=f"'{wanted.side}' is not a side", where="Stage", value=wanted.side, allowed=DOMAINS)
        rows = rows[rows["domain"] == wanted.side]
        if wanted.releases:
            rows = rows[rows["release"].isin(list(wanted.releases))]
        return rows[rows[list(self.findings)].notna().any(axis=1)] if self.findings else rows

    def _refuse_unfit(self, selecting: Mapping[str, int]) -> None:
        """Refuse before the first batch what cannot be learned from or selected on."""
        count, have = len(self.train_rows), "have a known label" if self.findings else "are there"
        if count < MINIMUM_TRAIN:
            raise DataError(
                what=f"{count} training samples {have}, and at least {MINIMUM_TRAIN} are needed",
                where=f"Findings {', '.join(self.findings) or 'none'}",
                remedy="Add labelled samples, or choose another side, release or finding",
            )
        for finding in self.findings:
            positive, known = int((self.train_rows[finding] == 1).sum()), int(self.train_rows[finding].notna().sum())
            if positive in (0, known):
                raise DataError(
                    what=f"The training samples show one class: {positive} of {known} known labels are positive",
                    where=f"Finding {finding}",
                    remedy="Add samples of the other class, or leave the finding out",
                )
        for name, rows in selecting.items():
            if rows == 0:
                raise DataError(
                    what=f"No validation samples {have}, so no weights can be chosen",
                    where=f"Validation of '{name}', findings {', '.join(self.findings) or 'none'}",
                    remedy="Enlarge manifest.val, or choose another release or finding",
                )


def prediction_loader(frame: pd.DataFrame, *, findings: Sequence[str], spec: InputSpec, plan: DataPlan) -> DataLoader[Batch]:
    """Load manifest rows once, in their order, without random changes.

    Args:
        frame: Manifest rows; a finding without a column is unknown.
        findings: Findings of the head, in order.
        spec: What the network wants to see.
        plan: How rows become batches.

    Returns:
        The loader.
    """
    return _plain(_open(frame, spec=spec, plan=plan), frame, findings=findings, spec=spec, plan=plan)


def _plain(images: Images, frame: pd.DataFrame, *, findings: Sequence[str], spec: InputSpec, plan: DataPlan) -> DataLoader[Batch]:
    dataset = PlainBatches(images, Rows.of(frame, findings), spec=spec)
    return plain_loader(dataset, batch_size=plan.eval_batch_size, workers=plan.workers, pin_memory=plan.pin_memory)


def _open(frame: pd.DataFrame, *, spec: InputSpec, plan: DataPlan) -> Images:
    return open_images(
        sources(frame),
        plan.pipeline(spec),
        folder=Path(plan.cache),
        workers=plan.build_workers,
        memory_limit_gib=plan.memory_limit_gib,
        progress=plan.progress,
    )


def sources(frame: pd.DataFrame) -> list[Source]:
    """Find the image file of each manifest row."""
    columns = (frame["sample_id"].astype(str), frame["root"].astype(str), frame["path"].astype(str), frame["sha256"].astype(str))
    return [Source(sample, Path(root) / path, sha256) for sample, root, path, sha256 in zip(*columns, strict=True)]
