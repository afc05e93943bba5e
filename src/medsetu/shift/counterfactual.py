# SPDX-License-Identifier: Apache-2.0
"""A benchmark whose answers are known: each synthetic patient drawn under every combination of knobs, so that no part is a guess.

A pool of phantom patients is drawn under two acquisitions, with and without the site marker. A world says which causes act on its local
side: another prevalence, another case mix (more AP films), another appearance (dose, noise, blur), a marker that no longer follows the
disease, label noise. The weighted pool is the population of a side: the AUROC of every combination of causes is a weighted mean over it,
and the Shapley parts of the gap are exact.
"""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, combinations, product
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medsetu.core.run import atomic_write, content_key, verify_sidecar
from medsetu.evaluation.curve import auroc, curve
from medsetu.evaluation.interval import Floats
from medsetu.manifest.progress import progress
from medsetu.release.phantom_cohort import draw_cohort
from medsetu.release.phantom_country import Country
from medsetu.release.phantom_detector import WHITE
from medsetu.release.phantom_folder import Cohort as Population
from medsetu.release.phantom_folder import draw_film
from medsetu.shift.rung import reduce_film

PREVALENCE, CASE_MIX, APPEARANCE, MARKER, LABELS = "prevalence", "case mix", "appearance", "marker", "label noise"
CAUSES = (PREVALENCE, CASE_MIX, APPEARANCE, MARKER, LABELS)
PARTS = (CASE_MIX, APPEARANCE, "label policy")  # of the gap in AUROC; the marker is part of the appearance, prevalence moves no AUROC
BEYOND = "beyond case mix"  # the gap without the part of the case mix
MEASURES = ("prevalence", "gap", *PARTS, BEYOND)
COMPONENTS = 16
_REFERENCE = Country(ap_share=0.5, tuberculosis_prevalence=0.5, marker_share=0.0)
_ACQUISITIONS = (_REFERENCE, replace(_REFERENCE, exposure=0.5, noise=2.5, blur_mm=1.8, lesion_contrast=0.65))
_BEDSIDE = 0.6  # contrast that is left on AP films, which are taken without a grid: the case mix moves the AUROC


@dataclass(frozen=True)
class Knobs:
    """Size of every cause, on the global side and where it acts.

    Attributes:
        prevalence: Share of patients with tuberculosis.
        ap_share: Share of AP films.
        marker_strength: How far the marker follows the disease: 1, it is there exactly with it; 0, in ``marker_share`` of all films.
        marker_share: Share of films with the marker where it knows nothing.
        flip: Share of labels that are wrong.
    """

    prevalence: tuple[float, float] = (0.5, 0.25)
    ap_share: tuple[float, float] = (0.2, 0.7)
    marker_strength: tuple[float, float] = (0.4, 0.0)
    marker_share: float = 0.3
    flip: tuple[float, float] = (0.0, 0.12)


@dataclass(frozen=True)
class Pool:
    """Patients under every acquisition, scored by one model that learned on the global side.

    Attributes:
        patient: (n,) patient of each film.
        present: (n,) truth.
        facts: (n) rows: sex, age_years, view.
        score: (2, 2, n) probability by acquisition and marker.
        features: (2, 2, n, D) by acquisition and marker.
    """

    patient: NDArray[np.int64]
    present: NDArray[np.bool_]
    facts: pd.DataFrame
    score: Floats
    features: NDArray[np.float32]

    def weights(self, knobs: Knobs, active: frozenset[str]) -> Floats:
        """Weight of each film on a side on which some causes act, (n,), sum 1: view and disease are independent, films of a cell equal."""
        bedside = (self.facts["view"] == "AP").to_numpy()
        diseased, at_bed = knobs.prevalence[PREVALENCE in active], knobs.ap_share[CASE_MIX in active]
        weight = np.where(self.present, diseased, 1 - diseased) * np.where(bedside, at_bed, 1 - at_bed)
        cell = 2 * self.present + bedside
        return np.asarray(weight / np.bincount(cell, minlength=4)[cell], dtype=np.float64)

    def marker_chance(self, knobs: Knobs, active: frozenset[str]) -> Floats:
        """Probability that a film carries the marker."""
        strength = knobs.marker_strength[MARKER in active]
        return np.asarray((1 - strength) * knobs.marker_share + strength * self.present, dtype=np.float64)


def draw_pool(*, patients: int, size: int = 64, seed: int = 0) -> Pool:
    """Draw the pool, and train the model whose shift is measured on other patients of the global side.

    Args:
        patients: Patients of the pool; half as many again are drawn for training.
        size: Rows and columns of a film.
        seed: Seed of everything.

    Returns:
        The pool.
    """
    taught, learned = _reduced(_REFERENCE, patients=max(patients // 2, 100), size=size, seed=seed + 1, states=[(0, 0), (0, 1)])
    knobs, rng = Knobs(), np.random.default_rng(seed)
    truth = taught["tuberculosis"].to_numpy(bool)
    strength = knobs.marker_strength[0]
    marked = rng.random(truth.size) < (1 - strength) * knobs.marker_share + strength * truth
    films = np.where(marked[:, None], learned[0, 1], learned[0, 0])
    view = make_pipeline(StandardScaler(), PCA(COMPONENTS, random_state=seed)).fit(films)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(view.transform(films), truth)
    table, drawn = _reduced(_REFERENCE, patients=patients, size=size, seed=seed, states=list(product((0, 1), (0, 1))))
    features = np.array([[view.transform(drawn[state, mark]) for mark in (0, 1)] for state in (0, 1)], dtype=np.float32)
    score = np.array([[model.predict_proba(features[state, mark])[:, 1] for mark in (0, 1)] for state in (0, 1)])
    facts = pd.DataFrame(
        {
            "sex": np.where(table["female"], "F", "M"),
            "age_years": table["age_years"].to_numpy(float),
            "view": np.where(table["ap"], "AP", "PA"),
            "site": "",
            "device": "",
            "release": "phantom",
        }
    )
    return Pool(table["patient"].to_numpy(np.int64), table["tuberculosis"].to_numpy(bool), facts, score, features)


def _reduced(
    country: Country, *, patients: int, size: int, seed: int, states: Sequence[tuple[int, int]]
) -> tuple[pd.DataFrame, dict[tuple[int, int], Floats]]:
    """Draw every film in the wanted states (acquisition, marker), reduced to 32 x 32 pixels, (n, 1024) each."""
    table = draw_cohort(country, population="pool", patients=patients, seed=seed)
    films: dict[tuple[int, int], list[Floats]] = {state: [] for state in states}
    with progress(len(table), label="Drawing patients under every combination of knobs") as advance:
        for row in _records(table):
            for state, marker in states:
                acquisition = _ACQUISITIONS[state]
                seen = acquisition.lesion_contrast * (_BEDSIDE if row["ap"] else 1.0)
                population = Population("pool", replace(acquisition, lesion_contrast=seen), patients, seed, size)
                changed = {"exposure": float(row["exposure"]) * acquisition.exposure, "marker": bool(marker), "monochrome1": False}
                stored, _ = draw_film(dict(row) | changed, population)
                films[state, marker].append(reduce_film((stored / WHITE).astype(np.float32)).ravel().astype(np.float64))
            advance(1)
    return table, {state: np.stack(found) for state, found in films.items()}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def true_auroc(pool: Pool, knobs: Knobs, active: frozenset[str]) -> float:
    """AUROC over the whole pool where some causes act, with the label noise and the marker in expectation.

    Args:
        pool: The pool.
        knobs: Sizes.
        active: Causes that act.

    Returns:
        The AUROC.
    """
    weight, chance = pool.weights(knobs, active), pool.marker_chance(knobs, active)
    flip = knobs.flip[LABELS in active]
    score = pool.score[int(APPEARANCE in active)]
    cells = [
        (score[marker], label, weight * (chance if marker else 1 - chance) * np.where(pool.present == label, 1 - flip, flip))
        for marker in (0, 1)
        for label in (0, 1)
    ]
    scores = np.concatenate([cell[0] for cell in cells])
    labels = np.concatenate([np.full(pool.present.size, float(cell[1])) for cell in cells])
    roc = curve(labels, scores, weight=np.concatenate([cell[2] for cell in cells])[None])
    return float(auroc(roc)[0])


def true_parts(pool: Pool, knobs: Knobs, active: frozenset[str]) -> dict[str, float]:
    """Exact Shapley parts of the gap G - L in AUROC (positive means loss); the change of prevalence alone moves none.

    Args:
        pool: The pool.
        knobs: Sizes.
        active: Causes that act on the local side.

    Returns:
        Part -> loss; they add up to the gap.
    """
    players = [{CASE_MIX}, {APPEARANCE, MARKER}, {LABELS}]
    base = active & {PREVALENCE}
    worth = {
        chosen: true_auroc(pool, knobs, base | (active & frozenset(chain.from_iterable(players[k] for k in chosen))))
        for chosen in _subsets(range(3))
    }
    shares = {}
    for player, name in enumerate(PARTS):
        rest = [k for k in range(3) if k != player]
        shares[name] = sum(
            factorial(len(chosen)) * factorial(2 - len(chosen)) / 6 * (worth[chosen] - worth[tuple(sorted({*chosen, player}))])
            for chosen in _subsets(rest)
        )
    return shares


def _subsets(items: Sequence[int] | range) -> list[tuple[int, ...]]:
    return [chosen for count in range(len(items) + 1) for chosen in combinations(items, count)]


def worlds() -> dict[str, frozenset[str]]:
    """Every knob alone, every pair, and the world in which nothing differs.

    Example:
        >>> len(worlds())
        16
    """
    sets = [frozenset[str](), *(frozenset({cause}) for cause in CAUSES), *(frozenset(pair) for pair in combinations(CAUSES, 2))]
    return {" + ".join(cause for cause in CAUSES if cause in active) or "nothing": active for active in sets}


def truths(pool: Pool, knobs: Knobs) -> dict[str, dict[str, float]]:
    """True values of every world: local prevalence of the disease (not of its labels), gap in AUROC, and the parts of the gap.

    Args:
        pool: The pool.
        knobs: Sizes.

    Returns:
        World -> measure -> value, for every one of ``MEASURES``.
    """
    start = true_auroc(pool, knobs, frozenset())
    found = {}
    for name, active in worlds().items():
        parts, gap = true_parts(pool, knobs, active), start - true_auroc(pool, knobs, active)
        prevalence = knobs.prevalence[PREVALENCE in active]
        found[name] = {"prevalence": prevalence, "gap": gap, **parts, BEYOND: gap - parts[CASE_MIX]}
    return found


def oracle_power(knobs: Knobs, *, patients: int, alpha: float = 0.05) -> dict[str, float]:
    """Power of a test that sees one cause itself and knows all else: how large the knobs are.

    Args:
        knobs: Sizes.
        patients: Patients per side.
        alpha: Size of the two-sided test of two shares (normal approximation).

    Returns:
        Cause -> power; the appearance is no share and has none. The marker is looked for among films with the finding.

    Example:
        >>> round(oracle_power(Knobs(prevalence=(0.5, 0.32)), patients=150)["prevalence"], 2)
        0.9
    """
    usual = knobs.marker_share
    marked = [usual + strength * (1 - usual) for strength in knobs.marker_strength]
    shares = {
        PREVALENCE: (*knobs.prevalence, patients),
        CASE_MIX: (*knobs.ap_share, patients),
        MARKER: (marked[0], marked[1], patients * knobs.prevalence[0]),
        LABELS: (*knobs.flip, patients),
    }
    return {
        cause: float(norm.cdf(abs(one - two) / np.sqrt((one * (1 - one) + two * (1 - two)) / count) - norm.isf(alpha / 2)))
        for cause, (one, two, count) in shares.items()
    }


def pool_of(folder: Path, *, patients: int, size: int = 64, seed: int = 0) -> Pool:
    """Read the pool from a folder, or draw it and keep it there.

    Args:
        folder: Where pools are kept; a pool drawn with other settings or other constants of this module has another name.
        patients: Patients of the pool.
        size: Rows and columns of a film.
        seed: Seed of everything.

    Returns:
        The pool.

    Raises:
        DataError: The file is damaged.
    """
    acquisitions = [asdict(one) for one in _ACQUISITIONS]
    key = content_key([patients, size, seed, acquisitions, _BEDSIDE, COMPONENTS, asdict(Knobs())])
    path = folder / f"pool-{key}.npz"
    if not path.is_file():
        pool, buffer = draw_pool(patients=patients, size=size, seed=seed), io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(pool, name) for name in ("patient", "present", "score", "features")}
        arrays |= {f"fact {name}": column.to_numpy(None if name == "age_years" else np.str_) for name, column in pool.facts.items()}
        np.savez(buffer, **arrays)
        atomic_write(path, buffer.getvalue(), sidecar=True)
    verify_sidecar(path)
    with np.load(path, allow_pickle=False) as kept:
        facts = pd.DataFrame({name.removeprefix("fact "): kept[name] for name in kept.files if name.startswith("fact ")})
        return Pool(kept["patient"], kept["present"], facts, kept["score"], kept["features"])
