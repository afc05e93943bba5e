# SPDX-License-Identifier: Apache-2.0
"""A finished run that takes part in a comparison: its settings, its cost, and whether its manifest fits those of the others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medsetu.contest.contestant import Cost
from medsetu.core.errors import DataError
from medsetu.core.run import RunFolder, content_key, read_yaml
from medsetu.core.sample import LOCAL
from medsetu.manifest.frozen import is_frozen, load
from medsetu.manifest.prepared import Prepared, fingerprint
from medsetu.recipe.plan import DATA_SPEED
from medsetu.shift.pairing import side_names


@dataclass(frozen=True)
class Entrant:
    """One finished run that takes part.

    Attributes:
        run: Its folder.
        facts: Its provenance.
        raw: Its resolved recipe.
    """

    run: RunFolder
    facts: Mapping[str, Any]
    raw: Mapping[str, Any]

    @classmethod
    def read(cls, run: RunFolder) -> "Entrant":
        """Read what a run wrote down of itself."""
        return cls(run, json.loads(run.provenance.read_text()), read_yaml(run.recipe))

    @property
    def arm(self) -> str:
        """Arm, with its variant."""
        return str(self.facts["arm"])

    @property
    def recipe(self) -> str:
        """Name of its recipe."""
        return str(self.raw["name"])

    @cached_property
    def settings(self) -> str:
        """Hash of what its networks were trained with; equal for all seeds and folds of one way of training."""
        stages = [stage["name"] for stage in self.facts["stages"]]
        return content_key(
            {
                "stages": {name: self.raw["stages"][name] for name in stages},
                "data": {name: value for name, value in self.raw["data"].items() if name not in DATA_SPEED},
                "backbone": self.raw["backbone"],
            },
            length=6,
        )

    @property
    def work(self) -> Path:
        """Working folder of its recipe."""
        return Path(str(self.raw["paths"]["work"])).expanduser()


def costs_of(runs: Sequence[RunFolder]) -> dict[str, Cost]:
    """Say what each arm of one study has cost, from the provenance of its runs.

    Args:
        runs: Finished runs of one recipe.

    Returns:
        Arm -> cost.
    """
    entrants = [Entrant.read(run) for run in runs]
    return {arm: cost_of([one for one in entrants if one.arm == arm]) for arm in dict.fromkeys(one.arm for one in entrants)}


def cost_of(entrants: Sequence[Entrant]) -> Cost:
    """Add up the stages of the runs of one contestant; a stage that several runs share counts in each of them.

    Args:
        entrants: Its runs.

    Returns:
        The cost; NaN where the runs did not write it down.
    """
    stages = [list(one.facts["stages"]) for one in entrants]
    devices = {str(stage.get("hardware", {}).get("accelerator", "")).upper() for own in stages for stage in own}
    labels = [sum(int(stage["labels_spent"].get(LOCAL, 0)) for stage in own) for own in stages]
    return Cost(
        hours=_mean([sum(float(stage["seconds"]) for stage in own) / 3600 for own in stages]),
        last_hours=_mean([float(own[-1]["seconds"]) / 3600 for own in stages]),
        device=" and ".join(sorted(devices - {""})),
        parameters_trained=_largest([own[-1].get("parameters_trained") for own in stages]),
        parameters_total=_largest([own[-1].get("parameters_total") for own in stages]),
        peak_memory_bytes=_largest([stage.get("peak_memory_bytes") for own in stages for stage in own]),
        labels_used=_largest(labels),
        runs=len(entrants),
    )


def refuse_manifests(entrants: Sequence[Entrant], *, side: str, finding: str) -> None:
    """Refuse runs whose films, labels or splits of the tested side differ; the other sides may differ, such as other pretraining data.

    Args:
        entrants: All runs.
        side: The tested side.
        finding: The finding.

    Raises:
        DataError: They differ; what differs, and between which runs, is named.
    """
    first: dict[str, Entrant] = {}
    for one in entrants:
        first.setdefault(str(one.facts["manifest"]), one)
    known = [(one, _frozen(one)) for one in first.values()]
    for (one, mine), (other, theirs) in zip(known[:1] * len(known), known, strict=True):
        where = f"Runs {one.run.path.name} and {other.run.path.name}, {side} side"
        if one is other:
            continue
        what = _difference(mine, theirs, side=side, finding=finding)
        if what:
            raise _differ(what, where)


def _difference(mine: Prepared | None, theirs: Prepared | None, *, side: str, finding: str) -> str:
    """Name what differs between the tested sides of two manifests; "" where nothing does."""
    if mine is None or theirs is None:
        return "manifests differ, and one of them is not there to be looked at"
    one, other = (made.manifest[side_names(made.manifest) == side].set_index("sample_id") for made in (mine, theirs))
    apart = one.index.symmetric_difference(other.index).size
    if apart:
        return f"test films differ: {apart} films are in one manifest only"
    other = other.loc[one.index]
    for column, word in (("sha256", "files"), ("group_id", "patients"), (finding, "label policies")):
        left, right = (table[column] if column in table.columns else pd.Series(nan, index=table.index) for table in (one, other))
        unlike = int(((left != right) & ~(left.isna() & right.isna())).sum())
        if unlike:
            return f"{word} differ on {unlike} films"
    cells = [made.splits[made.splits["sample_id"].isin(one.index)] for made in (mine, theirs)]
    empty = pd.DataFrame({"sample_id": [], "sha256": [], "domain": [], "group_id": []})
    return "" if fingerprint(empty, cells[0]) == fingerprint(empty, cells[1]) else "splits differ"


def _differ(what: str, where: str) -> DataError:
    return DataError(
        what=f"The runs may not be compared: their {what}",
        where=where,
        remedy="Train them on one frozen manifest of this side: the same release, label columns, consensus rule, split_seed and plan",
    )


def _frozen(entrant: Entrant) -> Prepared | None:
    folder = entrant.work / "manifest" / entrant.recipe
    if not is_frozen(folder):
        return None
    found = load(folder)
    return found if found.fingerprint == str(entrant.facts["manifest"]) else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else nan


def _largest(values: Sequence[Any]) -> float:
    known = [float(value) for value in values if value is not None]
    return max(known) if known else nan
