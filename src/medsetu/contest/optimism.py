# SPDX-License-Identifier: Apache-2.0
"""How much the best of several contestants is flattered by having been looked for: nested selection, or the bootstrap of the argmax."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from medsetu.contest.contestant import Contestant
from medsetu.contest.plan import ContestPlan
from medsetu.core.sample import EXTERNAL
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.kernel import kernel_parts, seed_weights
from medsetu.evaluation.resample import auroc_replicates
from medsetu.evaluation.score import Ints
from medsetu.shift.pairing import within_fold_auroc

NESTED, VALIDATION, ARGMAX = "outer folds", "validation choice", "bootstrap of the argmax"


@dataclass(frozen=True)
class Optimism:
    """What a winner chosen on its own test promises too much.

    Attributes:
        method: ``outer folds`` (in each fold, the contestant that its validation chose, on the test films of the fold),
            ``validation choice`` (the same where there are no folds), or ``bootstrap of the argmax`` (only test scores are there); "" where
            nothing could be done.
        winner: Contestant with the largest value on the test.
        apparent: Its AUROC on the test (within folds, for outer folds).
        honest: AUROC that choosing blindly would have had.
        optimism: Apparent minus honest.
        equal: Optimism if all contestants were truly equal: the most it can be; only for the bootstrap of the argmax.
        chosen: How often each contestant was chosen.
        note: What was left out.
    """

    method: str = ""
    winner: str = ""
    apparent: float = nan
    honest: float = nan
    optimism: float = nan
    equal: float = nan
    chosen: tuple[tuple[str, int], ...] = ()
    note: str = ""


def optimism(contestants: Sequence[Contestant], plan: ContestPlan) -> Optimism:
    """Estimate how much the winner is flattered.

    Nested selection needs, for every contestant, validation films of the tested side for each of its models; otherwise, or on an external
    side, the argmax is bootstrapped over patients and seeds: error of whoever wins a resample, after the values were drawn together as far
    as chance explains their spread (the plain bootstrap understates the optimism of near equals).

    Args:
        contestants: All of them, on the same films.
        plan: Side, resamples, seed.

    Returns:
        The estimate; empty where a class is missing or no resample was asked for.
    """
    if not all(np.isfinite(one.parts.auroc).all() for one in contestants):
        return Optimism(note="a contestant has no AUROC")
    choices = None if plan.side.startswith(EXTERNAL) else _choices(contestants, plan)
    return _argmax(contestants, plan) if choices is None else _nested(contestants, choices)


Choices = dict[tuple[int, int], int]
"""Model (seed, fold) -> place of the contestant whose validation AUROC was largest."""


def _choices(contestants: Sequence[Contestant], plan: ContestPlan) -> Choices | None:
    """Choose in each model's validation; None where contestants have no common models or no validation with both classes."""
    models = [_models(one) for one in contestants]
    if any(own != models[0] for own in models):
        return None
    found: list[dict[tuple[int, int], float]] = [_validation(one, plan.side) for one in contestants]
    if any(model not in own or own[model] != own[model] for own in found for model in models[0]):
        return None
    return {model: int(np.argmax([own[model] for own in found])) for model in sorted(models[0])}


def _models(contestant: Contestant) -> set[tuple[int, int]]:
    matrix = contestant.matrix
    return {(int(seed), int(fold)) for seed, row in zip(matrix.seed, matrix.fold, strict=True) for fold in np.unique(row)}


def _validation(contestant: Contestant, side: str) -> dict[tuple[int, int], float]:
    rows = contestant.validation
    rows = rows[(rows["domain"] == side) & rows["label"].notna()]
    return {(int(part["seed"].iloc[0]), int(part["fold"].iloc[0])): _auroc(part) for _, part in rows.groupby(["seed", "fold"])}


def _auroc(rows: pd.DataFrame) -> float:
    return float(kernel_parts(rows["label"].to_numpy(np.float64), rows["score"].to_numpy(np.float64)).auroc[0])


def _nested(contestants: Sequence[Contestant], choices: Choices) -> Optimism:
    folds = {fold for _, fold in choices}
    seeds = np.unique(contestants[0].matrix.seed)
    values = np.array([[_within(one, int(seed)) for seed in seeds] for one in contestants]).mean(axis=1)
    honest = float(np.mean([_of_choice(contestants, choices, int(seed)) for seed in seeds]))
    best = int(np.argmax(values))
    counts = {one.name: sum(place == number for place in choices.values()) for number, one in enumerate(contestants)}
    return Optimism(
        NESTED if len(folds) > 1 else VALIDATION,
        contestants[best].name,
        float(values[best]),
        honest,
        float(values[best]) - honest,
        chosen=tuple(sorted(((name, count) for name, count in counts.items() if count), key=lambda one: (-one[1], one[0]))),
        note="AUROC within folds, mean over folds and seeds" if len(folds) > 1 else "",
    )


def _rows_of(contestant: Contestant, seed: int) -> tuple[Floats, Ints]:
    """(r, n) scores and folds of one seed."""
    rows = np.flatnonzero(contestant.matrix.seed == seed)
    return contestant.matrix.scores[rows], np.broadcast_to(contestant.matrix.fold, contestant.matrix.scores.shape)[rows]


def _within(contestant: Contestant, seed: int) -> float:
    scores, folds = _rows_of(contestant, seed)
    label = contestant.matrix.label
    return float(np.mean([within_fold_auroc(label, score, fold=fold) for score, fold in zip(scores, folds, strict=True)]))


def _of_choice(contestants: Sequence[Contestant], choices: Choices, seed: int) -> float:
    """AUROC of the chosen contestants' scores, from pairs of films of one fold."""
    label = contestants[0].matrix.label
    own = [_rows_of(one, seed) for one in contestants]
    found = []
    for row in range(own[0][0].shape[0]):
        fold = own[0][1][row]
        place = np.array([choices[seed, int(name)] for name in fold])
        score = np.stack([scores[row] for scores, _ in own])[place, np.arange(place.size)]
        found.append(within_fold_auroc(label, score, fold=fold))
    return float(np.mean(found))


def _argmax(contestants: Sequence[Contestant], plan: ContestPlan) -> Optimism:
    if plan.bootstrap < 1:
        return Optimism(note="no resamples were asked for")
    first = contestants[0].matrix
    values = np.array([float(one.parts.averaged(one.matrix.seed).auroc[0]) for one in contestants])
    drawn = np.stack([_replicates(one, plan) for one in contestants]) + _seed_noise(contestants, plan)
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    if not drawn.shape[1]:
        return Optimism(note="no resample holds both classes")
    flattery = flattery_of_best(values, drawn)
    best = int(values.argmax())
    counts = np.bincount(flattery.winners, minlength=len(contestants))
    chosen = [(one.name, int(count)) for one, count in zip(contestants, counts, strict=True) if count]
    return Optimism(
        ARGMAX,
        contestants[best].name,
        float(values[best]),
        float(values[best]) - flattery.gained,
        flattery.gained,
        equal=flattery.equal,
        chosen=tuple(sorted(chosen, key=lambda one: (-one[1], one[0]))),
        note=f"{plan.bootstrap} resamples of {first.n_patients} patients, training seeds added",
    )


@dataclass(frozen=True)
class Flattery:
    """What the best of several values owes to having been looked for.

    Attributes:
        gained: Mean error of whoever wins a resample.
        equal: The same if all were truly equal: the most it can be.
        winners: (B,) place of the winner of each resample.
    """

    gained: float
    equal: float
    winners: Ints


def flattery_of_best(values: Floats, drawn: Floats) -> Flattery:
    """Bootstrap the argmax: the error of the largest value, after the values were drawn together as far as chance explains their spread.

    Args:
        values: (m,) values, at least two; larger is better.
        drawn: (m, B) the same on resamples, at least one, all finite.

    Returns:
        How much the largest is flattered.

    Example:
        >>> flattery_of_best(np.array([0.9, 0.1]), np.array([[0.8, 1.0], [0.1, 0.1]])).gained
        0.0
    """
    error = drawn - drawn.mean(axis=1, keepdims=True)
    winners = (_shrunken(values, error)[:, None] + error).argmax(axis=0)
    return Flattery(float(error[winners, np.arange(winners.size)].mean()), float(error.max(axis=0).mean()), np.asarray(winners, np.int64))


def _shrunken(values: Floats, error: Floats) -> Floats:
    """Draw values together as far as chance alone explains their spread (empirical Bayes), before their errors are added once more.

    The plain bootstrap takes the spread that chance has made for skill, and so tells too small an optimism of near equals.
    """
    size = values.size
    chance = float((error - error.mean(axis=0)).var(axis=1).mean()) * size / (size - 1)
    spread = float(values.var(ddof=1))
    share = min(1.0, chance / spread) if spread > 0 else 1.0
    return np.asarray(values.mean() + (1 - share) * (values - values.mean()))


def _replicates(contestant: Contestant, plan: ContestPlan) -> Floats:
    """(B,) AUROC, mean over models, on the resamples that all contestants share."""
    matrix = contestant.matrix
    table = auroc_replicates(
        np.broadcast_to(matrix.label, matrix.scores.shape), matrix.scores, cluster=matrix.patient, replicates=plan.bootstrap, seed=plan.seed
    )
    return np.asarray(seed_weights(matrix.seed.size, seed=matrix.seed) @ table)


def _seed_noise(contestants: Sequence[Contestant], plan: ContestPlan) -> Floats:
    """(m, B) draws of what the training seeds add to each mean; those of shared seeds keep their correlation."""
    rng = np.random.default_rng([plan.seed, 23])
    shared: dict[int, Floats] = {}
    rows = []
    for one in contestants:
        by_seed = one.by_seed(one.parts.auroc[:, None])[:, 0]
        noise = np.zeros(plan.bootstrap)
        if by_seed.size > 1:
            scale = np.sqrt(by_seed.size * (by_seed.size - 1.0))
            for seed, value in zip(np.unique(one.matrix.seed), by_seed - by_seed.mean(), strict=True):
                if int(seed) not in shared:
                    shared[int(seed)] = rng.normal(size=plan.bootstrap)
                noise += shared[int(seed)] * value / scale
        rows.append(noise)
    return np.stack(rows)
