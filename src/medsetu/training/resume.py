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

from medsetu.core.errors import DataError
from medsetu.core.run import atomic_write, verify_sidecar

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
        verify_sidecar(Path(path))
        loaded: dict[str, Any] = torch.load(Path(path), map_location="cpu", weights_only=True)
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove one checkpoint and its hash."""
        for name in (Path(path), Path(f"{path}.sha256")):
            name.unlink(missing_ok=True)


class RandomState(pl.Callback):
    """Carry torch, CUDA, numpy and Python random states through a checkpoint.

    They are restored at the first training step after a load, not at the load itself, so that nothing in between can use up random numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """All states as tensors, integers and tuples."""
        kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - libraries still use it
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": [str(kind), torch.from_numpy(np.asarray(keys, dtype=np.int64)), int(position), int(has_gauss), float(cached)],
            "python": random.getstate(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the states until the first step."""
        self._pending = state_dict

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        """Restore what a load has left pending."""
        if self._pending is None:
            return
        state, self._pending = self._pending, None
        torch.set_rng_state(state["torch"])
        if torch.cuda.is_available() and state["cuda"]:
            torch.cuda.set_rng_state_all(state["cuda"])
        kind, keys, position, has_gauss, cached = state["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))


class ResumePoint(pl.Callback):
    """Save a checkpoint from time to time, alternating between two files, so that one good file always exists.

    Must be the last callback: a process killed in an earlier callback of the same step would otherwise lose that step's save.

    Args:
        folder: Folder of the stage.
        every_s: Seconds between saves; 0 saves at every opportunity.
    """

    def __init__(self, folder: Path, *, every_s: float) -> None:
        super().__init__()
        self.folder, self.every_s = folder, every_s
        self._last = time.monotonic()
        self._count = len([name for name in _NAMES if (folder / name).is_file()])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save inside an epoch, except on its last batch, where validation follows."""
        if batch_idx + 1 < int(trainer.num_training_batches):
            self._maybe_save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save between epochs, after validation."""
        self._maybe_save(trainer)

    def _maybe_save(self, trainer: pl.Trainer) -> None:
        if trainer.received_sigterm or time.monotonic() - self._last >= self.every_s:
            trainer.save_checkpoint(self.folder / _NAMES[self._count % 2])
            self._count += 1
            self._last = time.monotonic()

    def clear(self) -> None:
        """Remove the resume files of a finished stage."""
        for name in _NAMES:
            AtomicCheckpointIO().remove_checkpoint(self.folder / name)


def latest_checkpoint(folder: Path) -> Path | None:
    """Find the newest undamaged resume file of a stage.

    Args:
        folder: Folder of the stage.

    Returns:
        Its path; None when there is none. A damaged file is passed over with a warning.
    """
    found = sorted((folder / name for name in _NAMES if (folder / name).is_file()), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in found:
        try:
            verify_sidecar(path)
        except DataError:
            log.warning("A resume file is damaged and passed over: %s", path.name)
            continue
        return path
    return None
