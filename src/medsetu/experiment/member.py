# SPDX-License-Identifier: Apache-2.0
"""One process of a stage that trains on several devices: ``python -m medsetu.experiment.member JOB``; started by ``team`` alone."""

import logging
import os
import sys
import threading
from pathlib import Path

from medsetu.core.errors import DataError, MedsetuError
from medsetu.experiment.journal import journal
from medsetu.experiment.stage import StageRecord, put_together
from medsetu.experiment.team import only_one, read_job, write_error, write_result
from medsetu.recipe.recipe import build_recipe
from medsetu.training.hardware import Hardware, process_rank


def main(folder: Path) -> int:
    """Train this process's part of a frozen job.

    Args:
        folder: Where the job was frozen.

    Returns:
        Exit code of the documented table.

    Raises:
        SystemExit: With the code of a signal that asked to stop.
    """
    rank = process_rank() or 0
    try:
        _train(folder, rank)
    except MedsetuError as error:
        write_error(folder, rank, error)
        return error.exit_code
    return 0


def _train(folder: Path, rank: int) -> None:
    job, manifest, assignment = read_job(folder)
    recipe = build_recipe(job.raw)
    previous = None
    if job.previous is not None:
        previous = StageRecord(**{**job.previous, "folder": Path(job.previous["folder"]), "findings": tuple(job.previous["findings"])})
    stage = put_together(
        recipe, job.name, manifest=manifest, assignment=assignment, seed=job.seed, previous=previous, hardware=Hardware(**job.hardware)
    )
    if stage.key != job.key or stage.folder != folder.parent:
        raise DataError(
            what="A training process came to another stage than the one that started it",
            where=f"Stage {job.name}, process {rank}",
            remedy="Do not change code, weights or configuration while a stage begins; start the same command again",
        )
    if rank > 0:
        logging.disable(logging.WARNING)  # the first process says it for all
    with only_one(stage.folder / f".lock-{rank}"), journal():  # until the process of the same rank that a kill has orphaned is gone
        result = stage.fit(recipe)
    if rank == 0:
        write_result(folder, result)


def _end_with_parent() -> None:
    """Leave at once when the process that started this one is gone: nobody would tell it to stop, and another may start."""

    def watch() -> None:
        while os.read(0, 1):  # the pipe is never written to
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    raise SystemExit(main(Path(sys.argv[1])))
