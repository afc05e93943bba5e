# SPDX-License-Identifier: Apache-2.0
"""A benchmark whose answers are known: each synthetic patient drawn under every combination of knobs, so that no part is a guess.

A pool of phantom patients is drawn under two acquisitions, with and without the site marker. A world says which causes act on its local
side: another prevalence, another case mix (more AP films), another appearance (dose, noise, blur), a marker that no longer follows the
disease, label noise. Films are drawn from the pool by weights, so the AUROC of every combination of causes is a weighted mean over the
whole pool, and the Shapley parts of the gap are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medsetu.evaluation.curve import auroc, curve
from medsetu.evaluation.interval import Floats
from medsetu.manifest.progress import progress
from medsetu.release.phantom_cohort import draw_cohort
from medsetu.release.phantom_country import Country
from medsetu.release.phantom_detector import WHITE
from medsetu.release.phantom_folder import Cohort as Population
from medsetu.release.phantom_folder import draw_film
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.rung import reduce_film

PREVALENCE, CASE_MIX, APPEARANCE, MARKER, LABELS = "prevalence", "case mix", "appearance", "marker", "label noise"
CAUSES = (PREVALENCE, CASE_MIX, APPEARANCE, MARKER, LABELS)
PARTS = (CASE_MIX, APPEARANCE, "label policy")  # of the gap in AUROC; the marker is part of the appearance, prevalence moves no AUROC
FINDING = "tuberculosis"
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
        """Weight of each film on a side on which some causes act; patients of a stratum share its weight equally."""
        weight = np.ones(self.present.size)
        for name, mask, shares in (
            (PREVALENCE, self.present, knobs.prevalence),
            (CASE_MIX, (self.facts["view"] == "AP").to_numpy(), knobs.ap_share),
        ):
            share = shares[name in active]
            weight *= np.where(mask, share / weight[mask].sum(), (1 - share) / weight[~mask].sum())
        return np.asarray(weight / weight.sum(), dtype=np.float64)

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


def draw_world(pool: Pool, knobs: Knobs, active: frozenset[str], *, patients: int, seed: int) -> Cohort:
    """Draw one cohort of a world: other patients on either side, and validation patients on the global one.

    Args:
        pool: The pool.
        knobs: Sizes.
        active: Causes that act on the local side.
        patients: Patients per side and split.
        seed: Seed of this cohort.

    Returns:
        The cohort.
    """
    rng = np.random.default_rng(seed)
    none: frozenset[str] = frozenset()
    everyone = rng.permutation(np.unique(pool.patient))
    thirds = np.array_split(everyone, 3)
    drawn = [
        _draw(pool, knobs, causes, among=third, patients=patients, rng=rng, side=side)
        for third, causes, side in zip(thirds, (none, none, active), ("global", "global", "local"), strict=True)
    ]
    return Cohort(FINDING, "global-only", drawn[0], drawn[2], global_val=drawn[1])


def _draw(
    pool: Pool, knobs: Knobs, active: frozenset[str], *, among: NDArray[np.int64], patients: int, rng: np.random.Generator, side: str
) -> Films:
    """Draw patients by the weight of one film each, so that a film counts as its weight says."""
    rows = np.flatnonzero(np.isin(pool.patient, among))
    weight = pool.weights(knobs, active)[rows]
    chosen = rng.choice(rows, size=patients, p=weight / weight.sum())
    marked = (rng.random(patients) < pool.marker_chance(knobs, active)[chosen]).astype(int)
    state = int(APPEARANCE in active)
    wrong = rng.random(patients) < knobs.flip[LABELS in active]
    label = (pool.present[chosen] ^ wrong).astype(np.float64)
    names = np.array([f"{side}/{number:05d}" for number in range(patients)])
    return Films(
        side=side,
        title=f"phantom {side}",
        unit="by patient",
        sample_id=names,
        patient=np.array([f"{side} {pool.patient[row]:06d}" for row in chosen]),
        label=label,
        scores=pool.score[state, marked, chosen][None],
        seed=np.array([0]),
        facts=pool.facts.iloc[chosen].reset_index(drop=True).assign(site=side),
        features=pool.features[state, marked, chosen],
        votes=np.stack([pool.present[chosen].astype(np.float64)] * 2 + [label], axis=1),
    )


def worlds() -> dict[str, frozenset[str]]:
    """Every knob alone, every pair, and the world in which nothing differs.

    Example:
        >>> len(worlds())
        16
    """
    sets = [frozenset[str](), *(frozenset({cause}) for cause in CAUSES), *(frozenset(pair) for pair in combinations(CAUSES, 2))]
    return {" + ".join(cause for cause in CAUSES if cause in active) or "nothing": active for active in sets}


def true_prevalence(knobs: Knobs, active: frozenset[str]) -> float:
    """Share of local films that truly show the finding."""
    return knobs.prevalence[PREVALENCE in active]


SUBMISSION = ("world", "cohort", "measure", "value", "low", "high", "name")


def score_submission(submission: pd.DataFrame, *, truth: Mapping[str, Mapping[str, float]], alpha: float = 0.05) -> pd.DataFrame:
    """Score anybody's answers: false alarms, power, coverage, right and wrong names.

    Args:
        submission: Rows with ``SUBMISSION``. ``measure`` is ``shift`` (value: p), ``cause`` (name: causes joined by ``" + "``, ``nothing``,
            ``cannot tell`` or ``several``), ``prevalence``, ``gap`` or one of ``PARTS`` (value with its interval; NaN when not identified).
        truth: World -> measure -> true value, from ``truths``.
        alpha: Size of the test behind ``shift``.

    Returns:
        One row per world and measure: ``answers``, ``truth``, and the shares ``alarm``, ``answered``, ``covered``, ``right``, ``wrong``;
        NaN where a share does not apply.
    """
    lines = []
    for (world, measure), rows in submission.groupby(["world", "measure"], sort=False):
        line: dict[str, object] = {"world": world, "measure": measure, "answers": len(rows)}
        if measure == "shift":
            line["alarm"] = float((rows["value"] <= alpha).mean())
        elif measure == "cause":
            named = rows["name"].fillna("cannot tell")
            silent = named.isin(["cannot tell", "several"])
            line |= {
                "answered": float((~silent).mean()),
                "right": float((named == world).mean()),
                "wrong": float((~silent & (named != world)).mean()),
            }
        else:
            value = float(truth[str(world)][str(measure)])
            known = rows["low"].notna()
            inside = (rows["low"] <= value) & (value <= rows["high"])
            line |= {"truth": value, "answered": float(known.mean()), "covered": float(inside[known].mean()) if known.any() else np.nan}
        lines.append(line)
    columns = ["world", "measure", "answers", "truth", "alarm", "answered", "covered", "right", "wrong"]
    return pd.DataFrame(lines).reindex(columns=columns)


def truths(pool: Pool, knobs: Knobs) -> dict[str, dict[str, float]]:
    """True values of every world: prevalence, gap and its parts."""
    start = true_auroc(pool, knobs, frozenset())
    found = {}
    for name, active in worlds().items():
        parts = true_parts(pool, knobs, active)
        found[name] = {"prevalence": true_prevalence(knobs, active), "gap": start - true_auroc(pool, knobs, active), **parts}
    return found
