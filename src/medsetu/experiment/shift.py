# SPDX-License-Identifier: Apache-2.0
"""``medsetu shift``: how large the shift of a study, or of any table of scores, is; why; what the model may cheat with; what helps."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from medsetu.core.arm import GLOBAL_ONLY
from medsetu.core.errors import ConfigError
from medsetu.core.number import whole
from medsetu.core.sample import LOCAL
from medsetu.core.table import read_table, write_table
from medsetu.experiment.evidence import Evidence, evidence_of_runs, evidence_of_scores, run_fact
from medsetu.experiment.journal import journal
from medsetu.experiment.measure import Measured, Question, measure
from medsetu.experiment.rank import build_repairs
from medsetu.recipe.instantiate import build
from medsetu.report.learning_figure import learning_curve_panel
from medsetu.report.passport import Passport, write_passport
from medsetu.report.passport_figure import passport_drawings
from medsetu.report.render import Drawing
from medsetu.report.shift_table import shift_tables
from medsetu.shift.cohort import Cohort, cohort_of
from medsetu.shift.next_label import next_films
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.profile import read_profile

log = logging.getLogger(__name__)
_LABEL_NEXT = 50  # patients whose films are proposed for labelling


def main(config: Mapping[str, Any]) -> None:
    """Measure the shift and write ``shift.parquet``, ``shift.csv`` and the passport.

    Args:
        config: Resolved configuration of ``configs/shift.yaml``.

    Raises:
        ConfigError: Neither or both of ``run`` and ``scores`` are given, or a finding, arm or side does not exist.
        DataError: A table is missing, damaged or impossible.
    """
    question = _question(config)
    plan = question.plan
    evidence, folder = _evidence(config)
    arm = _arm(evidence, config.get("arm"))
    finding = str(config.get("finding") or evidence.plan.primary)
    with journal(folder):
        cohort = cohort_of(evidence.predictions, finding=finding, arm=arm, local=str(config["side"]), extras=evidence.extras)
        log.info("%d global and %d local test films, scores of %s", len(cohort.global_films), len(cohort.local_films), arm)
        found = measure(evidence, cohort, question)
        write_table(found.table, folder / "shift.parquet")
        write_table(found.table, folder / "shift.csv")
        write_table(found.repairs, folder / "repairs.csv")
        _propose_labels(cohort, folder=folder, plan=plan)
        _illustrate(evidence, cohort, count=whole(config, "saliency"), folder=folder)
        log.info("Passport")
        page = write_passport(_passport(evidence, cohort, found, question=question), folder)
    console = Console()
    for table in shift_tables(found.table):
        console.print(table)
    for number, sentence in enumerate(found.sentences, start=1):
        console.print(f"{number}. {sentence}", markup=False, highlight=False)
    console.print(f"\nPassport: {page}", markup=False, highlight=False, soft_wrap=True)


def _question(config: Mapping[str, Any]) -> Question:
    return Question(
        plan=build(config["shift"], where="shift"),
        profile=read_profile(config["profile"]),
        repairs=build_repairs(config.get("repairs") or {}, films=bool(config.get("run")) and bool(config["probe"])),
        repair_plan=build(config["repair_table"], where="repair_table"),
        probe=bool(config["probe"]),
    )


def _evidence(config: Mapping[str, Any]) -> tuple[Evidence, Path]:
    """Read what was asked about, and say where the answer goes."""
    run, scores = config.get("run"), config.get("scores")
    if bool(run) == bool(scores):
        raise ConfigError(
            what="Give either a folder of runs or a table of scores",
            where="Command line",
            remedy="For example `medsetu shift runs/tb_global_to_india` or `medsetu shift scores.csv`",
        )
    output = Path(str(config["output"])).expanduser() if config.get("output") else None
    if run:
        arm, finding = str(config.get("arm") or GLOBAL_ONLY), config.get("finding")
        evidence = evidence_of_runs(Path(str(run)).expanduser(), arm=arm, finding=None if finding is None else str(finding))
        return evidence, output or evidence.folder / "shift"
    path = Path(str(scores)).expanduser()
    votes = Path(str(config["votes"])).expanduser() if config.get("votes") else None
    columns = {ours: name for ours, name in config["columns"].items() if name}
    evidence = evidence_of_scores(path, columns=columns, finding=config.get("finding"), votes=votes)
    return evidence, output or path.with_name(f"{path.stem}_shift")


def _arm(evidence: Evidence, wanted: str | None) -> str:
    arms = sorted(evidence.predictions["arm"].dropna().unique())
    if wanted:
        return str(wanted)
    if GLOBAL_ONLY in arms:
        return GLOBAL_ONLY
    if len(arms) > 1:
        raise ConfigError(what="There are scores of several models", where="Key arm", remedy=f"Choose one: arm={arms[0]}; there are {arms}")
    return str(arms[0])


def _propose_labels(cohort: Cohort, *, folder: Path, plan: ShiftPlan) -> None:
    """Rank the local patients without any label, where there are some; without labels their films test nothing yet."""
    films = cohort.local_films
    if np.setdiff1d(films.patient, films.known().patient).size:
        how = "both" if films.features is not None else "uncertainty"
        write_table(next_films(films, _LABEL_NEXT, how=how, seed=plan.seed), folder / "label_next.csv")
        log.info("Films to label next: label_next.csv; those that a model learns from may no longer test it")


def _illustrate(evidence: Evidence, cohort: Cohort, *, count: int, folder: Path) -> None:
    """Show where the gradient points on the local test films with the highest scores of the first seed: an illustration, no evidence."""
    run = next((run for run in evidence.runs if run_fact(run, "arm") == cohort.arm), None)
    if count < 1 or run is None or evidence.prepared is None:
        return
    import yaml

    from medsetu.experiment.probe import network_of
    from medsetu.experiment.saliency import draw_saliency, write_saliency
    from medsetu.recipe.recipe import build_recipe

    first = cohort.local_films.sample_id[np.argsort(-cohort.local_films.scores[0], kind="stable")[:count]]
    rows = evidence.prepared.manifest.set_index("sample_id", drop=False).loc[[str(name) for name in first]].reset_index(drop=True)
    recipe = build_recipe(yaml.safe_load(run.recipe.read_text()))
    pairs = draw_saliency(network_of(recipe, run), rows, finding=cohort.finding, plan=recipe.data)
    log.info("%d illustrations in %s, never a verdict", len(write_saliency(pairs, folder / "illustration")), folder / "illustration")


def _learning_curves(evidence: Evidence) -> list[Drawing]:
    points = evidence.folder / "study" / "curve.csv"
    if not evidence.runs or not points.is_file():
        return []
    return [Drawing("What local patients buy: AUROC on the local test", learning_curve_panel(read_table(points), name="learning"))]


def _passport(evidence: Evidence, cohort: Cohort, found: Measured, *, question: Question) -> Passport:
    settings = {f"shift.{name}": value for name, value in vars(question.plan).items()}
    settings |= {"profile": question.profile.name, "repairs": ", ".join(question.repairs), "arm": cohort.arm, "finding": cohort.finding}
    if evidence.prepared is not None:
        settings |= {
            "manifest": evidence.prepared.fingerprint,
            "openings of the test": evidence.openings,
            "plan": evidence.seal or "not sealed before the test was opened",
        }
    sides = [
        {"side": name, "title": films.title, "films": len(films), "patients": films.n_patients, "unit": films.unit}
        for name, films in (("global", cohort.global_films), (LOCAL, cohort.local_films))
    ]
    return Passport(
        title=evidence.title,
        question=evidence.question,
        finding=cohort.finding,
        arm=cohort.arm,
        sides=sides,
        made_on=datetime.now(tz=UTC).date().isoformat(),
        sentences=found.sentences,
        drawings=passport_drawings(cohort, found.table, found.waterfalls, alpha=question.plan.alpha),
        behind=_learning_curves(evidence),
        table=found.table,
        settings=settings,
        notes=found.notes,
        material=list(evidence.prepared.notes) if evidence.prepared is not None else [],
    )
