# SPDX-License-Identifier: Apache-2.0
"""A whole stage: solved from frozen features, trained once, or trained several times and merged; resumable in each."""

import copy
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from medsetu.backbone.network import Network
from medsetu.backbone.weights import load_weights, save_weights
from medsetu.core.errors import ConfigError
from medsetu.core.run import content_key, sha256_file, write_json
from medsetu.training.batch import fit_batch, read_batch
from medsetu.training.candidate import best_first, measure
from medsetu.training.fit import BEST, StageResult, TrainerOptions, fit_stage
from medsetu.training.hardware import Hardware
from medsetu.training.plan import MONITORS, StagePlan
from medsetu.training.solve import solve_stage
from medsetu.tuning.frozen import Frozen
from medsetu.tuning.merge import Finish, Member

_DONE = "member.json"  # written last: this member is trained


def complete_stage(
    network: Network,
    data: Any,  # noqa: ANN401 - as in fit_stage
    *,
    plan: StagePlan,
    folder: Path,
    seed: int,
    hardware: Hardware,
    options: TrainerOptions,
    listeners: Sequence[Logger | pl.Callback] = (),
) -> StageResult:
    """Do one stage, or continue it where a killed process stopped; see ``fit_stage`` for arguments and errors.

    A stage with a ``finish`` trains each of its members in a folder of its own; a finished member is not trained again. Only the first
    member is heard.

    Args:
        network: Network the stage begins with.
        data: As in ``fit_stage``; also ``batched`` where the batch is to fit the memory, ``plain_train_dataloader`` where the head is
            solved, and ``reseeded`` where a finish has several members.
        plan: The stage.
        folder: Where weights and resume points go.
        seed: Seed of the run.
        hardware: Accelerator and precision; one device where the head is solved or the plan has a finish.
        options: Trainer options.
        listeners: Lightning loggers and callbacks; a callback hears nothing of a head that is solved.

    Returns:
        The weights of the stage and how they were found.

    Raises:
        ConfigError: What is done once would be done by several processes.
        DataError: The monitored value is not a number.
    """
    if options.auto_batch and not isinstance(plan.tuning, Frozen):
        fitted = fit_batch(network, data, plan=plan, folder=folder, seed=seed, hardware=hardware, options=options)
        result = complete_stage(
            network,
            data.batched(fitted.batch_size),
            plan=fitted,
            folder=folder,
            seed=seed,
            hardware=hardware,
            options=replace(options, auto_batch=False),
            listeners=listeners,
        )
        return replace(result, details={**result.details, "batch": read_batch(folder)})
    if isinstance(plan.tuning, Frozen):
        _require_one_process(hardware)
        return solve_stage(network, data, plan=plan, strategy=plan.tuning, folder=folder, hardware=hardware, listeners=listeners)
    if plan.finish is None:
        return fit_stage(network, data, plan=plan, folder=folder, seed=seed, hardware=hardware, options=options, listeners=listeners)
    _require_one_process(hardware)
    finish, began = plan.finish, time.perf_counter()
    alone, results = replace(plan, finish=None), []
    for place, member in enumerate(finish.members()):
        results.append(
            _train_member(
                network,
                data if member.draw == 0 else data.reseeded(_seed(seed, member)),
                plan=replace(alone, lr=plan.lr * member.rate),
                folder=folder / f"member-{place}",
                seed=_seed(seed, member),
                hardware=hardware,
                options=options,
                listeners=listeners if place == 0 else (),
            )
        )
    merged, details = _merge(network, data, plan=plan, finish=finish, results=results, hardware=hardware)
    value = measure(merged, data, plan=plan, hardware=hardware)
    sha256 = save_weights(merged, folder / BEST)
    best = results[best_first([result.best_value for result in results], monitor=plan.monitor)[0]]
    return replace(
        best,
        weights=folder / BEST,
        sha256=sha256,
        best_value=value,
        epochs_run=sum(result.epochs_run for result in results),
        seconds=time.perf_counter() - began,
        images_per_s=math.nan if len(results) > 1 else best.images_per_s,
        details=details,
    )


def _require_one_process(hardware: Hardware) -> None:
    if hardware.devices > 1:
        raise ConfigError(
            what="A stage that is solved or merged runs in one process", where="trainer.devices", remedy="Set trainer.devices=1"
        )


def _merge(
    start: Network,
    data: Any,  # noqa: ANN401 - as in fit_stage
    *,
    plan: StagePlan,
    finish: Finish,
    results: Sequence[StageResult],
    hardware: Hardware,
) -> tuple[Network, dict[str, Any]]:
    tuned = []
    for result in results:
        network = copy.deepcopy(start)
        load_weights(network, result.weights, sha256=result.sha256)
        tuned.append(network)
    sign = 1 if MONITORS[plan.monitor] == "max" else -1

    def judge(network: Network) -> float:
        value = measure(network, data, plan=plan, hardware=hardware)
        best_first([value], monitor=plan.monitor)  # refuses what is no number
        return sign * value

    merged, details = finish.merge(start, tuned, judge=judge)
    details["worth"] = [sign * value for value in details["worth"]]
    members = [
        {"lr": plan.lr * member.rate, "draw": member.draw, "best_epoch": result.best_epoch, plan.monitor: result.best_value}
        for member, result in zip(finish.members(), results, strict=True)
    ]
    return merged, {"finish": type(finish).__name__, **details, "members": members}


def _train_member(network: Network, data: Any, *, plan: StagePlan, folder: Path, seed: int, **more: Any) -> StageResult:  # noqa: ANN401
    """Train one member in its own folder, or find it finished."""
    marker = folder / _DONE
    if marker.is_file():
        facts = json.loads(marker.read_text())
        result = StageResult(**{**facts, "weights": folder / BEST, "images_per_s": math.nan})
        if result.weights.is_file() and sha256_file(result.weights) == result.sha256:
            return result
    result = fit_stage(copy.deepcopy(network), data, plan=plan, folder=folder, seed=seed, **more)
    write_json(marker, asdict(result))
    return result


def _seed(seed: int, member: Member) -> int:
    """Seed of a member; no other member of any run has it but by chance."""
    return seed if member.draw == 0 else int(content_key(["member", seed, member.draw], length=7), 16)
