# SPDX-License-Identifier: Apache-2.0
"""How a search goes about it; the signature is the schema of ``configs/search``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medsetu.core.errors import ConfigError

SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "halving", "none")


@dataclass(frozen=True)
class SearchPlan:
    """What is searched, for how long, and when a trial is given up.

    Attributes:
        space: Keys of the recipe, nested as they are there or dotted, each with a range or a list of choices; see ``read_space``.
        trials: Trials altogether, those of earlier calls included.
        startup: Trials drawn at random before the sampler learns from what it has seen; ``median`` waits for as many finished ones.
        sampler: ``tpe`` (tree-structured Parzen estimator, Bergstra et al. 2011) or ``random``.
        pruner: ``median`` gives up a trial whose best epoch so far is worse than the median of the others at that epoch; ``halving`` keeps
            the better third at each rung (asynchronous successive halving, Li et al. 2020); ``none`` lets all finish.
        warmup: Epochs that every trial may train before it can be given up.
        seed: Seed of the sampler; that of training is the verb's ``seed``.
        resamples: Bootstrap resamples behind the optimism of the winner; 0 for none.

    Raises:
        ConfigError: A value is out of range.
    """

    space: Mapping[str, Any]
    trials: int = 20
    startup: int = 5
    sampler: str = "tpe"
    pruner: str = "median"
    warmup: int = 3
    seed: int = 0
    resamples: int = 2000

    def __post_init__(self) -> None:
        """Refuse values outside their range, one rule per line."""
        rules = {
            "trials": (self.trials >= 1, "at least 1"),
            "startup": (self.startup >= 1, "at least 1"),
            "sampler": (self.sampler in SAMPLERS, f"one of {', '.join(SAMPLERS)}"),
            "pruner": (self.pruner in PRUNERS, f"one of {', '.join(PRUNERS)}"),
            "warmup": (self.warmup >= 1, "at least 1"),
            "seed": (self.seed >= 0, "at least 0"),
            "resamples": (self.resamples >= 0, "at least 0"),
        }
        for key, (holds, wanted) in rules.items():
            if not holds:
                raise ConfigError(
                    what=f"A search cannot have {key}={getattr(self, key)}", where=f"Key search.{key}", remedy=f"It must be {wanted}"
                )
