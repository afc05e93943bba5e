# SPDX-License-Identifier: Apache-2.0
"""Do the sides overlap at all? A classifier of the side, cross-fitted by patient, and the effective patients its weights leave."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medsetu.core.errors import ConfigError
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.delong import auroc_estimate
from medsetu.evaluation.interval import Estimate, Floats
from medsetu.evaluation.score import Ints
from medsetu.shift.measured import Measured, Sides
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import REFUSED
from medsetu.shift.weigh import effective_patients

NO_OVERLAP = f"{REFUSED}: no overlap"
TOWARDS = ("local", "both", "shared")
FOLDS = 5
STRENGTH = 1.0  # inverse regularisation of the classifier, on standardised columns
_EDGE = 1e-9
_CLASS = {1.0: "positive", 0.0: "negative"}


@dataclass(frozen=True)
class Overlap:
    """How far the sides can be told apart, and what is left after weighting.

    Attributes:
        domain: AUROC of the cross-fitted classifier of the side; the larger one of the two classes where it was fitted within classes.
        effective: Effective patients of each side and class, such as ``("local", 1.0)``, under density-ratio weights.
        limit: Domain AUROC above which nothing is decomposed.
        minimum: Effective patients below which nothing is decomposed.
    """

    domain: Estimate
    effective: Mapping[tuple[str, float], float]
    limit: float
    minimum: float

    @property
    def worst(self) -> tuple[str, float]:
        """Side and class with the fewest effective patients."""
        return min(self.effective, key=lambda name: self.effective[name])

    @property
    def refused(self) -> bool:
        """Whether a decomposition must be refused."""
        return not (self.domain.value <= self.limit and self.effective[self.worst] >= self.minimum)

    @property
    def verdict(self) -> str:
        """``refused: no overlap``, or "" where the sides overlap."""
        return NO_OVERLAP if self.refused else ""

    @property
    def sentence(self) -> str:
        """The two numbers with their limits."""
        side, truth = self.worst
        return (
            f"domain AUROC {self.domain.value:.3f} (limit {self.limit:g}); {self.effective[side, truth]:.0f} effective "
            f"{_CLASS[truth]} patients on the {side} side ({self.minimum:g} needed)"
        )


def overlap(values: Measured, sides: Sides, *, plan: ShiftPlan, toward: str = "both") -> Overlap:
    """Measure the overlap of the sides on measured columns.

    Args:
        values: Standardised facts, or components of features.
        sides: Labelled films of the global and the local side, both with both classes.
        plan: Limits, level and seed.
        toward: ``local``: global films are weighted to local ones within each class; ``both``: each side to the other, within each
            class; ``shared``: both to the shared density p q / (p + q), classes together (DISDE).

    Returns:
        Domain AUROC with interval and effective patients.

    Raises:
        ConfigError: ``toward`` is unknown.
    """
    if toward not in TOWARDS:
        raise ConfigError(what=f"Weights toward '{toward}' are unknown", where="overlap", value=toward, allowed=TOWARDS)
    local = np.concatenate([np.full(len(films), float(number)) for number, films in enumerate(sides)])
    label = np.concatenate([films.label for films in sides])
    cluster = np.concatenate([sides[0].cluster, sides[1].cluster + sides[0].n_patients])
    within = np.zeros(label.size) if toward == "shared" else label
    chance = domain_probability(values.both, local, cluster=cluster, within=within, seed=plan.seed)
    found = [
        auroc_estimate(local[within == name], chance[within == name], cluster=cluster[within == name], level=plan.level)
        for name in np.unique(within)
    ]
    domain = max(found, key=lambda one: -math.inf if math.isnan(one.value) else one.value)
    weight = _weights(chance, local, toward=toward)
    effective = {
        (side, truth): effective_patients(weight[rows], cluster=cluster[rows])
        for number, side in enumerate((GLOBAL, LOCAL))
        for truth in (0.0, 1.0)
        if (rows := np.flatnonzero((local == number) & (label == truth))).size
    }
    return Overlap(domain, effective, plan.domain_limit, plan.minimum_effective)


def domain_probability(values: Floats, local: Floats, *, cluster: Ints, within: ArrayLike, seed: int) -> Floats:
    """Probability of being local, from films of other patients, both sides counted alike.

    Args:
        values: (n, p) columns.
        local: (n,) 1 for local films, 0 for global ones.
        cluster: (n,) patients; none is in two folds.
        within: (n,) groups fitted apart, such as the label.
        seed: Seed of the folds.

    Returns:
        (n,) probabilities strictly inside (0, 1); 1/2 where nothing is measured or a side has a single patient.
    """
    chance = np.full(local.size, 0.5)
    groups = np.asarray(within)
    for name in np.unique(groups):
        rows = np.flatnonzero(groups == name)
        folds = min(FOLDS, *(np.unique(cluster[rows][local[rows] == side]).size for side in (0.0, 1.0)))
        if folds < 2 or values.shape[1] == 0:
            continue
        fold = patient_folds(local[rows], cluster[rows], folds=folds, seed=seed)
        for number in range(folds):
            train, test = rows[fold != number], rows[fold == number]
            model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=2000))
            model.fit(values[train], local[train])
            chance[test] = model.predict_proba(values[test])[:, 1]
    return np.asarray(np.clip(chance, _EDGE, 1 - _EDGE))


def patient_folds(local: Floats, cluster: Ints, *, folds: int, seed: int) -> Ints:
    """Deal the patients of each side into folds of equal size.

    Args:
        local: (n,) 1 for local films, 0 for global ones.
        cluster: (n,) patients; none is on both sides.
        folds: Number of folds.
        seed: Seed of the deal.

    Returns:
        (n,) fold of each film, 0 to ``folds`` - 1.

    Example:
        >>> np.bincount(patient_folds(np.zeros(4), np.arange(4), folds=2, seed=0)).tolist()
        [2, 2]
    """
    rng = np.random.default_rng([seed, folds])
    fold = np.zeros(local.size, dtype=np.int64)
    for side in np.unique(local):
        codes = np.unique(cluster[local == side], return_inverse=True)[1]
        fold[local == side] = (rng.permutation(int(codes.max()) + 1) % folds)[codes]
    return fold


def _weights(chance: Floats, local: Floats, *, toward: str) -> Floats:
    """Density-ratio weight of each film."""
    if toward == "shared":
        return np.where(local == 1.0, 1 - chance, chance)
    odds = chance / (1 - chance)
    return np.where(local == 1.0, 1.0 if toward == "local" else 1 / odds, odds)
