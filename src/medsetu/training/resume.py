# SPDX-License-Identifier: Apache-2.0
"""Exact resume: atomic checkpoints with a hash, two of them kept, and every random state restored at the first step."""

import io
import logging
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO
from torch import distributed

from medsetu.core.errors import DataError
from medsetu.core.run import atomic_write, verify_sidecar
from medsetu.training.stop import MARKER, Signals, StoppedError, mark

log = logging.getLogger(__name__)
_NAMES = ("resume-a.ckpt", "resume-b.ckpt")


class AtomicCheckpointIO(CheckpointIO):
    """Write checkpoints atomically with a SHA-256 beside them; load tensors and plain values only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:  # noqa: ANN401
        """Serialise in memory, then replace the target in one step."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        atomic_write(Path(path), buffer.getvalue(), sidecar=True)

    def load_checkpoint(self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None) -> dict[str, Any]:  # noqa: ANN401, FBT001
        """Verify the hash, then load without pickle code.

        Raises:
            DataError: The file is not the one that was written.
        """
        verify_sidecar(Path(path), required=True)
        loaded: dict[str, Any] = torch.load(Path(path), map_location="cpu", weights_only=True)
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove one checkpoint and its hash."""
        for name in (Path(path), Path(f"{path}.sha256")):
            name.unlink(missing_ok=True)


class RandomState(pl.Callback):
    """Carry torch, CUDA, numpy and Python random states through a checkpoint, those of every process of a stage.

    They are restored at the first training step after a load, not at the load itself, so that nothing in between can use up random numbers.
    Processes begin with different states, so that they do not drop the same units.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[dict[str, Any]] | None = None
        self._begun = False

    def state_dict(self) -> dict[str, Any]:
        """All states as tensors, integers and tuples, by process; every process calls it when a checkpoint is written."""
        own = random_state()
        every = [own]
        if distributed.is_available() and distributed.is_initialized():
            every = [own] * distributed.get_world_size()
            distributed.all_gather_object(every, own)
        return {"processes": every}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the states until the first step."""
        self._pending = state_dict["processes"]

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        """Restore what a load has left pending; without a load, part from the other processes."""
        if self._begun:
            return
        self._begun = True
        if self._pending is not None:
            restore_random(self._pending[trainer.global_rank])
        elif trainer.global_rank > 0:
            seeds = np.random.SeedSequence([torch.initial_seed(), trainer.global_rank]).generate_state(1)
            pl.seed_everything(int(seeds[0]), workers=False, verbose=False)


def random_state() -> dict[str, Any]:
    """State of every generator of this process: torch, CUDA, numpy, Python."""
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - libraries still use it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,  # of the device of this process
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys, dtype=np.int64)), int(position), int(has_gauss), float(cached)],
        "python": random.getstate(),
    }


def restore_random(state: dict[str, Any]) -> None:
    """Set what ``random_state`` has said."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"])
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


class ResumePoint(pl.Callback):
    """Save a checkpoint from time to time, alternating between two files, so that the last good one stays until the next is good.

    It saves between two updates only: gradients that are still being summed are not part of a checkpoint. All processes of a stage save at
    the same step. Must be the last callback: a kill in an earlier callback of the same step would otherwise lose that step's save.

    Args:
        folder: Folder of the stage.
        every_s: Seconds between saves; 0 saves at every opportunity.
        signals: Signals that ask to stop: the next opportunity saves and ends the stage.
        start: The file this run started from, which is the last to be overwritten; None when it starts anew.
    """

    def __init__(self, folder: Path, *, every_s: float, signals: Signals, start: Path | None = None) -> None:
        super().__init__()
        self.folder, self.every_s, self.signals = folder, every_s, signals
        self._last = time.monotonic()
        self._next = 1 if start is not None and start.name == _NAMES[0] else 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals back from Lightning, which has just set its own handlers."""
        self.signals.install()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save inside an epoch after an update, except on its last batch, where validation follows."""
        done = batch_idx + 1
        if done < int(trainer.num_training_batches) and done % trainer.accumulate_grad_batches == 0:
            self._maybe_save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save between epochs, after validation."""
        self._maybe_save(trainer)

    def _maybe_save(self, trainer: pl.Trainer) -> None:
        due = int(time.monotonic() - self._last >= self.every_s)
        wish = _largest(trainer, self.signals.received or due)
        if not wish:
            return
        trainer.save_checkpoint(self.folder / _NAMES[self._next])
        self._next = 1 - self._next
        self._last = time.monotonic()
        if wish > 1:
            if trainer.is_global_zero:
                mark(self.folder, number=wish, epoch=trainer.current_epoch, step=trainer.global_step)
            raise StoppedError(wish)

    def clear(self, *kept: Path) -> None:
        """Remove the resume files of a finished stage, what kills in a save have left of them, and nothing else.

        Args:
            kept: Files of the stage that stay, of which kills may have left parts too.
        """
        for name in _NAMES:
            AtomicCheckpointIO().remove_checkpoint(self.folder / name)
        (self.folder / MARKER).unlink(missing_ok=True)
        for name in (*_NAMES, MARKER, *(path.name for path in kept)):
            for part in self.folder.glob(f".{name}.*tmp"):
                part.unlink(missing_ok=True)


def _largest(trainer: pl.Trainer, wish: int) -> int:
    """Agree with the other processes: 0 nothing, 1 save, more: the signal that stops all."""
    if trainer.world_size == 1:
        return wish
    agreed: torch.Tensor = trainer.strategy.reduce(torch.tensor(wish, device=trainer.strategy.root_device), reduce_op="max")
    return int(agreed)


def latest_checkpoint(folder: Path) -> Path | None:
    """Find the newest undamaged resume file of a stage.

    Args:
        folder: Folder of the stage.

    Returns:
        Its path; None when there is none. A file that is damaged, or was killed before its hash was written, is passed over with a warning.
    """
    found = sorted((folder / name for name in _NAMES if (folder / name).is_file()), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in found:
        try:
            verify_sidecar(path, required=True)
        except DataError:
            log.warning("A resume file is damaged and passed over: %s", path.name)
            continue
        return path
    return None
