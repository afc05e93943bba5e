# SPDX-License-Identifier: Apache-2.0
"""How manifest rows become batches; the signature is the schema of ``configs/data``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsetu.core.errors import ConfigError
from medsetu.data.augment import Augmentation
from medsetu.data.intensity import Intensity
from medsetu.data.pipeline import InputSpec, Pipeline
from medsetu.data.sampler import SAMPLERS


@dataclass(frozen=True)
class DataPlan:
    """Cache, preparation, augmentation, sampling and loading.

    Attributes:
        cache: Folder of prepared images, shared by all runs.
        fit: ``pad``, ``crop`` or ``stretch``, see ``Pipeline``.
        intensity: Deterministic intensity steps, in order.
        storage: ``uint8``, ``uint16`` or ``float16``.
        window: Values of a volume that become 0 and 1, in its unit: [-160, 240] HU shows soft tissue. None: -1024 to 3071 HU of a CT, the
            percentiles 0.5 and 99.5 where a volume has no unit. Pictures have their own window.
        cut: ``none``, or ``breast``: a mammogram is cut to the rectangle around the breast before it is resized.
        augment: Random changes of training images; None for none.
        sampler: ``natural`` (each image once), ``class`` or ``site`` (equal shares, same number of images) or ``patient`` (one image per
            patient and epoch).
        eval_batch_size: Images per batch of validation and prediction, at least 1.
        workers: Loader processes; 0 loads in the training process, which is quickest on few cores.
        build_workers: Processes that fill the cache; 0 fills it in the main process.
        memory_limit_gib: Images are held in memory up to this size and mapped from disk beyond; 0 always maps.
        pin_memory: Page-locked batches, for a GPU.
        progress: Progress bar while the cache is filled.

    Raises:
        ConfigError: A value is out of range.
    """

    cache: Path | str
    fit: str = "pad"
    intensity: Sequence[Intensity] = ()
    storage: str = "uint16"
    window: Sequence[float] | None = None
    cut: str = "none"
    augment: Augmentation | None = None
    sampler: str = "natural"
    eval_batch_size: int = 64
    workers: int = 0
    build_workers: int = 2
    memory_limit_gib: float = 8.0
    pin_memory: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ConfigError(what=f"'{self.sampler}' is not a sampler", where="Key data.sampler", value=self.sampler, allowed=SAMPLERS)
        lowest = {"eval_batch_size": 1, "workers": 0, "build_workers": 0, "memory_limit_gib": 0}
        for key, low in lowest.items():
            if getattr(self, key) < low:
                raise ConfigError(what=f"{getattr(self, key)} is out of range", where=f"Key data.{key}", remedy=f"Give {low} or more")
        if self.window is not None and (len(self.window) != 2 or not self.window[0] < self.window[1]):
            raise ConfigError(what=f"{list(self.window)} is no window", where="Key data.window", remedy="Give [low, high] with low < high")
        self.pipeline_for((1, 1))

    def pipeline(self, spec: InputSpec) -> Pipeline:
        """Deterministic steps up to a network's input size.

        Raises:
            ConfigError: ``fit`` or ``storage`` is unknown.
        """
        return self.pipeline_for(spec.size)

    def pipeline_for(self, size: tuple[int, ...]) -> Pipeline:
        """Deterministic steps up to a size: (height, width) in pixels, or (depth, height, width) in voxels."""
        window = None if self.window is None else (float(self.window[0]), float(self.window[1]))
        steps = tuple(self.intensity)
        return Pipeline(size=tuple(size), fit=self.fit, intensity=steps, storage=self.storage, window=window, cut=self.cut)


@dataclass(frozen=True)
class TrainOn:
    """Rows a stage learns from or watches: one side, and some of its releases.

    Attributes:
        side: ``global``, ``local`` or ``external``.
        releases: Names of releases; empty means all of that side.
        batch_size: Training images per batch and device, at least 1.
        meet: Side whose training images are shown beside them without labels; "" for none.
        part: Number of this process among those that train together, from 0.
        parts: How many they are.
        facts: Columns of the manifest that training batches show beside the labels; see ``medsetu.data.target``.
    """

    side: str
    releases: Sequence[str] = ()
    batch_size: int = 32
    meet: str = ""
    part: int = 0
    parts: int = 1
    facts: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(what=f"{self.batch_size} images make no batch", where="Key batch_size of the stage", remedy="Give 1 or more")
