# SPDX-License-Identifier: Apache-2.0
"""Which local films to label next: the patients a network is unsure of, those unlike all others, or both in turn. No label is needed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.score import Ints
from medsetu.shift.cohort import Films

TURNS: Mapping[str, tuple[str, ...]] = {
    "uncertainty": ("uncertainty",),
    "coverage": ("coverage",),
    "both": ("uncertainty", "coverage"),
    "random": ("random",),  # what the others must beat
}
_EDGE = 1e-6  # a score of 0 or 1 is as sure as this


def next_films(films: Films, count: int, *, how: str = "both", threshold: float = 0.5, seed: int = 0) -> pd.DataFrame:
    """Rank the patients whose films should be labelled next.

    Uncertainty is the distance of the seed-mean score from the threshold in logits, that of the closest film of a patient. Coverage takes
    the patient whose mean features lie farthest from those labelled or taken already (k-center greedy; Sener and Savarese, ICLR 2018).

    Args:
        films: Local films, never those of the test; a patient with a known label counts as labelled.
        count: Patients to take, at least 1; fewer when fewer are there.
        how: ``uncertainty``, ``coverage``, ``both`` (in turn) or ``random``.
        threshold: Score at which the decision turns, in (0, 1).
        seed: Seed of the first centre and of ``random``; ties go by name.

    Returns:
        One line per film of the chosen patients: ``sample_id``, ``rank`` (from 1, shared by the films of a patient) and ``reason``.

    Raises:
        ConfigError: The way, the number or the threshold is impossible.
        DataError: Every patient has a label already, or coverage is asked for without features.
    """
    _check(count, how=how, threshold=threshold)
    names, code = np.unique(films.patient, return_inverse=True)
    labelled = np.bincount(code, weights=~np.isnan(films.label)) > 0
    open_ = ~labelled
    if not open_.any():
        raise DataError(what="Every patient has a label already", where="Films to label next", remedy="Give films whose labels are unknown")
    doubt = _doubt(films, code, threshold=threshold)
    spot = _spots(films, code) if "coverage" in TURNS[how] else np.zeros((names.size, 1))
    rng = np.random.default_rng(seed)
    lot = rng.permutation(names.size)
    distance = _distance(spot, labelled) if labelled.any() else np.full(names.size, np.inf)
    chosen: list[tuple[int, str]] = []
    for _ in range(min(count, int(open_.sum()))):
        turn = TURNS[how][len(chosen) % len(TURNS[how])]
        first = turn == "coverage" and bool(np.isinf(distance).all())
        worth = {"uncertainty": -doubt, "coverage": -lot if first else distance, "random": -lot}[turn]
        best = int(np.argmax(np.where(open_, worth, -np.inf)))  # the first of equals: names are sorted
        chosen.append((best, _reason(turn, doubt[best], first=first)))
        open_[best] = False
        distance = np.minimum(distance, _distance(spot, np.arange(names.size) == best))
    place = {patient: (rank, reason) for rank, (patient, reason) in enumerate(chosen, start=1)}
    table = pd.DataFrame(
        [(films.sample_id[film], *place[patient]) for film, patient in enumerate(code) if patient in place],
        columns=["sample_id", "rank", "reason"],
    )
    return table.sort_values(["rank", "sample_id"], ignore_index=True)


def _check(count: int, *, how: str, threshold: float) -> None:
    if how not in TURNS:
        raise ConfigError(what=f"Films cannot be chosen by '{how}'", where="Key how", value=how, allowed=list(TURNS))
    if count < 1 or not 0 < threshold < 1:
        raise ConfigError(
            what=f"{count} patients around a threshold of {threshold:g} cannot be chosen",
            where="Films to label next",
            remedy="Ask for 1 patient or more, and give a threshold between 0 and 1",
        )


def _doubt(films: Films, code: Ints, *, threshold: float) -> Floats:
    """(P,) smallest distance of a patient's films from the threshold, in logits."""
    distance = np.abs(special.logit(np.clip(films.score, _EDGE, 1 - _EDGE)) - special.logit(threshold))
    nearest = np.full(int(code.max()) + 1, np.inf)
    np.minimum.at(nearest, code, distance.round(9))  # equals must be equal
    return nearest


def _spots(films: Films, code: Ints) -> Floats:
    """(P, D) mean features of each patient, every feature scaled to unit spread."""
    if films.features is None:
        raise DataError(what="Coverage needs features", where="Films to label next", remedy="Give features, or choose by uncertainty")
    count = np.bincount(code)
    total = np.zeros((count.size, films.features.shape[1]))
    np.add.at(total, code, films.features)
    mean: Floats = total / count[:, None]
    spread = mean.std(axis=0)
    scaled: Floats = (mean - mean.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _distance(spot: Floats, centres: NDArray[np.bool_]) -> Floats:
    """(P,) distance of each patient from the nearest centre."""
    nearest = np.full(len(spot), np.inf)
    for centre in spot[centres]:
        nearest = np.minimum(nearest, np.sqrt(((spot - centre) ** 2).sum(axis=1)))
    return nearest


def _reason(turn: str, doubt: float, *, first: bool) -> str:
    if turn == "uncertainty":
        return f"unsure: {doubt:.2f} logits from the threshold"
    if turn == "coverage":
        return "coverage: first centre, drawn" if first else "coverage: farthest from the labelled and chosen"
    return "random"
