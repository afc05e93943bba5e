# SPDX-License-Identifier: Apache-2.0
"""The shortcut ladder: how far the classes are told apart by what no physician would look at, beside what the model reaches.

Each rung is a regularised logistic regression, cross-fitted on the folds of the model. "Skill above shortcut" is the model's AUROC minus
that of a rung on the same films, with a paired interval.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.arm import GLOBAL_ONLY, LOCAL_ONLY, TRANSFER
from medsetu.core.label import check_findings
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.core.table import MANIFEST_COLUMNS, conform, finding_columns
from medsetu.evaluation.delong import difference_from, estimate_from
from medsetu.evaluation.interval import Estimate, Floats, join_notes
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift.climb import climb, covered, ladder_parts
from medsetu.shift.pairing import Side, paired_sides, side_names
from medsetu.shift.rung import (
    BORDER_RING,
    FILE_FACTS,
    LUNGS_REMOVED,
    METADATA,
    THUMBNAIL,
    WITHOUT_LUNGS,
    reduced_films,
    rungs,
)

LADDER_COLUMNS: dict[str, str] = {
    "side": "str",
    "title": "str",  # the sites as a reader knows them
    "unit": "str",  # by patient, or by image with the reason
    "arm": "str",  # the arm whose skill is compared
    "rung": "str",
    "value": "float64",  # AUROC of the rung alone
    "low": "float64",
    "high": "float64",
    "n_patients": "int64",
    "n_samples": "int64",
    "n_positive": "int64",
    "skill_above": "float64",  # AUROC of the arm minus that of the rung, same films
    "skill_low": "float64",
    "skill_high": "float64",
    "best": "bool",  # highest rung of the side
    "method": "str",
    "note": "str",
}
INFLATED_FROM = 0.80  # AUROC; a rung without lungs whose lower bound lies above it inflates the reference
OPTIMISM = "best rung chosen on these films: its AUROC is slightly too high, the skill above it slightly too low"
ALONE = {
    FILE_FACTS: "file facts alone",
    METADATA: "metadata alone",
    BORDER_RING: "the border ring alone",
    THUMBNAIL: "an 8 x 8 thumbnail alone",
    LUNGS_REMOVED: "the film without its lungs",
}
REFERENCE_ARMS = {GLOBAL: (GLOBAL_ONLY,), LOCAL: (TRANSFER, LOCAL_ONLY, GLOBAL_ONLY)}  # whose skill a verdict names, first that was tested


@dataclass(frozen=True)
class LadderVerdict:
    """What the ladder says of one side.

    Attributes:
        side: ``global``, ``local`` or ``external: <site>``.
        inflated: Whether a rung that sees no lung separates the classes with a lower bound above 0.80.
        sentence: The verdict in plain words, with number, interval, n and unit.
    """

    side: str
    inflated: bool
    sentence: str


def shortcut_ladders(
    predictions: pd.DataFrame,
    *,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    finding: str,
    plan: EvaluationPlan,
    cache: Path | None = None,
) -> pd.DataFrame:
    """Climb the ladder on every side that a study has tested.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``: all arms, seeds and folds; only split ``test`` is read.
        manifest: Manifest of the study, with the finding.
        splits: Frozen splits of the study.
        finding: The finding, by name.
        plan: Level and seed.
        cache: Folder that keeps the reduced films; None keeps nothing.

    Returns:
        One row per side, arm and rung (``LADDER_COLUMNS``).

    Raises:
        ConfigError: No arm has a head for the finding, or the manifest lacks it.
        DataError: The arms cannot be paired, or a film cannot be read.
    """
    sides = paired_sides(predictions, finding=finding)
    check_findings([finding], finding_columns(manifest), where="Manifest of the shortcut ladder")
    labelled = conform(manifest, MANIFEST_COLUMNS, name="manifest").dropna(subset=finding)
    tables = []
    for name, side in sides.items():
        rows = labelled[side_names(labelled) == name].reset_index(drop=True)
        films = reduced_films(rows, cache=cache)
        tables.append(shortcut_ladder(side, rows=rows, splits=splits, films=films, finding=finding, plan=plan))
    return pd.concat(tables, ignore_index=True)


def shortcut_ladder(
    side: Side, *, rows: pd.DataFrame, splits: pd.DataFrame, films: NDArray[np.float32], finding: str, plan: EvaluationPlan
) -> pd.DataFrame:
    """Climb the ladder on one side.

    A cross-fitted side uses the folds of the model, a fixed side trains on its training and validation part and is tested on its test,
    and a side on which nothing was trained is cross-fitted by ``group_id`` in five stratified folds.

    Args:
        side: The films on which the arms were tested.
        rows: (n) manifest rows of the side whose label is known.
        splits: Frozen splits; rows of other sides are not looked at.
        films: (n, 32, 32) reduced films, from ``reduced_films``.
        finding: The finding, by name.
        plan: Level and seed.

    Returns:
        One row per arm and rung (``LADDER_COLUMNS``); a rung without facts is NaN and says so.
    """
    label = rows[finding].to_numpy(np.float64)
    parts = list(ladder_parts(rows, label=label, seed=plan.seed, splits=splits))
    side = side.take(np.isin(side.sample_id, rows["sample_id"].to_numpy(dtype=str)[covered(parts, films=len(rows))]))
    where = pd.Index(rows["sample_id"]).get_indexer(pd.Index(side.sample_id))
    climbed = {rung.name: _parts(climb(rung, label=label, parts=parts), where=where, side=side) for rung in rungs(rows, films)}
    values = {name: estimate_from(found).value for name, found in climbed.items() if isinstance(found, KernelParts)}
    best = max((name for name in values if not math.isnan(values[name])), key=lambda name: values[name], default="")
    table = [
        _row(side, arm, rung=name, found=found, level=plan.level) | {"best": name == best}
        for arm in side.arms
        for name, found in climbed.items()
    ]
    ladder = conform(pd.DataFrame(table), LADDER_COLUMNS, name="shortcut ladder")
    ladder.loc[ladder["best"], "note"] = [join_notes(OPTIMISM, note) for note in ladder.loc[ladder["best"], "note"]]
    return ladder


def ladder_verdicts(ladders: pd.DataFrame) -> list[LadderVerdict]:
    """Say of each side whether its reference is inflated, and how far the model stands above the best rung.

    Args:
        ladders: Table of ``shortcut_ladders``.

    Returns:
        One verdict per side, in the order of the table.
    """
    verdicts = []
    for side, rows in ladders.groupby("side", sort=False):
        arm = arm_shown(str(side), list(rows["arm"]))
        verdicts.append(_verdict(str(side), arm, rows[rows["arm"] == arm].set_index("rung")))
    return verdicts


def arm_shown(side: str, arms: Sequence[str]) -> str:
    """Name the arm that is held against the ladder of a side: the one that speaks for it, else the first.

    Args:
        side: global, local or ``external: name``.
        arms: Arms that the ladder has, at least one.

    Returns:
        One of ``arms``.

    Example:
        >>> arm_shown("local", ["global-only", "transfer", "transfer:lora"])
        'transfer'
    """
    return next(name for name in (*REFERENCE_ARMS.get(side, (GLOBAL_ONLY,)), *arms) if name in arms)


def inflated_sides(ladders: pd.DataFrame) -> set[str]:
    """List the sides whose reference is inflated, for ``transfer_matrix``."""
    return {verdict.side for verdict in ladder_verdicts(ladders) if verdict.inflated}


def _verdict(side: str, arm: str, rows: pd.DataFrame) -> LadderVerdict:
    best = rows[rows["best"]]
    if best.empty:
        return LadderVerdict(side, inflated=False, sentence=f"No shortcut could be measured on the {side} side: {rows['note'].iloc[0]}")
    blind = rows[rows.index.isin(WITHOUT_LUNGS) & (rows["low"] > INFLATED_FROM)].sort_values("value")
    named = (blind if len(blind) else best).iloc[-1]
    top = best.iloc[0]
    place = f"the {side.removeprefix('external: ')} side, {top['title']}"
    apart = f"the classes are told apart by {ALONE[str(named.name)]} at AUROC {_with_interval(named, 'value', 'low', 'high')}"
    above = f"{arm} stands {_with_interval(top, 'skill_above', 'skill_low', 'skill_high', sign='+')} from the best rung, {top.name}"
    shown = "above the shortcut" if top["skill_low"] > 0 else "skill above the shortcut is not shown"
    opening = f"Reference inflated on {place}: {apart}" if len(blind) else f"On {place}, {apart}"
    sentence = f"{opening}; {above}: {shown} ({top['n_samples']} films {top['unit']})."
    return LadderVerdict(side, inflated=bool(len(blind)), sentence=sentence)


def _with_interval(row: "pd.Series[float]", value: str, low: str, high: str, *, sign: str = "") -> str:
    if math.isnan(row[low]):
        return f"{row[value]:{sign}.3f} (no interval)"
    return f"{row[value]:{sign}.3f} [{row[low]:{sign}.3f}, {row[high]:{sign}.3f}]"


def _row(side: Side, arm: str, *, rung: str, found: KernelParts | str, level: float) -> dict[str, object]:
    scores = side.arms[arm]
    nothing = Estimate(math.nan, math.nan, math.nan, scores.parts.n_patients, scores.parts.n_samples, scores.parts.n_positive, "")
    if isinstance(found, str):
        single, above = replace(nothing, note=found), nothing
    else:
        single = estimate_from(found, level=level)
        above = difference_from(scores.parts, found, paired=True, seeds=(scores.seed, np.arange(found.auroc.size)), level=level)
    return {
        "side": side.name,
        "title": side.title,
        "unit": side.unit,
        "arm": arm,
        "rung": rung,
        **asdict(single),
        "skill_above": above.value,
        "skill_low": above.low,
        "skill_high": above.high,
        "note": "; ".join(part for part in single.note.split("; ") if not part.startswith("claim")),
    }


def _parts(scores: Floats | str, *, where: NDArray[np.intp], side: Side) -> KernelParts | str:
    """Kernel of a rung on the films of the side, or why there is none."""
    if isinstance(scores, str):
        return scores
    matrix = next(iter(side.arms.values())).matrix
    return kernel_parts(matrix.label, scores[:, where], cluster=matrix.cluster)
