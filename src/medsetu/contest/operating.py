# SPDX-License-Identifier: Apache-2.0
"""Contestants at their operating points: thresholds from validation, shares decided right, McNemar's test where single models meet."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from medsetu.contest.contestant import Contestant
from medsetu.contest.duel import Duel, unmeasured
from medsetu.contest.mean import paired_mean, same_seeds
from medsetu.contest.plan import KINDS, ContestPlan
from medsetu.core.arm import GLOBAL_ONLY, LOCAL_ONLY
from medsetu.core.errors import ConfigError
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.decision import ESTABLISHED, Fitted, Rule, established_note, fit_all
from medsetu.evaluation.interval import Estimate, Floats, join_notes
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.mcnemar import mcnemar
from medsetu.evaluation.score import Ints
from medsetu.evaluation.transport import decide, missing_threshold, moved_ratios, thresholds_of

ORIGINS = dict(zip(KINDS, (LOCAL, GLOBAL), strict=True))  # a refitted threshold comes from val/local, a transported one from val/global
_BLIND = {GLOBAL_ONLY: LOCAL, LOCAL_ONLY: GLOBAL}  # the side whose labels an arm may not spend
MEASURES = ("sensitivity", "specificity")
GIVEN = "given"


@dataclass(frozen=True)
class Operating:
    """One contestant at its operating point.

    Attributes:
        kind: ``refitted`` or ``transported``; ``given`` where a table of scores names its operating point; "" where there is no threshold.
        right: (K, n) share of the folds of each seed that decide each film right; NaN without a threshold.
        estimates: Sensitivity and specificity, with validation, patients and seeds in their intervals.
        moved: Measure -> (B,) values when only the thresholds' own validation is resampled; empty without resamples.
        validation: Films the thresholds were chosen on.
        note: Why there is no threshold.
    """

    kind: str
    right: Floats = field(repr=False)
    estimates: dict[str, Estimate]
    moved: dict[str, Floats] = field(repr=False)
    validation: frozenset[str] = field(repr=False)
    note: str = ""


def operating_of(contestant: Contestant, plan: ContestPlan) -> Operating:
    """Choose a contestant's thresholds on its own validation films and carry them to the test.

    Args:
        contestant: The contestant.
        plan: Rule and kind of the threshold, level, resamples.

    Returns:
        What it decides; without a threshold, the reason.

    Raises:
        ConfigError: A kind of threshold was asked for that the contestant may not, or cannot, have.
    """
    kind = _kind(contestant, plan)
    fitted = (
        None if not kind or plan.rule is None else _given(contestant, plan.rule) if kind == GIVEN else _fit(contestant, plan, kind=kind)
    )
    matrix = contestant.matrix
    missing = "no operating point was asked for" if plan.rule is None else "no validation film to choose a threshold on"
    missing = missing if fitted is None else missing_threshold(matrix, fitted)
    if fitted is None or missing:
        nothing = {name: Estimate(math.nan, math.nan, math.nan, *matrix.counts, "", missing) for name in MEASURES}
        return Operating("", np.full((contestant.seeds, matrix.label.size), np.nan), nothing, {}, frozenset(), missing)
    carried = decide(matrix, fitted, prevalences=(), level=plan.level, seed=plan.seed)
    right = (matrix.scores >= thresholds_of(matrix, fitted.value)) == (matrix.label == 1)
    moved = {}
    if next(iter(fitted.replicate.values())).size:
        ratios = moved_ratios(matrix, fitted, seed_weights(matrix.seed.size, seed=matrix.seed))
        moved = {name: ratios[name][0] for name in MEASURES}
    return Operating(
        kind,
        contestant.by_seed(right.astype(np.float64)),
        {name: carried[f"{name}_at_{fitted.kind}_{fitted.rule.name}"] for name in MEASURES},
        moved,
        frozenset() if kind == GIVEN else frozenset(_rows(contestant, kind)["sample_id"]),
        established_note(fitted.counts[2]),
    )


def decision_duels(first: Contestant, second: Contestant, plan: ContestPlan, *, points: tuple[Operating, Operating]) -> list[Duel]:
    """Compare sensitivity and specificity of two contestants at their operating points.

    The interval holds patients, seeds and the validation behind the thresholds. McNemar's test takes the thresholds of single models as
    they are, exact where few patients are discordant; for several seeds it is quoted seed by seed in the note.

    Args:
        first: A contestant.
        second: Another, on the same films.
        plan: Level.
        points: Their operating points.

    Returns:
        Two differences; refused, with the reason, where one has no threshold or the kinds differ.
    """
    base = unmeasured(first, second)
    reason = next((one.note for one in points if not one.kind), "")
    if not reason and points[0].kind != points[1].kind:
        reason = f"refused: a {points[0].kind} against a {points[1].kind} threshold; thresholds of different kinds are not compared"
    if reason:
        return [replace(base, metric=name, note=reason) for name in MEASURES]
    return [
        _decided(
            replace(base, metric=name), first, second, points=points, rows=np.flatnonzero(first.matrix.label == truth), level=plan.level
        )
        for name, truth in zip(MEASURES, (1.0, 0.0), strict=True)
    ]


def _decided(base: Duel, first: Contestant, second: Contestant, *, points: tuple[Operating, Operating], rows: Ints, level: float) -> Duel:
    right = (points[0].right, points[1].right)
    found = paired_mean(first, second, values=right, rows=rows, level=level, extra=_of_thresholds(points, base.metric))
    duel = replace(
        base,
        value=found.value,
        low=max(found.low, -1.0) if found.low == found.low else found.low,
        high=min(found.high, 1.0) if found.high == found.high else found.high,
        p=found.p,
        method="mean by patient, seeds and validation of the thresholds added, t",
        note=join_notes(found.note, *(one.note for one in points)),
    )
    return _with_mcnemar(duel, (first, second), right=right, rows=rows, level=level)


def _with_mcnemar(duel: Duel, pair: tuple[Contestant, Contestant], *, right: tuple[Floats, Floats], rows: Ints, level: float) -> Duel:
    """Add McNemar's test, for one model each; for several seeds of the same numbers, its p-values seed by seed."""
    whole = all(np.isin(part, (0.0, 1.0)).all() for part in right)  # a seed whose folds all scored a film may decide it both ways
    if not whole or not same_seeds(*pair):
        return duel
    cluster = pair[0].matrix.cluster[rows]
    tests = [mcnemar(one[rows], other[rows], cluster=cluster, level=level) for one, other in zip(*right, strict=True)]
    if len(tests) > 1:
        ends = [f"{end:.3f}" for end in (min(test.p for test in tests), max(test.p for test in tests))]
        return replace(duel, note=join_notes(duel.note, f"McNemar at the thresholds as chosen, seed by seed: p {ends[0]} to {ends[1]}"))
    test = tests[0]
    told = f"McNemar at the thresholds as chosen: {test.first_only} right only by {duel.first}, {test.second_only} only by {duel.second}"
    name = test.method.partition(";")[0]
    named = name if "McNemar" in name else f"McNemar: {name}"
    return replace(
        duel, test_value=test.statistic, test_p=test.p, test=named, test_low=test.low, test_high=test.high, note=join_notes(duel.note, told)
    )


def _of_thresholds(points: tuple[Operating, Operating], measure: str) -> float:
    """Variance that the choice of the thresholds adds to a difference; the same validation films move both on the same resamples."""
    if not all(one.moved for one in points):
        return 0.0
    one, other = (point.moved[measure] for point in points)
    if points[0].validation == points[1].validation and one.size == other.size:
        return float(np.nanvar(one - other))
    return float(np.nanvar(one) + np.nanvar(other))


def _kind(contestant: Contestant, plan: ContestPlan) -> str:
    """Kind of threshold a contestant gets; "" where it has no validation for any."""
    possible = [kind for kind, side in ORIGINS.items() if side != _BLIND.get(contestant.arm) and len(_rows(contestant, kind))]
    if plan.kind and plan.kind not in possible:
        raise ConfigError(
            what=f"Contestant '{contestant.name}' has no {plan.kind} threshold: val/{ORIGINS[plan.kind]} is not there, or not for it",
            where=f"Key threshold={plan.kind}",
            remedy=f"Use threshold={possible[0]}"
            if possible
            else "Give predictions of split val, or target=null to leave operating points out",
        )
    if not plan.kind and contestant.threshold == contestant.threshold:
        return GIVEN
    return plan.kind or (possible[0] if possible else "")


def _given(contestant: Contestant, rule: Rule) -> Fitted:
    """The operating point that came with the scores: where it was chosen, and on how many, is not known, so nothing is resampled."""
    matrix = contestant.matrix
    models = {(int(seed), int(fold)) for seed, row in zip(matrix.seed, matrix.fold, strict=True) for fold in np.unique(row)}
    value = dict.fromkeys(models, contestant.threshold)
    return Fitted(GIVEN, rule, "the table of scores", value, dict.fromkeys(models, np.zeros(0)), (0, 0, ESTABLISHED))


def _fit(contestant: Contestant, plan: ContestPlan, *, kind: str) -> Fitted | None:
    if plan.rule is None:
        return None
    origin = f"val/{ORIGINS[kind]}"
    found = fit_all(_rows(contestant, kind), rules=(plan.rule,), kind=kind, origin=origin, replicates=plan.bootstrap, seed=plan.seed)
    return found[0] if found else None


def _rows(contestant: Contestant, kind: str) -> pd.DataFrame:
    rows = contestant.validation
    return rows[(rows["domain"] == ORIGINS[kind]) & rows["label"].notna()]
