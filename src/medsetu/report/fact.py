# SPDX-License-Identifier: Apache-2.0
"""What a study can say of itself for a reporting checklist: facts by name, each a short text; empty where nobody has recorded it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from medsetu.catalog.card import Card
from medsetu.core.sample import EXTERNAL
from medsetu.manifest.flow import ANALYSED, ELIGIBLE, EXCLUDED, QUARANTINED
from medsetu.report.caution import cautions
from medsetu.report.content import Report
from medsetu.report.number import count, interval, metric_name, number, times, words

_STEPS = (ELIGIBLE, EXCLUDED, QUARANTINED, ANALYSED)


def study_facts(report: Report) -> dict[str, str]:
    """Gather the facts that answer items of a checklist.

    Args:
        report: What a study has shown.

    Returns:
        Name -> text; the empty text means that it is not recorded. No sample and no patient is named.
    """
    recipe = _recipe(report)
    return {**_plan(report, recipe), **_data(report), **_model(report, recipe), **_results(report)}


def _recipe(report: Report) -> dict[str, Any]:
    try:
        found = yaml.safe_load(report.recipe_yaml)
    except yaml.YAMLError:
        return {}
    return dict(found) if isinstance(found, Mapping) else {}


def _plan(report: Report, recipe: Mapping[str, Any]) -> dict[str, str]:
    plan = recipe.get("evaluation") or {}
    targets = [f"{kind} at least {value:g}" for kind in ("sensitivity", "specificity") for value in plan.get(f"{kind}_targets", ())]
    groups = ", ".join(map(words, plan.get("groups", ())))
    tested = report.predictions.loc[report.predictions["split"] == "test"]
    films = tested.groupby("domain")["sample_id"].nunique()
    powered = [sentence for sentence in report.seal if sentence.startswith("Planned power")]
    return {
        "question": report.question,
        "finding": words(report.primary),
        "primary": next((sentence for sentence in report.seal if sentence.startswith("Primary")), ""),
        "planned_power": powered[0] if powered else "",
        "plan": " ".join([*report.seal, f"The internal test was opened {times(report.openings)}."]) if report.seal else "",
        "sample_size": "; ".join(f"{side}: {count(films[side])} films tested" for side in films.index),
        "thresholds": f"chosen on validation, never on test: {', '.join(targets)}" if targets else "",
        "groups_planned": f"named before the test: {groups}; smaller than {plan.get('minimum_group', '?')} suppressed" if groups else "",
        "audit": f"every score is kept in predictions.parquet; a ledger counts the openings of the test ({times(report.openings)})",
    }


def _data(report: Report) -> dict[str, str]:
    parts, flow = report.split_table, report.flow
    units = sorted(set(parts["unit"])) if len(parts) else []
    unknown = parts.groupby("finding")["unknown"].sum() if len(parts) else pd.Series(dtype="int64")
    lacking = ", ".join(f"{words(str(name))} {count(n)}" for name, n in unknown.items() if n)
    by_unit = " and ".join(f"by {unit}" for unit in units)
    crossed = " The cross-fitted side is tested film by film, each by a network that has not met it." if _crossed(parts) else ""
    return {
        "sources": _cards(report, lambda card: f"{card.title}, {card.country}"),
        "collection": _cards(report, lambda card: "" if card.collection == "unknown" else card.collection),
        "acquired": _cards(report, lambda card: card.acquired),
        "setting": _cards(report, lambda card: card.setting),
        "reference": _cards(report, lambda card: card.reference_standard),
        "labels": _cards(report, lambda card: card.label_source),
        "readers": _cards(report, lambda card: card.readers),
        "blinding": _cards(report, lambda card: card.blinding),
        "access": _cards(report, lambda card: card.access),
        "left_out": _steps(flow, (EXCLUDED, QUARANTINED)),
        "flow": _steps(flow, _STEPS),
        "quality": f"{count(len(report.quarantine))} unreadable files and {count(len(report.duplicates))} pairs of equal images were found",
        "missing": f"an unknown label leaves its finding only ({lacking or 'none'}); unreadable files are counted as not analysed"
        if len(parts)
        else "",
        "classes": "; ".join(_class_line(row) for row in parts.to_dict("records") if row["finding"] == report.primary),
        "partition": f"training, validation and test are disjoint {by_unit}.{crossed}" if units else "",
        "disjoint": by_unit,
        "deidentification": "medsetu keeps pseudonyms instead of patient and study numbers, and no header text",
    }


def _model(report: Report, recipe: Mapping[str, Any]) -> dict[str, str]:
    backbone, data, stages = (recipe.get(name) or {} for name in ("backbone", "data", "stages"))
    trained = [
        f"{name}: {plan.get('epochs')} epochs on {plan.get('side')}, rate {plan.get('lr')}, {plan.get('batch_size')} images a step"
        for name, plan in stages.items()
    ]
    chosen = [f"{name}: least loss or best {plan.get('monitor')} on the validation films" for name, plan in stages.items()]
    bounds = [f"{name}: at most {plan.get('prevalence_limit')}" for name, plan in stages.items()]
    steps = [str(step.get("_target_", "")).rpartition(".")[2] for step in data.get("intensity", ())]
    return {
        "predictors": "the pixels of one film; no clinical facts and no text",
        "preprocessing": f"{data['fit']} to {backbone.get('size')} pixels; intensity: {', '.join(steps) or 'none'}"
        if "fit" in data
        else "",
        "model": f"{backbone['name']}, {backbone.get('channels', 1)} channel, {backbone.get('size')} pixels" if "name" in backbone else "",
        "training": "; ".join(trained),
        "selection": "; ".join(chosen),
        "imbalance": f"loss weight negatives over positives, {'; '.join(bounds)}; sampler {data.get('sampler', '?')}" if bounds else "",
        "output": "a score in [0, 1] per finding",
        "ensemble": "none: each network is tested alone, values are means over training seeds",
        "explained": "none: saliency maps are no evidence here",
        "weights": "; ".join(
            f"{weight['stage']}: from {weight['origin']}, SHA-256 {str(weight['sha256'])[:12]}" for weight in report.weights
        ),
        "code": ", ".join(f"{name} {report.compute[name]}" for name in ("medsetu", "code") if report.compute.get(name)),
        "labels_used": "; ".join(f"{arm}: {count(labels)} local labels" for arm, labels in report.labels_used.items()),
        "updating": _updating(report),
    }


def _results(report: Report) -> dict[str, str]:
    tested = report.predictions.loc[report.predictions["split"] == "test"]
    results = report.results[report.results["finding"] == report.primary]
    methods = sorted({str(method) for method in results["method"].dropna() if method})
    measures = list(dict.fromkeys(metric_name(str(name)) for name in results["metric"] if "_at_" not in str(name)))
    groups = sorted({str(group).partition("=")[0] for group in results.loc[results["value"].notna(), "group"]} - {"all"})
    operating = results["metric"].astype(str).str.match(r"(sensitivity|specificity)_at_(transported|refitted)_") & results["value"].notna()
    external = sorted(set(tested.loc[tested["domain"] == EXTERNAL, "release"]))
    return {
        "metrics": ", ".join(measures),
        "uncertainty": f"{report.level * 100:g} % intervals: {', '.join(methods)}" if methods else "",
        "performance": "; ".join(
            _cell(row) for matrix in report.matrices[:1] for row in matrix.cells.to_dict("records") if row["value"] == row["value"]
        ),
        "accuracy": f"{count(int(operating.sum()))} sensitivities and specificities at thresholds from validation"
        if operating.any()
        else "",
        "groups_found": f"results by {', '.join(map(words, groups))}" if groups else "",
        "sides": f"tested apart: {', '.join(dict.fromkeys(tested['domain']))}" if len(tested) else "",
        "external": f"tested on {', '.join(external)}, never trained on" if external else "",
        "errors": report.protocol if len(report.examples) else "",
        "shortcut": "shortcut ladder on the same films" if len(report.ladder) else "",
        "cautions": f"{len(cautions(report))} sentences on what may not be claimed stand at the head of the report",
    }


def _cards(report: Report, ask: Any) -> str:  # noqa: ANN401 - a function of a card
    """What the cards say; empty unless each of them says something."""
    told: list[tuple[Card, str]] = [(card, str(ask(card) or "")) for card in report.cards]
    return "; ".join(f"{card.name}: {text}" for card, text in told) if told and all(text for _, text in told) else ""


def _steps(flow: pd.DataFrame, steps: Sequence[str]) -> str:
    if flow.empty:
        return ""
    total = flow.groupby(["domain", "step"], sort=False)["samples"].sum()
    lines = {side: [f"{count(int(total.get((side, step), 0)))} {step}" for step in steps] for side in dict.fromkeys(flow["domain"])}
    return "; ".join(f"{side}: {', '.join(told)}" for side, told in lines.items())


def _crossed(parts: pd.DataFrame) -> bool:
    return len(parts) > 0 and "crossfit" in set(parts["split"])


def _class_line(row: Mapping[Any, Any]) -> str:
    return f"{row['domain']} {row['release']} {row['split']}: {count(row['present'])} with, {count(row['absent'])} without"


def _cell(row: Mapping[Any, Any]) -> str:
    ends = interval(row["low"], row["high"])
    return f"{row['arm']} on {row['side']}: AUROC {number(row['value'])}" + (f" ({ends})" if ends else "")


def _updating(report: Report) -> str:
    spent = report.labels_used.get("transfer", 0)
    return f"transfer goes on from global-only with {count(spent)} local labels" if spent else ""
