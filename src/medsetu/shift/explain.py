# SPDX-License-Identifier: Apache-2.0
"""Explain the gap: the case-mix-matched gap, the overlap of the sides, DISDE, two kinds of waterfall and label policies, as table rows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.interval import Estimate
from medsetu.shift.auroc_waterfall import auroc_waterfall
from medsetu.shift.casemix import matched_gap
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.decision_waterfall import LOG_LOSS, NET_BENEFIT, decision_waterfall
from medsetu.shift.disde import LOSSES, METHOD, TERMS, split_loss
from medsetu.shift.label_policy import policy_aurocs, policy_gaps, policy_of, reader_agreement
from medsetu.shift.measured import COMPONENTS_LOOKED_AT, Measured, Sides, appearance, case_mix, labelled
from medsetu.shift.overlap import Overlap, overlap
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import NOT_IDENTIFIED, ShiftRow
from medsetu.shift.waterfall import Waterfall

EXPLAIN = "explain"
SHAPLEY_METHOD = "Shapley over orders, patient bootstrap, simultaneous (max-t)"
UNITS = {"AUROC": "AUROC", LOG_LOSS: "nats", NET_BENEFIT: "net benefit", "Brier": "Brier"}


def waterfalls(cohort: Cohort, plan: ShiftPlan) -> list[Waterfall]:
    """The gap in AUROC, in net benefit and in log loss, each taken apart.

    Args:
        cohort: Films of both sides.
        plan: Limits, level, resamples and seed.

    Returns:
        Three waterfalls; refused ones say why.
    """
    return [
        auroc_waterfall(cohort, plan),
        decision_waterfall(cohort, plan, scale=NET_BENEFIT),
        decision_waterfall(cohort, plan, scale=LOG_LOSS),
    ]


def rows(cohort: Cohort, plan: ShiftPlan, *, drawn: Sequence[Waterfall] | None = None) -> list[ShiftRow]:
    """Everything that explains the gap of one cohort.

    Args:
        cohort: Films of both sides.
        plan: Limits, level, resamples and seed.
        drawn: Waterfalls already made; None makes them.

    Returns:
        Rows of the sections ``gap`` and ``explain``.
    """
    sides, reason = labelled(cohort, plan)
    found = [*_case_mix_rows(cohort, plan)]
    if not reason:
        found += [*_overlap_rows(sides, plan), *_policy_rows(sides, plan)]
    for loss in LOSSES:
        found += _disde_rows(cohort, plan, loss=loss)
    for waterfall in drawn if drawn is not None else waterfalls(cohort, plan):
        found += _waterfall_rows(waterfall)
    return [replace(row, n_global=sides[0].n_patients, n_local=sides[1].n_patients) for row in found]


def _case_mix_rows(cohort: Cohort, plan: ShiftPlan) -> Iterator[ShiftRow]:
    found = matched_gap(cohort, plan)
    one = found.estimate
    note = one.note if math.isnan(found.raw) else f"{one.note}; raw gap {found.raw:.3f}"
    subject = ", ".join(found.facts) or "age, sex, view"
    yield ShiftRow(
        "gap",
        "gap in AUROC, case-mix matched",
        subject,
        one.value,
        one.low,
        one.high,
        unit="AUROC",
        method=one.method,
        verdict=_verdict(found.verdict, one.low, one.high),
        note=note,
    )


def _overlap_rows(sides: Sides, plan: ShiftPlan) -> Iterator[ShiftRow]:
    for subject, values in (("case mix", case_mix(sides)), ("image appearance", appearance(sides, components=COMPONENTS_LOOKED_AT))):
        if not values or values.global_values.shape[1] == 0:
            yield ShiftRow(EXPLAIN, "domain AUROC", subject, verdict=NOT_IDENTIFIED, note="not measured on both sides")
            continue
        yield from _overlap_pair(subject, overlap(values, sides, plan=plan), values)


def _overlap_pair(subject: str, found: Overlap, values: Measured) -> Iterator[ShiftRow]:
    verdict, note = found.verdict or "the sides overlap", f"measured: {', '.join(values.names)}; {found.sentence}"
    one = found.domain
    method = f"logistic regression within class, cross-fitted by patient; {one.method}"
    yield ShiftRow(EXPLAIN, "domain AUROC", subject, one.value, one.low, one.high, unit="AUROC", method=method, verdict=verdict, note=note)
    yield ShiftRow(
        EXPLAIN,
        "effective patients",
        f"{subject}, fewest of class and side",
        found.effective[found.worst],
        unit="patients",
        method="density-ratio weights, Kish",
        verdict=verdict,
        note=note,
    )


def _policy_rows(sides: Sides, plan: ShiftPlan) -> Iterator[ShiftRow]:
    measure = "AUROC by label policy"
    for side, films in zip((GLOBAL, LOCAL), sides, strict=True):
        aurocs = policy_aurocs(films, level=plan.level)
        if not aurocs:
            note = f"no votes of two readers on the {side} side"
            yield ShiftRow(EXPLAIN, measure, side, verdict=NOT_IDENTIFIED, note=note)
        yield from _agreement_row(films, side, plan)
        own, share = policy_of(films)
        for name, one in aurocs.items():
            told = f"labels as given follow {own or 'none of the policies'} (agreement {share:.2f})"
            yield _estimate_row(measure, f"{side}: {name}", one, verdict="the labels as given" if name == own else "", note=told)
    for name, one in policy_gaps(sides, level=plan.level).items():
        verdict = _verdict("", one.low, one.high)
        yield _estimate_row("gap in AUROC by label policy", f"both sides: {name}", one, verdict=verdict, note="")


def _agreement_row(films: Films, side: str, plan: ShiftPlan) -> Iterator[ShiftRow]:
    found = reader_agreement(films, plan=plan)
    if found is not None:
        verdict = NOT_IDENTIFIED if math.isnan(found.value) else ""
        note = _joined(f"{found.n_readers} readers, {found.n_samples} films that two or more read", found.note)
        ends = (found.low, found.high)
        yield ShiftRow(
            EXPLAIN, "agreement of readers", side, found.value, *ends, unit="alpha", method=found.method, verdict=verdict, note=note
        )


def _estimate_row(measure: str, subject: str, one: Estimate, *, verdict: str, note: str) -> ShiftRow:
    return ShiftRow(
        EXPLAIN,
        measure,
        subject,
        one.value,
        one.low,
        one.high,
        unit="AUROC",
        method=one.method,
        verdict=verdict,
        note=_joined(one.note, note),
    )


def _disde_rows(cohort: Cohort, plan: ShiftPlan, *, loss: str) -> Iterator[ShiftRow]:
    split = split_loss(cohort, plan, loss=loss)
    note = f"X: {', '.join(split.covariates)}; {split.note}" if split.covariates else split.note
    yield ShiftRow(
        EXPLAIN,
        f"rise of the {loss}",
        "total",
        split.total,
        *split.ends,
        method="patient bootstrap, percentile",
        verdict=_verdict("", *split.ends),
        unit=UNITS[loss],
        note=note,
    )
    for name, value, low, high in zip(TERMS, split.terms, split.low, split.high, strict=True):
        yield ShiftRow(
            EXPLAIN,
            f"rise of the {loss}",
            name,
            float(value),
            float(low),
            float(high),
            method=METHOD,
            verdict=_verdict(split.verdict, float(low), float(high)),
            unit=UNITS[loss],
            note=note,
        )


def _waterfall_rows(waterfall: Waterfall) -> Iterator[ShiftRow]:
    for part in (waterfall.total, *waterfall.parts):
        is_total = part is waterfall.total
        yield ShiftRow(
            EXPLAIN,
            f"waterfall of the {waterfall.scale}",
            part.name,
            part.value,
            part.low,
            part.high,
            unit=UNITS[waterfall.scale],
            method="" if part.verdict else part.note if is_total else SHAPLEY_METHOD,
            verdict=_verdict(part.verdict, part.low, part.high),
            note=_joined(*waterfall.notes) if is_total else part.note,
        )


def _joined(*notes: str) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))


def _verdict(given: str, low: float, high: float) -> str:
    """What the interval says, unless the number was refused or not identified."""
    if given not in ("", "matched"):
        return given
    if math.isnan(low):
        return "cannot tell"
    return "loss" if low > 0 else "gain" if high < 0 else "cannot tell"
