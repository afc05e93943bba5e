# SPDX-License-Identifier: Apache-2.0
"""Split conformal sets of a binary finding: {absent}, {present}, both or neither, and how often they hold the truth.

The sets hold the truth with the stated probability on average over calibration sets, for films exchangeable with the calibration films.
Calibrated on one side and used on another they promise nothing, and their measured coverage says so.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.interval import Estimate, Floats, join_notes
from medsetu.evaluation.proportion import clustered_ratio, ratio_estimate
from medsetu.evaluation.score import check_probability, check_scores

NOT_GUARANTEED = "not guaranteed"
GUARANTEED = "guaranteed on average over calibration sets, if patients are exchangeable"
MEASURES = ("coverage", "coverage of positives", "coverage of negatives", "single", "both", "neither")


@dataclass(frozen=True)
class Sets:
    """Calibrated conformal sets.

    Attributes:
        coverage: Stated coverage, in (0, 1).
        by_class: Whether it is stated for each class on its own.
        limit: Largest nonconformity (1 - probability of the class) admitted for absent and present; infinite with too few films.
        origin: Split they were calibrated on, such as ``val/local``.
        n: Films behind each limit, one per patient.
    """

    coverage: float
    by_class: bool
    limit: tuple[float, float]
    origin: str
    n: tuple[int, int]

    def apply(self, score: ArrayLike) -> NDArray[np.bool_]:
        """(n, 2) whether absent and present belong to the set of each film."""
        present = check_probability(score)
        return np.column_stack([present <= self.limit[0], 1 - present <= self.limit[1]])

    def promise(self, tested: str) -> str:
        """Say whether the stated coverage is guaranteed on a split.

        Example:
            >>> Sets(0.9, False, (0.5, 0.5), "val/global", (99, 99)).promise("test/local")
            'not guaranteed: calibrated on val/global, tested on test/local'
        """
        if self.origin.split("/")[-1] == tested.split("/")[-1]:
            return GUARANTEED
        return f"{NOT_GUARANTEED}: calibrated on {self.origin}, tested on {tested}"


@dataclass(frozen=True)
class Conformal:
    """How conformal sets are calibrated (Vovk, Gammerman and Shafer 2005; Lei et al. 2018).

    Attributes:
        coverage: Probability that a set holds the truth, in (0, 1).
        by_class: For each class on its own (label-conditional), which also survives a change of prevalence alone.
        seed: Draws one film per patient, so that patients are exchangeable (Dunn, Wasserman and Ramdas 2022).

    Raises:
        ConfigError: The coverage is outside (0, 1).
    """

    coverage: float = 0.9
    by_class: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.coverage < 1.0:
            raise ConfigError(what=f"A coverage of {self.coverage} is impossible", where="adaptation.coverage", remedy="Give one in (0, 1)")

    def fit(self, label: ArrayLike, score: ArrayLike, *, origin: str, cluster: ArrayLike | None = None) -> Sets:
        """Calibrate on validation films that chose nothing else.

        Args:
            label: (n,) 1, 0, NaN unknown.
            score: (n,) probabilities.
            origin: Split they belong to, such as ``val/local``.
            cluster: (n,) patient of each film; None: each film stands alone.

        Returns:
            The sets.

        Raises:
            ConfigError: The origin is a test split.
            DataError: No film is labelled.

        Example:
            >>> Conformal(0.5).fit([1, 1, 0], [0.9, 0.6, 0.3], origin="val/local").limit
            (0.3, 0.3)
        """
        if origin.split("/")[0] == "test":
            raise ConfigError(what="Conformal sets may not be calibrated on test films", where=origin, remedy="Give validation films")
        truth, table, codes = check_scores(label, score, cluster=cluster)
        if truth.size == 0:
            raise DataError(what="No film is labelled", where=f"Conformal calibration on {origin}", remedy="Label validation films")
        score_of = check_probability(table[0])
        if codes is not None:
            order = np.random.default_rng(self.seed).permutation(truth.size)
            one = order[np.unique(codes[order], return_index=True)[1]]
            truth, score_of = truth[one], score_of[one]
        strange = np.where(truth == 1, 1 - score_of, score_of)
        parts = [strange[truth == value] if self.by_class else strange for value in (0, 1)]
        limits = tuple(_limit(part, self.coverage) for part in parts)
        return Sets(self.coverage, self.by_class, (limits[0], limits[1]), origin, (parts[0].size, parts[1].size))


def measured(
    sets: Sets, label: ArrayLike, *, score: ArrayLike, tested: str, cluster: ArrayLike | None = None, level: float = 0.95
) -> dict[str, Estimate]:
    """How often the sets hold the truth, and how often they say something, with Wilson intervals at the effective size by patient.

    Args:
        sets: Calibrated sets.
        label: (n,) 1, 0, NaN unknown.
        score: (n,) probabilities of the films tested.
        tested: Split they belong to, such as ``test/local``.
        cluster: (n,) patient of each film; None: by image.
        level: Confidence level in (0, 1).

    Returns:
        One estimate per name of ``MEASURES``; notes carry the promise, and whether the interval lies below the stated coverage.
    """
    truth, table, codes = check_scores(label, score, cluster=cluster)
    patients = np.arange(truth.size, dtype=np.int64) if codes is None else codes
    inside = sets.apply(table[0])
    right = np.where(truth == 1, inside[:, 1], inside[:, 0]).astype(np.float64)
    size, everyone = inside.sum(axis=1), np.ones(truth.size)
    parts = {
        "coverage": (right, everyone),
        "coverage of positives": (right * truth, truth),
        "coverage of negatives": (right * (1 - truth), 1 - truth),
        "single": ((size == 1).astype(np.float64), everyone),
        "both": ((size == 2).astype(np.float64), everyone),
        "neither": ((size == 0).astype(np.float64), everyone),
    }
    counts = (int(np.unique(patients).size), truth.size, int(truth.sum()))
    return {
        name: _noted(_ratio(above, below, cluster=patients, name=name, counts=counts, level=level), sets, tested=tested, name=name)
        for name, (above, below) in parts.items()
    }


def _ratio(above: Floats, below: Floats, *, cluster: NDArray[np.int64], name: str, counts: tuple[int, int, int], level: float) -> Estimate:
    return ratio_estimate(clustered_ratio(above, below, cluster=cluster, level=level), name=name, counts=counts, level=level)


def _noted(found: Estimate, sets: Sets, *, tested: str, name: str) -> Estimate:
    if not name.startswith("coverage"):
        return found
    stated = name == "coverage" or sets.by_class
    below = f"below the stated {sets.coverage:g}" if stated and found.high < sets.coverage else ""
    few = "too few calibration films: every set holds that class" if math.inf in sets.limit else ""
    promise = sets.promise(tested) if stated else f"{NOT_GUARANTEED}: stated over both classes together"
    return Estimate(**{**found.__dict__, "note": join_notes(found.note, promise, below, few)})


def _limit(strange: Floats, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest nonconformity; infinite where there is no such film."""
    rank = math.ceil((strange.size + 1) * coverage - 1e-9)
    return float(np.sort(strange)[rank - 1].round(15)) if rank <= strange.size else math.inf
