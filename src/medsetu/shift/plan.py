# SPDX-License-Identifier: Apache-2.0
"""Settings of the measures of shift, fixed before they are looked at."""

from dataclasses import dataclass

from medsetu.core.errors import ConfigError


@dataclass(frozen=True)
class ShiftPlan:
    """What is tested how, and when a question is refused.

    Attributes:
        alpha: Size of each family of tests, Holm-adjusted, in (0, 1).
        level: Confidence level of intervals, in (0, 1).
        permutations: Relabelings of a permutation test; alpha * (permutations + 1) should be a whole number.
        bootstrap: Resamples of patients of every resampled interval.
        domain_limit: AUROC of a classifier of the side above which nothing is decomposed: the sides do not overlap.
        minimum_effective: Effective patients per class and side below which nothing is decomposed.
        smallest_side: Patients per side below which a measure is refused.
        minimum_group: Patients below which a subgroup is suppressed.
        seed: Seed of every draw.
    """

    alpha: float = 0.05
    level: float = 0.95
    permutations: int = 999
    bootstrap: int = 1000
    domain_limit: float = 0.95
    minimum_effective: float = 20.0
    smallest_side: int = 10
    minimum_group: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for key, low, high in (
            ("alpha", 0.0, 1.0),
            ("level", 0.0, 1.0),
            ("domain_limit", 0.5, 1.0),
        ):
            if not low < getattr(self, key) < high:
                _refuse(key, getattr(self, key), f"Give a number between {low:g} and {high:g}")
        for key, least in (("permutations", 19), ("bootstrap", 0), ("smallest_side", 2), ("minimum_group", 0), ("seed", 0)):
            if getattr(self, key) < least:
                _refuse(key, getattr(self, key), f"Give at least {least}")
        if self.minimum_effective < 0:
            _refuse("minimum_effective", self.minimum_effective, "Give at least 0")


def _refuse(key: str, value: object, remedy: str) -> None:
    raise ConfigError(what=f"{value} is out of range", where=f"Key shift.{key}", remedy=remedy)
