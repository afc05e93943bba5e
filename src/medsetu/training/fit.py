# SPDX-License-Identifier: Apache-2.0
"""Run one stage: build the trainer, resume where a killed run stopped, return the weights that validation chose."""

import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import LearningRateMonitor, TQDMProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import Tensor

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.training.average import ExponentialAverage, StochasticWeightAveraging, first_averaged
from medsetu.training.checkpointing import checkpoint_blocks
from medsetu.training.hardware import Hardware, forget_peak, peak_memory, process_rank
from medsetu.training.module import StageModule, stage_module
from medsetu.training.plan import StagePlan
from medsetu.training.resume import AtomicCheckpointIO, RandomState, ResumePoint, latest_checkpoint
from medsetu.training.selection import Selection
from medsetu.training.stop import Signals, StoppedError

BEST = "best.safetensors"
_ADVICE = (  # what Lightning says of a correct run
    ".*does not have many workers.*",
    ".*ckpt_path.*",
    ".*logging interval.*",
    ".*Experiment logs directory.*",
    ".*treespec, LeafSpec.*",  # Lightning 2.6.6 under torch 2.15
    ".*sync_dist=True.*",  # the metrics of validation are equal in all processes
)


class StageData(Protocol):
    """What training needs of a data module, beside Lightning's loaders."""

    @property
    def val_names(self) -> Sequence[str]:
        """Side of each validation loader."""

    @property
    def train_labels(self) -> Tensor:
        """(N, L) labels of the training rows, NaN unknown."""

    @property
    def auxiliary(self) -> Mapping[str, int]:
        """Classes of each fact that training batches hold, 0 for a number; read where the stage has auxiliary heads."""

    @property
    def groups(self) -> int:
        """Sites of the training rows that batches number; read where the loss is one over sites."""


@dataclass(frozen=True)
class StageResult:
    """What a finished stage leaves behind.

    Attributes:
        weights: File of the chosen weights.
        sha256: Its hash.
        best_epoch: Zero-based epoch that was chosen.
        best_value: Monitored value there.
        epochs_run: Epochs trained before the end or the early stop.
        seconds: Wall time of this process, training and validation.
        images_per_s: Training images per second of wall time, validation included; NaN after a resume.
        parameters_trained: Numbers of the network that moved at any time of the stage.
        parameters_total: Numbers of the network as it was trained, adapters included.
        peak_memory_bytes: See ``peak_memory``.
        details: What was chosen beside an epoch: C, k, alpha or members, with the candidates' monitored values.
    """

    weights: Path
    sha256: str
    best_epoch: int
    best_value: float
    epochs_run: int
    seconds: float
    images_per_s: float
    parameters_trained: int
    parameters_total: int
    peak_memory_bytes: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainerOptions:
    """Options of the Lightning trainer that a recipe may set; the signature is the schema of ``configs/trainer``.

    Attributes:
        accelerator: ``auto``, ``cpu``, ``gpu`` or ``mps``.
        precision: ``auto``, ``bf16``, ``fp16`` or ``fp32``.
        devices: GPUs, or processes on a CPU, that train a stage together. Each takes ``batch_size`` images per step, so an update sees
            ``batch_size * accumulate * devices`` of them; learning rates are not scaled. Batch normalisation uses the images of its own
            device, and its running statistics are those of the first; ``extra={sync_batchnorm: true}`` pools them, on GPUs.
        deterministic: Refuse operations without a deterministic form.
        save_every_s: Seconds between resume points.
        limit_batches: Batches per epoch, for a smoke test; 0 means all.
        progress: Show progress bars when the output is a terminal.
        compile: Compile the network with ``torch.compile``.
        checkpoint_gradients: Compute the activations of each block again in the backward pass: less memory, more time, the same weights.
        auto_batch: Find the largest batch that fits into the memory of the GPU, and sum the gradients of as many as make up
            ``batch_size * accumulate`` images; see ``fit_batch``.
        extra: Further arguments of ``pytorch_lightning.Trainer``, passed through.
    """

    accelerator: str = "auto"
    precision: str = "auto"
    devices: int = 1
    deterministic: bool = True
    save_every_s: float = 60.0
    limit_batches: int = 0
    progress: bool = True
    compile: bool = False
    checkpoint_gradients: bool = False
    auto_batch: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


def fit_stage(
    network: Network,
    data: Any,  # noqa: ANN401 - a LightningDataModule that is also StageData
    *,
    plan: StagePlan,
    folder: Path,
    seed: int,
    hardware: Hardware,
    options: TrainerOptions,
    listeners: Sequence[Logger | pl.Callback] = (),
) -> StageResult:
    """Train one stage, or continue it where a killed process stopped.

    Args:
        network: Network to train, changed in place; afterwards it holds the last, not the chosen, weights.
        data: Lightning data module that also offers ``val_names`` and ``train_labels``, ``unlabelled`` where the plan has an alignment,
            and ``view`` where it has a pretext.
        plan: The stage.
        folder: Where weights and resume points go.
        seed: Seed of dropout and of every library generator.
        hardware: Accelerator and precision.
        options: Trainer options.
        listeners: Lightning loggers, and callbacks that come when the weights of an epoch are chosen.

    Returns:
        The chosen weights and how they were found.

    Raises:
        DataError: The monitored value is not a number.
        ResourceError: The disk is full.
        SystemExit: With code 143 after SIGTERM, 138 after SIGUSR1; the same call continues.
    """
    loggers = [one for one in listeners if isinstance(one, Logger)]
    callbacks = [one for one in listeners if isinstance(one, pl.Callback)]
    folder.mkdir(parents=True, exist_ok=True)
    pl.seed_everything(seed, workers=False, verbose=False)
    batches = len(data.train_dataloader())
    steps = plan.epochs * math.ceil(min(batches, options.limit_batches or batches) / plan.accumulate)
    module = stage_module(network, data, plan=plan, steps=steps, seed=seed, hardware=hardware)
    trained, total = _sizes(network)
    if options.checkpoint_gradients:
        checkpoint_blocks(network)
    if options.compile:
        module.network.compile()
    selection = Selection(tuple(data.val_names), folder / BEST, patience=plan.patience)
    with quiet(), Signals() as signals:
        start = latest_checkpoint(folder)
        resume = ResumePoint(folder, every_s=options.save_every_s, signals=signals, start=start)
        trainer = _trainer(
            plan,
            [selection, *callbacks, *_optional(plan, options, steps=steps, has_logger=bool(loggers)), RandomState(), resume],
            hardware,
            options,
            loggers,
            folder,
        )
        forget_peak(hardware)
        began = time.perf_counter()
        try:
            _train(trainer, module, data, start=start, signals=signals)
        finally:
            close_loggers(loggers)
    seconds = time.perf_counter() - began
    images = len(data.train_labels) * selection.epochs_run if start is None else float("nan")
    if trainer.is_global_zero:
        resume.clear(selection.path)
        selection.require_kept()
    return StageResult(
        weights=selection.path,
        sha256=selection.sha256,
        best_epoch=selection.best_epoch,
        best_value=selection.best_value,
        epochs_run=selection.epochs_run,
        seconds=seconds,
        images_per_s=images / seconds,
        parameters_trained=trained,
        parameters_total=total,
        peak_memory_bytes=peak_memory(hardware),
    )


def _sizes(network: Network) -> tuple[int, int]:
    """Numbers that move at any time of the stage, and all of them; asked when the strategy has freed them, before its first epoch."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(size for size, moves in sizes if moves), sum(size for size, _ in sizes)


def _train(trainer: pl.Trainer, module: StageModule, data: pl.LightningDataModule, *, start: Path | None, signals: Signals) -> None:
    """Fit, and leave with the exit code of a signal; Lightning's own is 0."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=None if start is None else str(start), weights_only=True)
    except StoppedError as stopped:
        raise SystemExit(stopped.exit_code) from stopped
    except SystemExit as stopped:
        if signals.received:  # in the moment between Lightning's handlers and ours
            raise SystemExit(StoppedError(signals.received).exit_code) from stopped
        if trainer.interrupted:  # Lightning turns Ctrl-C into exit 1 and mutes the signal
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from stopped
        raise


def _optional(plan: StagePlan, options: TrainerOptions, *, steps: int, has_logger: bool) -> list[pl.Callback]:
    callbacks: list[pl.Callback] = []
    if plan.ema > 0:
        callbacks.append(ExponentialAverage(decay=plan.ema))
    if plan.swa > 0:
        first = first_averaged(plan.epochs, share=plan.swa)
        callbacks.append(StochasticWeightAveraging(steps_per_epoch=steps // plan.epochs, first_epoch=first))
    if has_logger:
        callbacks.append(LearningRateMonitor("epoch"))
    if _shows_progress(options):
        callbacks.append(TQDMProgressBar(leave=False))
    return callbacks


def close_loggers(loggers: Sequence[Logger]) -> None:
    """End tracker runs that would otherwise go on into the next stage (Weights & Biases keeps one open per process)."""
    for logger in loggers:
        finish = getattr(getattr(logger, "experiment", None), "finish", None)
        if callable(finish):
            finish()


def _shows_progress(options: TrainerOptions) -> bool:
    return options.progress and sys.stdout.isatty()


def _trainer(
    plan: StagePlan, callbacks: list[pl.Callback], hardware: Hardware, options: TrainerOptions, loggers: Sequence[Logger], folder: Path
) -> pl.Trainer:
    return pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy=_strategy(hardware),
        precision=hardware.precision,  # type: ignore[arg-type]  # names checked in hardware.py
        max_epochs=plan.epochs,
        accumulate_grad_batches=plan.accumulate,
        gradient_clip_val=plan.clip or None,
        deterministic=options.deterministic,
        limit_train_batches=options.limit_batches or 1.0,
        limit_val_batches=1.0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=_shows_progress(options),
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=callbacks,
        logger=list(loggers) or False,
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],  # else it saves in the middle of a step when Slurm sends SIGUSR1
        default_root_dir=folder,
        **options.extra,
    )


def _strategy(hardware: Hardware) -> Strategy | str:
    """One process, or several that sum their gradients.

    Unused parameters are looked for because a strategy may freeze some from epoch to epoch; it also keeps the order in which gradients are
    summed the same in every step, which a resumed run needs.

    Raises:
        ConfigError: This process is not one of several: Lightning would start the others by running the whole command line again.
    """
    if hardware.devices == 1:
        return "auto"
    if process_rank() is None:
        raise ConfigError(
            what=f"One process cannot train on {hardware.devices} devices",
            where="trainer.devices",
            remedy="Train through medsetu.experiment",
        )
    return DDPStrategy(find_unused_parameters=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's advice about workers and tips; errors and our own warnings stay."""
    names = ("pytorch_lightning", "lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for text in _ADVICE:
                warnings.filterwarnings("ignore", message=text)
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
