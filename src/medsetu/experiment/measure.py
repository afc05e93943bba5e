# SPDX-License-Identifier: Apache-2.0
"""Every measure of shift on one cohort, in the order a reader asks; torch is loaded only where films are scored again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from medsetu.adaptation.repair import RepairPlan
from medsetu.core.arm import LOCAL_ONLY
from medsetu.evaluation.decision import Rule
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.experiment.evidence import Evidence, run_fact
from medsetu.experiment.rank import caution_rows, repair_rows, repair_table
from medsetu.report.number import times
from medsetu.shift import calibration, decide, detect, explain, gap, guard, identify, planner, probe_rows
from medsetu.shift.acquisition import film_statistics
from medsetu.shift.cohort import Cohort, cohort_of
from medsetu.shift.ladder import ladder_rows, study_ladder_rows
from medsetu.shift.learning_curve import LearningCurve
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.predictability import draw_patients
from medsetu.shift.profile import Profile
from medsetu.shift.row import ShiftRow, shift_table
from medsetu.shift.sentence import five_sentences
from medsetu.shift.shortcut import shortcut_ladders
from medsetu.shift.verdict import verdict_sentence
from medsetu.shift.waterfall import Waterfall

log = logging.getLogger(__name__)
MOST_EXPLAINED = 10_000  # films of a side behind decompositions and names


@dataclass(frozen=True)
class Measured:
    """What was measured on one cohort.

    Attributes:
        table: Table with ``SHIFT_COLUMNS``.
        waterfalls: Waterfalls of the gap.
        repairs: Table with ``REPAIR_COLUMNS``.
        sentences: Five sentences.
        notes: What a reader must know.
    """

    table: pd.DataFrame
    waterfalls: Sequence[Waterfall]
    repairs: pd.DataFrame
    sentences: Sequence[str]
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Question:
    """What is asked of a cohort.

    Attributes:
        plan: Settings of the measures.
        profile: Target product profile.
        repairs: Name -> repair to be ranked.
        repair_plan: Settings of the table of repairs.
        probe: Score altered films, and repair networks, with the runs of a study; asks for torch and the films.
    """

    plan: ShiftPlan
    profile: Profile
    repairs: Mapping[str, Any]
    repair_plan: RepairPlan
    probe: bool = True


def measure(evidence: Evidence, cohort: Cohort, question: Question) -> Measured:
    """Measure gap, differences, causes, shortcuts, repairs, needs and consequences.

    Args:
        evidence: Predictions, manifest and runs.
        cohort: Films of both sides with the scores of one arm.
        question: What is asked.

    Returns:
        The measures; whatever cannot be said is a line with its reason.
    """
    plan, probe = question.plan, question.probe
    lines: list[ShiftRow] = []
    log.info("Gap")
    lines += gap.rows(cohort, plan, evaluation=evidence.plan, local_only=_other_arm(evidence, cohort, arm=LOCAL_ONLY))
    log.info("What differs between the sides")
    films, missing = _films_of(evidence, cohort)
    facts = None if films is None else film_statistics(films, cache=_cache(evidence))
    lines += detect.rows(cohort, plan, image_facts=facts)
    log.info("Causes")
    some, drawn_note = _some(cohort, seed=plan.seed)
    drawn = explain.waterfalls(some, plan)
    lines += [*identify.rows(some, plan), *calibration.rows(cohort, plan, evaluation=evidence.plan)]
    lines += explain.rows(some, plan, drawn=drawn)
    log.info("Shortcuts")
    ladder = [] if films is None else _ladder(evidence, cohort, films=films, plan=plan)
    probed = _probe(evidence, cohort, plan=plan) if probe and films is not None and evidence.runs else []
    lines += [*guard.rows(cohort, plan), *ladder, *probed]
    log.info("Repairs, needs and consequences")
    settings = replace(question.repair_plan, base=cohort.arm)
    repairs = repair_table(evidence, cohort, repairs=question.repairs, plan=settings, shift=plan, films=probe and films is not None)
    lines += [*repair_rows(repairs, cohort), *caution_rows(cohort, repairs=question.repairs, level=plan.level)]
    lines += [*planner.rows(cohort, plan, profile=question.profile, curves=_curves(evidence, question))]
    lines += decide.rows(cohort, plan, evaluation=evidence.plan)
    table = shift_table(lines)
    shortcut = verdict_sentence(ladder, probed)
    sentences = five_sentences(table, waterfalls=drawn, shortcut=shortcut, repairs=repairs, arm=cohort.arm)
    return Measured(table, drawn, repairs, sentences, (*_notes(evidence, cohort, question.profile), *drawn_note, *missing))


def _some(cohort: Cohort, *, seed: int) -> tuple[Cohort, list[str]]:
    """Draw whole patients of very large sides for the measures that refit a classifier in every resample, and say so."""
    sides = (cohort.global_films, cohort.local_films)
    kept = [films.take(draw_patients(films.patient, most=MOST_EXPLAINED, seed=seed)) for films in sides]
    notes = [
        f"Causes of the shift rest on {len(few)} of {len(films)} {films.side} films, drawn by patient."
        for few, films in zip(kept, sides, strict=True)
        if len(few) < len(films)
    ]
    return replace(cohort, global_films=kept[0], local_films=kept[1]) if notes else cohort, notes


def _curves(evidence: Evidence, question: Question) -> list[LearningCurve]:
    """Learning curves of the study, where it was run with a curve: AUROC, and sensitivity at the specificity of the profile."""
    if not evidence.runs:
        return []
    from medsetu.experiment.curve import POINTS, read_curves

    folder = evidence.folder / "study"
    if not (folder / POINTS).is_file():
        return []
    draws = {"replicates": question.plan.bootstrap, "seed": question.plan.seed}
    ranked = read_curves(folder, **draws)
    return [*ranked.values(), *read_curves(folder, specificity=question.profile.assumed_specificity, **draws).values()]


def _other_arm(evidence: Evidence, cohort: Cohort, *, arm: str) -> Cohort | None:
    """The same sides in the eyes of another arm; None where it was not trained, or never met the global side."""
    rows = evidence.predictions
    rows = rows[(rows["arm"] == arm) & (rows["finding"] == cohort.finding) & (rows["split"] == "test")]
    if arm == cohort.arm or not {"global", "local"} <= set(rows["domain"]):
        return None
    return cohort_of(evidence.predictions, finding=cohort.finding, arm=arm, local=cohort.local_films.side, extras=evidence.extras)


def _films_of(evidence: Evidence, cohort: Cohort) -> tuple[pd.DataFrame | None, list[str]]:
    """Manifest rows of the test films, where all films are still at hand; else None, and a remark for the reader."""
    if evidence.prepared is None:
        return None, []
    names = {*cohort.global_films.sample_id, *cohort.local_films.sample_id}
    rows = evidence.prepared.manifest[evidence.prepared.manifest["sample_id"].isin(names)]
    missing = sum(not (Path(str(root)) / str(path)).is_file() for root, path in zip(rows["root"], rows["path"], strict=True))
    if missing or rows.empty:
        remark = f"{missing} of {len(rows)} films are not where the manifest says: measures that read films are left out"
        log.warning(remark)
        return None, [f"{remark}."]
    return rows.reset_index(drop=True), []


def _ladder(evidence: Evidence, cohort: Cohort, *, films: pd.DataFrame, plan: ShiftPlan) -> list[ShiftRow]:
    """Climb the ladder of the study; that of the manifest alone where a single arm was tested without splits of its own."""
    if evidence.prepared is None:
        return []
    tested = evidence.predictions[evidence.predictions["arm"] == cohort.arm]
    if tested.empty:
        return ladder_rows(films, finding=cohort.finding, plan=plan, cache=_cache(evidence))
    settings = replace(evidence.plan, level=plan.level, seed=plan.seed)
    prepared = evidence.prepared
    ladders = shortcut_ladders(
        tested, manifest=prepared.manifest, splits=prepared.splits, finding=cohort.finding, plan=settings, cache=_cache(evidence)
    )
    return study_ladder_rows(ladders)


def _probe(evidence: Evidence, cohort: Cohort, *, plan: ShiftPlan) -> list[ShiftRow]:
    """Score altered films with every network of the arm."""
    if evidence.prepared is None:
        return []
    from medsetu.experiment.probe import probe_runs
    from medsetu.recipe.recipe import build_recipe

    runs = [run for run in evidence.runs if run_fact(run, "arm") == cohort.arm]
    recipe = build_recipe(_raw(evidence))
    log.info("Scoring altered films with %d networks", len(runs))
    table = probe_runs(recipe, evidence.prepared.manifest, runs)
    rule = _rule(evidence.plan)
    threshold = None if cohort.global_val is None or rule is None else probe_rows.thresholds(cohort.global_val, rule=rule)
    lines = []
    for films in (cohort.global_films, cohort.local_films):
        lines += probe_rows.rows(probe_rows.probe_of(table, films, finding=cohort.finding), plan, threshold=threshold)
    return lines


def _rule(plan: EvaluationPlan) -> Rule | None:
    return Rule("sensitivity", plan.sensitivity_targets[0]) if plan.sensitivity_targets else None


def _raw(evidence: Evidence) -> dict[str, Any]:
    return dict(yaml.safe_load(evidence.runs[0].recipe.read_text()))


def _cache(evidence: Evidence) -> Path | None:
    return Path(str(_raw(evidence)["paths"]["work"])).expanduser() / "ladder" if evidence.runs else None


def _notes(evidence: Evidence, cohort: Cohort, profile: Profile) -> list[str]:
    seeds = cohort.local_films.seed.size
    notes = [
        f"Local means {cohort.local_films.title}, not a country: a claim about India needs at least five sites and a prediction interval.",
        f"Claim: this {'model' if seeds == 1 else f'recipe ({seeds} seeds)'} on these films; fewer than five seeds are descriptive.",
        "Intervals are by patient where patients are known; interval ends of parts do not add up.",
        f"Needs are read against {profile.name}. {profile.note}".strip(),
    ]
    unknown = int((cohort.local_films.label != cohort.local_films.label).sum())
    if unknown:
        notes.append(f"{unknown} local films have no label; they count only where no label is needed.")
    notes += [films.note for films in (cohort.global_films, cohort.local_films) if films.note]
    if evidence.openings:
        notes.append(f"The test of this manifest was opened {times(evidence.openings)}; the plan was {evidence.seal or 'not sealed'}.")
    return notes
