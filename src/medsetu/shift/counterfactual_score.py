# SPDX-License-Identifier: Apache-2.0
"""Anybody's answers to the counterfactual benchmark, scored: false alarms, power, names and coverage, beside the gates they must pass."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medsetu.core.errors import DataError
from medsetu.evaluation.interval import NAN, wilson
from medsetu.shift.counterfactual import APPEARANCE, BEYOND, CASE_MIX, LABELS, MARKER, MEASURES, PARTS, PREVALENCE, worlds
from medsetu.shift.identify import BOTH, COVARIATE, NO_SHIFT, SEVERAL
from medsetu.shift.row import CANNOT_TELL

SUBMISSION = ("cohort", "measure", "value", "low", "high", "name")
SHIFT, CAUSE = "shift", "cause"
SCORED = ("world", "measure", "cohorts", "truth", "alarm", "answered", "covered", "right", "wrong", "bias")
_MEANS = {PREVALENCE: PREVALENCE, CASE_MIX: COVARIATE, APPEARANCE: COVARIATE, MARKER: COVARIATE, COVARIATE: COVARIATE, LABELS: LABELS}
_DUST = 1e-9  # of a part that is exactly 0
_SMALL = 50  # patients per side below which coverage may be 91 %


def causes_named(name: str) -> frozenset[str] | None:
    """Coarse causes that a name claims: case mix, appearance and marker are all ``covariate``.

    Args:
        name: ``nothing``, ``no shift found``, or causes joined by ``" + "`` or ``" and "``; ``cannot tell`` and "" claim nothing.

    Returns:
        Causes; None for no claim.

    Raises:
        DataError: A cause is unknown.

    Example:
        >>> sorted(causes_named("case mix + label noise"))
        ['covariate', 'label noise']
    """
    if name in ("", CANNOT_TELL):
        return None
    if name in ("nothing", NO_SHIFT):
        return frozenset()
    words = name.replace(" and ", " + ").split(" + ")
    strange = [word for word in words if word not in _MEANS]
    if strange:
        known = ", ".join(("nothing", *_MEANS, BOTH, SEVERAL, CANNOT_TELL))
        raise DataError(what=f"The cause '{strange[0]}' is unknown", where="Column name of a submission", remedy=f"Use one of: {known}")
    return frozenset(_MEANS[word] for word in words)


def judge(name: str, world: str) -> str:
    """Say of a name whether it is the whole truth, part of it, silent, or wrong.

    Args:
        name: See ``causes_named``; ``several`` claims two causes or more without saying which.
        world: World of the cohort.

    Returns:
        ``right``; ``wrong``: a cause that does not act; ``partial``: a cause that acts, but not all; ``silent``: no claim, or no shift
        found where there is one (which does not claim that there is none). ``several`` is right where label noise meets another cause,
        which has no name of its own, and partial where prevalence and covariate act.

    Example:
        >>> [judge(name, "marker") for name in ("covariate", "prevalence", "no shift found", "several")]
        ['right', 'wrong', 'silent', 'wrong']
    """
    truth = causes_named(world) or frozenset()
    if name == SEVERAL:
        return "wrong" if len(truth) < 2 else "right" if LABELS in truth else "partial"
    claim = causes_named(name)
    if claim is not None and claim == truth:
        return "right"
    if not claim:
        return "silent"
    return "partial" if claim < truth else "wrong"


def score_submission(
    submission: pd.DataFrame, *, key: Mapping[str, str], truth: Mapping[str, Mapping[str, float]], alpha: float = 0.05
) -> pd.DataFrame:
    """Score answers by world and measure; a cohort without an answer counts as not answered.

    Args:
        submission: Rows with ``SUBMISSION``, one per cohort and measure. ``measure`` is ``shift`` (value: p), ``cause`` (name, see
            ``judge``), or one of ``counterfactual.MEASURES`` (value with its 95 % interval; NaN when refused or not identified).
        key: Cohort -> world.
        truth: World -> measure -> true value.
        alpha: Size of the test behind ``shift``.

    Returns:
        One row per world and measure with ``SCORED``: shares in [0, 1] (``covered`` among the answered; ``alarm`` is power where films
        differ), ``bias`` the mean of value minus truth; NaN where one does not apply.

    Raises:
        DataError: A column is missing, a cohort or measure is unknown, a cohort was answered twice, or a name is unknown.
    """
    _check(submission, key)
    asked = pd.DataFrame({"cohort": list(key), "world": list(key.values())})
    lines = []
    for measure in [name for name in (SHIFT, CAUSE, *MEASURES) if name in set(submission["measure"])]:
        rows = asked.merge(submission[submission["measure"] == measure], on="cohort", how="left")
        for world, part in rows.groupby("world"):
            line = {"world": world, "measure": measure, "cohorts": len(part)}
            lines.append(line | _line(part, measure=measure, world=str(world), truth=truth, alpha=alpha))
    found = pd.DataFrame(lines).reindex(columns=SCORED)
    order = {name: place for place, name in enumerate(worlds())}
    return found.sort_values("world", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)


def _check(submission: pd.DataFrame, key: Mapping[str, str]) -> None:
    missing = [name for name in SUBMISSION if name not in submission.columns]
    if missing:
        raise DataError(what=f"Column '{missing[0]}' is missing", where="Submission", remedy=f"Give the columns {', '.join(SUBMISSION)}")
    for column, allowed in (("cohort", set(key)), ("measure", {SHIFT, CAUSE, *MEASURES})):
        strange = sorted(set(submission[column]) - allowed)
        if strange:
            raise DataError(what=f"The {column} '{strange[0]}' is unknown", where="Submission", remedy="Use the names of the benchmark")
    if submission.duplicated(["cohort", "measure"]).any():
        raise DataError(what="A cohort was answered twice", where="Submission", remedy="Give one row per cohort and measure")


def _line(rows: pd.DataFrame, *, measure: str, world: str, truth: Mapping[str, Mapping[str, float]], alpha: float) -> dict[str, float]:
    if measure == SHIFT:
        return {"answered": float(rows["value"].notna().mean()), "alarm": float((rows["value"] <= alpha).mean())}
    if measure == CAUSE:
        said = rows["name"].fillna("").map(lambda name: judge(str(name), world))
        return {
            "answered": float((said != "silent").mean()),
            "right": float((said == "right").mean()),
            "wrong": float((said == "wrong").mean()),
        }
    value = float(truth[world][measure])
    known = (rows["low"].notna() & rows["high"].notna()).to_numpy()
    inside = ((rows["low"] <= value + _DUST) & (value - _DUST <= rows["high"])).to_numpy()
    covered, bias = (float(inside[known].mean()), float((rows["value"] - value)[known].mean())) if known.any() else (NAN, NAN)
    return {"truth": value, "answered": float(known.mean()), "covered": covered, "bias": bias}


@dataclass(frozen=True)
class Gate:
    """One figure beside what it must be.

    Attributes:
        name: What was counted, and over which worlds.
        share: Share counted.
        low: Lower end of its 95 % interval (Wilson): the Monte-Carlo error.
        high: Upper end.
        answers: Number of answers behind it.
        wanted: Least and most.
        verdict: ``met``, ``missed``, or either ``within Monte-Carlo error`` when the interval reaches the other side of the limit.
    """

    name: str
    share: float
    low: float
    high: float
    answers: int
    wanted: tuple[float, float]
    verdict: str


def gates(scored: pd.DataFrame, *, patients: int) -> list[Gate]:
    """Put the scores beside the gates: false alarms at most 6.5 %, names at least 85 % right and at most 5 % wrong, coverage 93.5-96.5 %.

    Args:
        scored: Table of ``score_submission``.
        patients: Patients per side; below 50, coverage of 91 % is enough.

    Returns:
        One gate per figure, over all worlds together and, for names, for the worst world too; every world is identifiable here, for
        labels, votes and features are given. Parts whose intervals are simultaneous may cover more than 96.5 %.
    """
    return list(_gates(scored, coverage=(0.91, 1.0) if patients < _SMALL else (0.935, 0.965)))


def _gates(scored: pd.DataFrame, *, coverage: tuple[float, float]) -> Iterator[Gate]:
    films_alike = scored["world"].isin([name for name, active in worlds().items() if active <= {LABELS}])
    alarms = scored[films_alike & (scored["measure"] == SHIFT)]
    if len(alarms):
        yield _gate("false alarm, films alike", alarms["alarm"], alarms["cohorts"], wanted=(0.0, 0.065))
    named = scored[scored["measure"] == CAUSE]
    for column, wanted, worst in (("right", (0.85, 1.0), "idxmin"), ("wrong", (0.0, 0.05), "idxmax")):
        if len(named):
            yield _gate(f"{column} name, all worlds", named[column], named["cohorts"], wanted=wanted)
            one = named.loc[[getattr(named[column], worst)()]]
            yield _gate(f"{column} name, worst: {one['world'].iloc[0]}", one[column], one["cohorts"], wanted=wanted)
    for measure in MEASURES:
        rows = scored[(scored["measure"] == measure) & (scored["answered"] > 0)]
        if len(rows):
            wanted = (coverage[0], 1.0) if measure in (*PARTS, BEYOND) else coverage  # several parts are covered at once
            yield _gate(f"coverage: {measure}", rows["covered"], (rows["cohorts"] * rows["answered"]).round(), wanted=wanted)


def _gate(name: str, share: "pd.Series[float]", count: "pd.Series[int]", *, wanted: tuple[float, float]) -> Gate:
    answers, hits = int(count.sum()), float((share * count).sum())
    mean = hits / answers
    low, high = (float(end) for end in wilson(hits, answers))
    met = wanted[0] <= mean <= wanted[1]
    unsure = not (wanted[0] <= low and high <= wanted[1]) if met else low <= wanted[1] and high >= wanted[0]
    return Gate(name, mean, low, high, answers, wanted, ("met" if met else "missed") + (", within Monte-Carlo error" if unsure else ""))


def truth_table(truth: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Write true values as rows of ``world``, ``measure``, ``value``."""
    rows = [(world, measure, value) for world, values in truth.items() for measure, value in values.items()]
    return pd.DataFrame(rows, columns=["world", "measure", "value"])


def truth_of(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Read what ``truth_table`` wrote."""
    return {str(world): dict(zip(rows["measure"], np.asarray(rows["value"], float), strict=True)) for world, rows in table.groupby("world")}
