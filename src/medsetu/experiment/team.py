# SPDX-License-Identifier: Apache-2.0
"""One stage on several devices: a frozen job, one process per device, and what becomes of all when one ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from medsetu.core import errors
from medsetu.core.errors import MedsetuError, ResourceError, rebuild
from medsetu.core.run import atomic_write, verify_sidecar, write_json
from medsetu.core.table import MANIFEST_COLUMNS, conform, read_table, write_table
from medsetu.training.fit import StageResult
from medsetu.training.stop import SIGNALS, Signals

FOLDER = "job"
_JOB, _MANIFEST, _ASSIGNMENT, _RESULT = "job.yaml", "manifest.parquet", "assignment.parquet", "result.json"
_LOOK_S = 0.05  # seconds between looks at the processes
_GRACE_S = 60.0  # seconds for all processes to save and leave, once one has


@dataclass(frozen=True)
class Job:
    """What every process of a stage needs, resolved: none of them composes a configuration of its own.

    Attributes:
        raw: The resolved configuration of the recipe.
        name: Name of the stage.
        key: Key of the stage; a process that comes to another one refuses to train.
        seed: Seed of the run.
        previous: Fields of the StageRecord it starts from, or None.
        hardware: Fields of Hardware.
    """

    raw: Mapping[str, Any]
    name: str
    key: str
    seed: int
    previous: Mapping[str, Any] | None
    hardware: Mapping[str, Any]


def write_job(job: Job, folder: Path, *, manifest: pd.DataFrame, assignment: "pd.Series[str]") -> None:
    """Freeze a job, each file with its hash.

    Args:
        job: The job.
        folder: Where it goes.
        manifest: All samples.
        assignment: sample_id -> split.
    """
    write_table(manifest, folder / _MANIFEST)
    write_table(pd.DataFrame({"sample_id": assignment.index, "split": assignment.to_numpy()}), folder / _ASSIGNMENT)
    atomic_write(folder / _JOB, yaml.safe_dump(asdict(job), sort_keys=False).encode(), sidecar=True)


def read_job(folder: Path) -> tuple[Job, pd.DataFrame, "pd.Series[str]"]:
    """Read what ``write_job`` froze.

    Returns:
        The job, the manifest and the assignment.

    Raises:
        DataError: A file is missing or not the one that was written.
    """
    verify_sidecar(folder / _JOB, required=True)
    job = Job(**yaml.safe_load((folder / _JOB).read_text()))
    pairs = read_table(folder / _ASSIGNMENT)
    manifest = conform(read_table(folder / _MANIFEST), MANIFEST_COLUMNS, name="manifest")
    return job, manifest, pd.Series(pairs["split"].to_numpy(), index=pd.Index(pairs["sample_id"]))


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Let one process at a time into a block; the others wait.

    The lock is the process's own and dies with it: a loader process that outlives a killed one must not hold it. On Windows nothing is
    locked.

    Args:
        path: File of the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with path.open("w") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(handle, fcntl.LOCK_UN)


def train_together(job: Job, folder: Path, *, manifest: pd.DataFrame, assignment: "pd.Series[str]") -> StageResult:
    """Train a stage in one process per device, or go on where killed ones stopped.

    SIGTERM and SIGUSR1 are passed on: all processes save at the same step and leave. When one dies the others are ended. When this process
    is killed they end by themselves; the next ones wait for that.

    Args:
        job: The job.
        folder: Folder of the stage.
        manifest: All samples.
        assignment: sample_id -> split.

    Returns:
        The result of the first process, which writes for all.

    Raises:
        MedsetuError: Whatever a process refused.
        ResourceError: A process died.
        SystemExit: With code 143 after SIGTERM, 138 after SIGUSR1; the same call continues.
    """
    place = folder / FOLDER
    write_job(job, place, manifest=manifest, assignment=assignment)
    count = int(job.hardware["devices"])
    try:
        with Signals() as signals:
            port = _free_port()
            processes = [_start(place, rank, count, port=port) for rank in range(count)]
            try:
                codes = _wait(processes, signals)
            except KeyboardInterrupt:
                _leave(processes, signal.SIGTERM)
                raise
            finally:
                _leave(processes, signal.SIGKILL)
        _judge(codes, place)
        return read_result(place)
    finally:
        _clean(place, count)


def write_result(folder: Path, result: StageResult) -> None:
    """Leave the result of a stage for the process that started it."""
    write_json(folder / _RESULT, {**asdict(result), "weights": str(result.weights)})


def read_result(folder: Path) -> StageResult:
    """Read what ``write_result`` wrote; null is NaN."""
    fields: dict[str, Any] = {
        name: float("nan") if value is None else value for name, value in json.loads((folder / _RESULT).read_text()).items()
    }
    return StageResult(**{**fields, "weights": Path(fields["weights"])})


def write_error(folder: Path, rank: int, error: MedsetuError) -> None:
    """Leave the three sentences of a refusal for the process that started this one."""
    write_json(_error(folder, rank), {"kind": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy})


def _error(folder: Path, rank: int) -> Path:
    return folder / f"error-{rank}.json"


def _start(folder: Path, rank: int, count: int, *, port: int) -> "subprocess.Popen[bytes]":
    """Start one process; its standard input is a pipe that closes when this process ends, however it ends."""
    own = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": _loopback(),
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # else each says that no parameter was unused
    }
    quiet = ["-W", "ignore"] if rank else []  # what all would say is said once
    return subprocess.Popen(  # noqa: S603 - this interpreter, this package
        [sys.executable, *quiet, "-m", "medsetu.experiment.member", str(folder)],
        env={**os.environ, **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if rank else None,
        start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
    )


def _wait(processes: Sequence["subprocess.Popen[bytes]"], signals: Signals) -> list[int | None]:
    """Wait until all have ended well, or one otherwise and the others had time to follow; exit codes by process."""
    passed, last = 0, float("inf")
    while True:
        if signals.received and not passed:
            passed = signals.received
            for process in processes:
                process.send_signal(passed)
        codes = [process.poll() for process in processes]
        if None not in codes or time.monotonic() > last:
            return codes
        ends = [code for code in codes if code]
        if ends and not set(ends) <= set(SIGNALS.values()):
            return codes
        last = min(last, time.monotonic() + _GRACE_S) if any(code is not None for code in codes) else last
        time.sleep(_LOOK_S)


def _leave(processes: Sequence["subprocess.Popen[bytes]"], number: signal.Signals) -> None:
    """End processes that still run, and wait for them."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)
    deadline = time.monotonic() + _GRACE_S
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        if process.stdin is not None:
            process.stdin.close()


def _judge(codes: Sequence[int | None], folder: Path) -> None:
    """Raise what the first unhappy process said."""
    for path in sorted(folder.glob("error-*.json")):
        told = json.loads(path.read_text())
        raise rebuild(getattr(errors, told.pop("kind")), **told)
    unhappy = sorted(enumerate(codes), key=lambda pair: not pair[1])  # those that failed before those that did not end
    for rank, code in unhappy:
        if code in SIGNALS.values() or -(code or 0) in SIGNALS:  # it saved, or had not begun
            raise SystemExit(code if code and code > 0 else SIGNALS[signal.Signals(-(code or 0))])
        if code != 0:
            raise ResourceError(
                what=f"A training process {_fate(code)}",
                where=f"Process {rank} of {len(codes)}",
                remedy="Read what it said before; start the same command again and it goes on where it stopped",
            )


def _fate(code: int | None) -> str:
    """Say how a process ended.

    Example:
        >>> _fate(-9), _fate(1), _fate(None)
        ('was killed by SIGKILL', 'ended with code 1', 'did not end')
    """
    if code is None:
        return "did not end"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _clean(folder: Path, count: int) -> None:
    """Remove the files of the job, and nothing else."""
    for name in (_JOB, _MANIFEST, _ASSIGNMENT, _RESULT, *(_error(folder, rank).name for rank in range(count))):
        for path in (folder / name, folder / f"{name}.sha256"):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _loopback() -> str:
    """Name of the network interface that stays on this machine."""
    return next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
