# SPDX-License-Identifier: Apache-2.0
"""AUROC from pairs within strata only: what is left when a positive is compared with negatives of the same view, sex, age or device.

Janes and Pepe (2009, Biometrika 96:371) call it the covariate-adjusted AUROC; here it is estimated from the pairs themselves, without a
model of the scores.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from medsetu.core.errors import DataError
from medsetu.evaluation.delong import MINIMUM_CLASS, difference_from, estimate_from
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.score import Ints, check_scores
from medsetu.shift.cohort import Films
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import CANNOT_TELL, REFUSED, ShiftRow

TOGETHER = "all together"
AGE_BANDS = (18.0, 40.0, 60.0)  # years
_BANDS = 5  # bands of a number with more values than that
_TEXT = ("view", "sex", "device", "color_mode")
_SIZES = {"film size": ("height", "width"), "file size": ("file_bytes",)}


def stratified_parts(label: ArrayLike, scores: ArrayLike, *, stratum: ArrayLike, cluster: ArrayLike | None = None) -> KernelParts:
    """AUROC and per-patient kernel from pairs of films of one stratum; one stratum gives ``kernel_parts``.

    The AUROC is the share of such pairs that are ranked rightly, so a stratum weighs by its pairs. The kernel is centred on that share:
    strata count as drawn with the patients, and the interval holds what that adds.

    Args:
        label: (n,) 1, 0, NaN for unknown (left out).
        scores: (n,) or (M, n) finite scores; ties count one half.
        stratum: (n,) stratum of each film.
        cluster: (n,) patient of each film; None: by image.

    Returns:
        Parts that can be paired with those of ``kernel_parts`` on the same films. Positives are those with a partner, patients of a class
        their effective number: unequal numbers of partners count less. AUROC is NaN where there is no pair.

    Raises:
        DataError: Scores are NaN or infinite, labels impossible, or lengths differ.

    Example:
        >>> stratified_parts([0, 1, 0, 1], [0.1, 0.2, 0.8, 0.9], stratum=["AP", "AP", "PA", "PA"]).auroc.tolist()
        [1.0]
    """
    names = np.asarray(stratum)
    if names.shape != np.shape(label):
        raise DataError(what="Labels and strata differ in length", where="Matched AUROC", remedy="Give one stratum for each film")
    truth, table, codes = check_scores(label, scores, cluster=cluster)
    codes = np.arange(truth.size, dtype=np.int64) if codes is None else codes
    won, partners = np.zeros_like(table), np.zeros(truth.size)
    for rows in _members(names[~np.isnan(np.asarray(label, dtype=np.float64))]):
        positive = truth[rows] == 1
        counts = int(positive.sum()), int((~positive).sum())
        if min(counts) == 0:
            continue
        won[:, rows] = _won(table[:, rows], positive)
        partners[rows] = np.where(positive, counts[1], counts[0])
    is_positive, paired = truth == 1, partners > 0
    pairs = float(partners[is_positive].sum())
    with np.errstate(invalid="ignore"):
        auroc = won[:, is_positive].sum(axis=1) / np.float64(pairs)
    centred = (won - auroc[:, None] * partners) / pairs if pairs else np.zeros_like(won)
    return KernelParts(
        auroc=auroc,
        positive=_by_patient(np.where(is_positive, centred, 0.0), codes),
        negative=_by_patient(np.where(is_positive, 0.0, centred), codes),
        n_samples=truth.size,
        n_positive=int((is_positive & paired).sum()),
        n_patients=int(codes.max(initial=-1)) + 1,
        positive_patients=_effective(np.where(is_positive, partners, 0.0), codes),
        negative_patients=_effective(np.where(is_positive, 0.0, partners), codes),
        constant=bool((np.ptp(table, axis=1) == 0).any()) if truth.size else False,
    )


def confounders(facts: pd.DataFrame) -> dict[str, NDArray[np.str_]]:
    """Bring facts into categories that films can be matched on.

    Numbers become bands: age by ``AGE_BANDS``, sizes by fifths where they have more than five values. Unknown is a category of its own.

    Args:
        facts: (n) rows with any of ``FACTS``.

    Returns:
        Name -> (n,) category, of the facts that vary: site, view, sex, device, color mode, age band, film size, file size.

    Example:
        >>> {name: found.tolist() for name, found in confounders(pd.DataFrame({"view": ["PA", "AP"], "sex": ["F", "F"]})).items()}
        {'view': ['PA', 'AP']}
    """
    found = {"site": _site(facts)} | {name.replace("_", " "): _text(facts, name) for name in _TEXT}
    if "age_years" in facts:
        found["age band"] = _banded(facts["age_years"].to_numpy(np.float64), np.array(AGE_BANDS))
    for name, columns in _SIZES.items():
        if set(columns) <= set(facts.columns):
            size = facts[list(columns)].to_numpy(np.float64).prod(axis=1)
            found[name] = _banded(size, _edges(size))
    return {name: values for name, values in found.items() if np.unique(values).size > 1}


def rows(films: Films, plan: ShiftPlan, *, counts: tuple[int, int]) -> list[ShiftRow]:
    """Matched AUROC of one set of films, for each confounder that varies and for all together, and what matching takes away.

    Args:
        films: Films; unknown labels are left out.
        plan: Confidence level.
        counts: Patients of the global and of the local side, for the table.

    Returns:
        Two lines for each confounder; "refused" below 10 (effective) patients of a class with a partner, "not identified" where nothing
        varies.
    """
    known = films.known()
    categories = confounders(known.facts)
    if not categories:
        return [
            ShiftRow(
                "shortcut",
                "matched auroc",
                films.side,
                n_global=counts[0],
                n_local=counts[1],
                verdict="not identified",
                note="no fact varies",
            )
        ]
    if len(categories) > 1:
        categories[TOGETHER] = _joined(list(categories.values()))
    raw = kernel_parts(known.label, known.scores, cluster=known.cluster)
    lines: list[ShiftRow] = []
    for name, values in categories.items():
        parts = stratified_parts(known.label, known.scores, stratum=values, cluster=known.cluster)
        lines += _lines(raw, parts, subject=f"{films.side}: {name}", films=known, plan=plan, counts=counts)
    return lines


def _lines(raw: KernelParts, parts: KernelParts, *, subject: str, films: Films, plan: ShiftPlan, counts: tuple[int, int]) -> list[ShiftRow]:
    fewest = min(parts.positive_patients, parts.negative_patients)
    if fewest < MINIMUM_CLASS:
        having = _having(parts)
        refusal = f"{REFUSED}: {having}, {MINIMUM_CLASS} of each are needed"
        return [ShiftRow("shortcut", "matched auroc", subject, n_global=counts[0], n_local=counts[1], unit="AUROC", verdict=refusal)]
    matched = estimate_from(parts, seed=films.seed, level=plan.level)
    lost = difference_from(raw, parts, paired=True, seeds=(films.seed, films.seed), level=plan.level)
    if np.isnan(lost.low):
        verdict = CANNOT_TELL
    elif lost.low > 0:
        verdict = "part of the AUROC comes from this fact"
    else:
        verdict = "no loss by matching shown" if lost.high >= 0 else "higher when matched"
    note = f"{_having(parts)}; {matched.note}"
    return [
        ShiftRow(
            "shortcut",
            measure,
            subject,
            found.value,
            found.low,
            found.high,
            n_global=counts[0],
            n_local=counts[1],
            unit="AUROC",
            method=f"pairs within strata, {found.method}",
            verdict=verdict,
            note=note,
        )
        for measure, found in (("matched auroc", matched), ("auroc lost by matching", lost))
    ]


def _having(parts: KernelParts) -> str:
    return f"{parts.positive_patients} positive and {parts.negative_patients} negative patients (effective) have a partner"


def _won(table: Floats, positive: NDArray[np.bool_]) -> Floats:
    """(M, n) pairs that each film wins within its stratum, ties one half."""
    ranks, won = rankdata(table, axis=1), np.empty_like(table)
    won[:, positive] = ranks[:, positive] - rankdata(table[:, positive], axis=1)
    won[:, ~positive] = positive.sum() - (ranks[:, ~positive] - rankdata(table[:, ~positive], axis=1))
    return won


def _members(names: NDArray[np.generic]) -> Iterator[Ints]:
    """Positions of each stratum."""
    codes, counts = np.unique(names, return_inverse=True, return_counts=True)[1:]
    yield from (part for part in np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]) if part.size)


def _by_patient(values: Floats, codes: Ints) -> Floats:
    patients = int(codes.max(initial=-1)) + 1
    return np.stack([np.bincount(codes, weights=row, minlength=patients) for row in values])


def _effective(partners: Floats, codes: Ints) -> int:
    """Patients of a class that would be as informative with equally many partners each (Kish), rounded down."""
    weight = np.bincount(codes, weights=partners) / np.maximum(np.bincount(codes, weights=partners > 0), 1.0)
    spread = float((weight**2).sum())
    return int(weight.sum() ** 2 / spread + 1e-9) if spread else 0


def _joined(columns: list[NDArray[np.str_]]) -> NDArray[np.str_]:
    """One name for each combination of categories."""
    return np.unique(np.stack(columns), axis=1, return_inverse=True)[1].astype(str)


def _site(facts: pd.DataFrame) -> NDArray[np.str_]:
    """Site of each film; its release where the site is not known."""
    site, release = _text(facts, "site"), _text(facts, "release")
    return np.where(site != "", site, release)


def _text(facts: pd.DataFrame, name: str) -> NDArray[np.str_]:
    return facts[name].fillna("").astype(str).to_numpy(dtype=str) if name in facts else np.full(len(facts), "")


def _edges(values: Floats) -> Floats:
    """Edges of fifths; of the values themselves where there are few."""
    known = np.unique(values[np.isfinite(values)])
    if known.size <= _BANDS:
        return known[1:]
    return np.unique(np.quantile(values[np.isfinite(values)], np.arange(1, _BANDS) / _BANDS))


def _banded(values: Floats, edges: Floats) -> NDArray[np.str_]:
    return np.where(np.isnan(values), "", np.searchsorted(edges, values, side="right").astype(str))
