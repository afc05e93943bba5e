# SPDX-License-Identifier: Apache-2.0
"""The shortcut guard: what sorting by site, view or scanner reaches beside the model, and whether the network knows where a film was made.

Sorting after Zech et al. (2018, PLoS Medicine 15:e1002683): films ranked by nothing but the share of positives of their hospital.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medsetu.evaluation.delong import MINIMUM_CLASS, difference_from, estimate_from
from medsetu.evaluation.interval import NAN, Estimate, Floats
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.score import Ints
from medsetu.shift import matched
from medsetu.shift.cohort import FACTS, Cohort, Films
from medsetu.shift.matched import stratified_parts
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.predictability import BALANCED, patient_folds, predictability
from medsetu.shift.row import NOT_IDENTIFIED, REFUSED, ShiftRow

BOTH = "both sides"
SORTED_BY = ("site", "view", "device")


def rows(cohort: Cohort, plan: ShiftPlan) -> list[ShiftRow]:
    """Guard one arm on both sides, and on both together, where a network may win by telling the sides apart.

    Args:
        cohort: Films of both sides; unknown labels are left out, features may be absent.
        plan: Levels, smallest side, resamples and seed.

    Returns:
        Lines of section ``shortcut``: the model, sorting, matching, and what the features know.
    """
    counts = (cohort.global_films.n_patients, cohort.local_films.n_patients)
    both = pooled(cohort.global_films, cohort.local_films)
    validation = None if cohort.global_val is None or cohort.local_val is None else pooled(cohort.global_val, cohort.local_val)
    lines: list[ShiftRow] = []
    for films, val in ((cohort.global_films, cohort.global_val), (cohort.local_films, cohort.local_val), (both, validation)):
        own = (counts[0] if films.side != cohort.local_films.side else 0, counts[1] if films.side != cohort.global_films.side else 0)
        reason = _too_small(films.known(), plan) if films.seed.size else "the sides share no training seed"
        if reason:
            lines.append(_line("auroc", films.side, own, verdict=f"{REFUSED}: {reason}"))
            continue
        lines += _sorting(films.known(), None if val is None else val.known(), plan=plan, counts=own)
        lines += matched.rows(films, plan, counts=own)
    return lines + _knowing(cohort, both, plan=plan, counts=counts)


def pooled(first: Films, second: Films) -> Films:
    """Put the films of two sides together.

    Args:
        first: Films of one side.
        second: Films of the other; patients of two sides are never the same.

    Returns:
        Films of ``both sides`` under the seeds both carry; a site that is not known is named after its side.
    """
    shared = np.intersect1d(first.seed, second.seed)
    parts = [(films, films.scores[np.searchsorted(films.seed, shared)]) for films in (first, second)]
    names = [name for name in FACTS if any(name in films.facts for films in (first, second))]
    facts = [_located(films).reindex(columns=list(dict.fromkeys([*names, "site"]))) for films in (first, second)]
    features = [films.features for films in (first, second) if films.features is not None]
    return replace(
        first,
        side=BOTH,
        title=f"{first.title} and {second.title}",
        unit=first.unit if first.unit == second.unit else f"{first.side}: {first.unit}, {second.side}: {second.unit}",
        sample_id=np.concatenate([first.sample_id, second.sample_id]),
        patient=np.concatenate([np.char.add(f"{films.side}/", films.patient) for films in (first, second)]),
        label=np.concatenate([first.label, second.label]),
        scores=np.concatenate([scores for _, scores in parts], axis=1),
        seed=shared,
        facts=pd.concat(facts, ignore_index=True),
        features=np.concatenate(features) if len(features) == 2 and features[0].shape[1] == features[1].shape[1] else None,
        votes=None,
    )


def sorted_by(
    label: ArrayLike,
    category: ArrayLike,
    *,
    cluster: ArrayLike,
    seed: int = 0,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
) -> KernelParts:
    """Rank films by the share of positives of their category, learned from other patients.

    Without validation films the shares are cross-fitted by patient and only films of one fold are compared: pooled over folds the ranking
    would run backwards, because a fold with more positives leaves fewer to learn from.

    Args:
        label: (n,) 1 or 0.
        category: (n,) names.
        cluster: (n,) patient codes.
        seed: Of the folds.
        validation: Labels and categories of validation films, or None.

    Returns:
        Parts of the AUROC on these films; NaN where nothing can be cross-fitted.

    Example:
        >>> label, site = np.tile([1.0, 0, 0, 0, 1, 1, 1, 0], 10), np.tile(["a"] * 4 + ["b"] * 4, 10)
        >>> float(sorted_by(label, site, cluster=np.arange(80)).auroc[0].round(2))
        0.75
    """
    truth, names, patient = np.asarray(label, dtype=np.float64), np.asarray(category, dtype=str), np.asarray(cluster)
    if validation is not None:
        score = _shares(np.asarray(validation[0], dtype=np.float64), np.asarray(validation[1], dtype=str), asked=names)
        parts = kernel_parts(truth, score, cluster=patient)
    else:
        score, fold = np.zeros(truth.size), patient_folds(truth, patient, seed=seed)
        for part in np.unique(fold):
            test = fold == part
            score[test] = _shares(truth[~test], names[~test], asked=names[test])
        parts = stratified_parts(truth, score, stratum=fold, cluster=patient)
    return replace(parts, constant=False)  # equal shares everywhere are a finding, not an untrained head


def _sorting(films: Films, validation: Films | None, *, plan: ShiftPlan, counts: tuple[int, int]) -> list[ShiftRow]:
    """The model, and every way of sorting beside it."""
    model = kernel_parts(films.label, films.scores, cluster=films.cluster)
    single = estimate_from(model, seed=films.seed, level=plan.level)
    lines = [_line("auroc", films.side, counts, found=single, verdict="the model")]
    for fact in SORTED_BY:
        values = _located(films)[fact].to_numpy(dtype=str) if fact in _located(films) else np.full(len(films), "")
        if np.unique(values).size < 2:
            note = f"{fact} is not known" if "" in values else f"one {fact} only"
            lines.append(_line(f"sort by {fact}", films.side, counts, verdict=NOT_IDENTIFIED, note=note))
            continue
        learned = _usable(validation, fact, tested=films)
        parts = sorted_by(films.label, values, cluster=films.cluster, seed=plan.seed, validation=learned)
        found = estimate_from(parts, level=plan.level)
        above = difference_from(model, parts, paired=True, seeds=(films.seed, None), level=plan.level)
        method = f"shares of positives from {'validation' if learned else 'other patients, films of one fold compared'}"
        lines.append(_line(f"sort by {fact}", films.side, counts, found=found, verdict=_sorts(found, above, fact), method=method))
        lines.append(_line(f"model above sort by {fact}", films.side, counts, found=above, verdict=_sorts(found, above, fact)))
    return lines


def _sorts(found: Estimate, above: Estimate, fact: str) -> str:
    if np.isnan(found.low):
        return found.note or "no interval"
    if found.low <= 0.5:
        return f"{fact} does not tell the classes apart"
    return f"{fact} tells the classes apart; " + ("the model does more" if above.low > 0 else "that the model does more is not shown")


def _knowing(cohort: Cohort, both: Films, *, plan: ShiftPlan, counts: tuple[int, int]) -> list[ShiftRow]:
    """What the features know: the side, and within each side its sites, views and devices."""
    side = np.repeat(["global", "local"], [len(cohort.global_films), len(cohort.local_films)])
    asked = [(both, "side", side, counts)]
    for films, own in ((cohort.global_films, (counts[0], 0)), (cohort.local_films, (0, counts[1]))):
        asked += [(films, name, films.facts[name].to_numpy(dtype=str), own) for name in SORTED_BY if name in films.facts]
    lines = []
    for films, name, values, own in asked:
        subject = f"{films.side}: {name}"
        if films.features is None:
            lines.append(_line("features predict", subject, own, verdict=NOT_IDENTIFIED, note="no features"))
            continue
        found = predictability(films.features, values, cluster=films.cluster, plan=plan)
        many = BALANCED in found.method
        chance = 1 / _categories(values, films.cluster) if many else 0.5
        told = f"the features know the {name}" if found.low > chance else f"not shown that the features know the {name}"
        verdict = NOT_IDENTIFIED if np.isnan(found.value) else told
        unit = BALANCED if many else "AUROC"
        lines.append(_line("features predict", subject, own, found=found, verdict=verdict, unit=unit, method="logistic regression"))
    return lines


def _categories(values: NDArray[np.str_], patient: Ints) -> int:
    return sum(bool(name) and np.unique(patient[values == name]).size >= MINIMUM_CLASS for name in np.unique(values))


def _shares(label: Floats, names: NDArray[np.str_], *, asked: NDArray[np.str_]) -> Floats:
    """Share of positives of each category asked for, drawn to the overall share by one film; that share where it is unknown."""
    known, code = np.unique(names, return_inverse=True)
    overall = float(label.mean())
    share = (np.bincount(code, weights=label) + overall) / (np.bincount(code) + 1.0)
    place = np.clip(np.searchsorted(known, asked), 0, known.size - 1)
    return np.where(known[place] == asked, share[place], overall)


def _usable(validation: Films | None, fact: str, *, tested: Films) -> tuple[Floats, NDArray[np.str_]] | None:
    """Labels and categories of validation films, where both classes have enough patients and none of them is tested (cross-fitting)."""
    if validation is None or fact not in (facts := _located(validation)) or np.isin(validation.patient, tested.patient).any():
        return None
    if min((np.unique(validation.cluster[validation.label == value]).size for value in (0.0, 1.0)), default=0) < MINIMUM_CLASS:
        return None
    return validation.label, facts[fact].to_numpy(dtype=str)


def _located(films: Films) -> pd.DataFrame:
    """Facts, with the side's title where a site is not known."""
    site = films.facts["site"] if "site" in films.facts else pd.Series("", index=films.facts.index)
    return films.facts.assign(site=site.where(site != "", films.title))


def _too_small(films: Films, plan: ShiftPlan) -> str:
    if films.n_patients < plan.smallest_side:
        return f"{films.n_patients} labelled patients, {plan.smallest_side} are needed"
    fewest = min(np.unique(films.cluster[films.label == value]).size for value in (0.0, 1.0))
    return f"{fewest} patients of the rarer class, {MINIMUM_CLASS} are needed" if fewest < MINIMUM_CLASS else ""


def _line(
    measure: str,
    subject: str,
    counts: Sequence[int],
    *,
    found: Estimate | None = None,
    verdict: str = "",
    note: str = "",
    unit: str = "AUROC",
    method: str = "",
) -> ShiftRow:
    one = found or Estimate(NAN, NAN, NAN, 0, 0, 0, "", note)
    how = "; ".join(filter(None, (method, one.method)))
    return ShiftRow(
        "shortcut", measure, subject, one.value, one.low, one.high, NAN, NAN, counts[0], counts[1], unit, how, verdict, one.note or note
    )
