# SPDX-License-Identifier: Apache-2.0
"""Send the cells of a study to the launcher that Hydra was configured with (joblib, submitit, Ray)."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from medsetu.core.errors import MedsetuError, ResourceError
from medsetu.recipe.app import Task, plain

_BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def launches_elsewhere() -> bool:
    """Whether Hydra was given a launcher other than its basic one, which runs jobs in this process."""
    return HydraConfig.initialized() and str(HydraConfig.get().launcher["_target_"]) != _BASIC


def spoken() -> tuple[str, tuple[str, ...]]:
    """Say which recipe this process was started with, and the words that change it.

    Returns:
        Its file name and the other overrides of the command line; both empty where Hydra is not running.
    """
    if not HydraConfig.initialized():
        return "", ()
    words = [str(word) for word in HydraConfig.get().overrides.task]
    return str(HydraConfig.get().runtime.choices.get("recipe", "")), tuple(word for word in words if not word.startswith("recipe="))


def launch(cells: Sequence[Mapping[str, object]], task: Task) -> list[Any]:
    """Run one job per cell through Hydra's launcher, with the overrides of this process and those of the cell.

    Args:
        cells: Key to value of each cell, for example ``{"arm": "transfer", "seed": 0, "fold": 2}``.
        task: Receives the resolved configuration of each cell; runs in another process or on another machine.

    Returns:
        What the task returned, in order.

    Raises:
        MedsetuError: The first error of a cell; cells that finished are kept.
    """
    state: Any = GlobalHydra.instance().hydra
    config: Any = HydraConfig.instance().cfg
    if state is None or config is None:
        raise ResourceError(what="Hydra is not running", where="Launcher", remedy="Start the study from the command line")
    context = HydraContext(config_loader=state.config_loader, callbacks=Callbacks(config))
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=_Job(task), config=config)
    own = list(config.hydra.overrides.task)
    jobs = [own + [f"{key}={'null' if value is None else value}" for key, value in cell.items()] for cell in cells]
    return [_value(job) for job in launcher.launch(jobs, initial_job_idx=0)]


class _Job:
    """A task that can travel to another process."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, config: DictConfig) -> Any:  # noqa: ANN401 - whatever the task returns
        return self.task(plain(config))


def _value(job: JobReturn) -> Any:  # noqa: ANN401 - whatever the task returned
    if job.status is JobStatus.COMPLETED:
        return job.return_value
    try:
        return job.return_value  # raises what the job raised
    except MedsetuError:
        raise
    except Exception as error:
        raise ResourceError(
            what=f"A launched run failed ({type(error).__name__})",
            where="Launcher",
            remedy="Read its log, then start the study again: finished runs are kept",
        ) from error
