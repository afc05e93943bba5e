# SPDX-License-Identifier: Apache-2.0
"""The analysis plan of a recipe as plain data: everything that must be fixed before the test is opened, and what it can show."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medsetu import __version__
from medsetu.core.errors import ConfigError
from medsetu.core.place import code_revision
from medsetu.core.run import content_key
from medsetu.evaluation.interval import hanley_mcneil
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import Recipe
from medsetu.shift.contrast import CONTRASTS, Contrast
from medsetu.shift.power import detection_power, noninferiority_power, sample_size

HYPOTHESES = ("non-inferiority", "difference")
_DECIDING = ("question", "split_seed", "manifest", "backbone", "stages", "evaluation")  # parts of a recipe that decide a result
DATA_SPEED = ("cache", "workers", "build_workers", "eval_batch_size", "memory_limit_gib", "pin_memory", "progress")
_TRAINER = ("devices", "deterministic", "limit_batches", "compile", "extra")


@dataclass(frozen=True, kw_only=True)
class Primary:
    """The one comparison a study is judged by, and what is expected of it.

    Attributes:
        contrast: Name of a contrast of the transfer matrix.
        hypothesis: ``non-inferiority`` or ``difference``, at the margin of the recipe.
        auroc: Expected AUROC of both cells, in (0, 1).
        correlation: Expected correlation of the two estimates on the same films, in [0, 1).
        power: Wanted power, in (0, 1).
    """

    contrast: str
    hypothesis: str
    auroc: float = 0.90
    correlation: float = 0.7
    power: float = 0.8

    def __post_init__(self) -> None:
        """Refuse a comparison that does not exist."""
        names = [contrast.name for contrast in CONTRASTS]
        for key, allowed in (("contrast", names), ("hypothesis", list(HYPOTHESES))):
            value = getattr(self, key)
            if value not in allowed:
                raise ConfigError(what=f"There is no {key} '{value}'", where=f"Key {key}", value=value, allowed=allowed)
        if not (0 < self.auroc < 1 and 0 <= self.correlation < 1 and 0 < self.power < 1):
            raise ConfigError(
                what="No power can be planned with these numbers",
                where="Key expected",
                remedy="Give an AUROC and a power between 0 and 1, and a correlation of at least 0 and below 1",
            )

    @property
    def cells(self) -> Contrast:
        """The contrast itself."""
        return next(contrast for contrast in CONTRASTS if contrast.name == self.contrast)


def plan_of(recipe: Recipe, prepared: Prepared, *, seeds: Sequence[int], arms: Sequence[str] = ()) -> dict[str, Any]:
    """Write down what recipe, data and code decide.

    Args:
        recipe: The recipe.
        prepared: Manifest and splits.
        seeds: Seeds of training.
        arms: Arms that are tested; all of the recipe when empty.

    Returns:
        Plain JSON-like data; samples are counted and hashed, never named.
    """
    raw = recipe.raw
    settings = {name: raw[name] for name in _DECIDING}
    settings["arms"] = {arm: list(stages) for arm, stages in recipe.arms.items()}
    settings["data"] = {name: value for name, value in raw["data"].items() if name not in DATA_SPEED}
    settings["trainer"] = {name: raw["trainer"][name] for name in _TRAINER if name in raw["trainer"]}
    plan = {
        "recipe": recipe.name,
        "manifest": prepared.fingerprint,
        "seeds": sorted(seeds),
        "arms": sorted(arms or recipe.arms),
        "sides": {side: sorted(release.name for release in releases.values()) for side, releases in recipe.sides.items() if releases},
        "test": _tested(prepared),
        "code": {"medsetu": __version__, "git": code_revision()},
        "settings": settings,
    }
    plain: dict[str, Any] = json.loads(json.dumps(plan, default=str))
    return plain


def primary_of(recipe: Recipe, prepared: Prepared, *, primary: Primary) -> dict[str, Any]:
    """Write down the primary comparison, the rule of the thresholds, and the planned power.

    Args:
        recipe: The recipe, which names finding, margin and level.
        prepared: Manifest and splits.
        primary: The comparison.

    Returns:
        Plain JSON-like data: ``primary``, ``thresholds``, ``power``.

    Raises:
        ConfigError: The contrast needs an arm that the recipe lacks.
    """
    contrast, evaluation = primary.cells, recipe.evaluation
    missing = sorted({arm for arm, _ in (contrast.left, contrast.right)} - set(recipe.arms))
    if missing:
        raise ConfigError(
            what=f"The contrast '{contrast.name}' needs the arm {' and '.join(missing)}, which the recipe lacks",
            where="Key contrast",
            remedy="Name a contrast of arms that the recipe has",
        )
    rules = [f"sensitivity at least {target:g}" for target in evaluation.sensitivity_targets]
    rules += [f"specificity at least {target:g}" for target in evaluation.specificity_targets]
    rules += ["largest Youden index"] if evaluation.youden else []
    return {
        "primary": {
            "finding": evaluation.primary,
            "metric": "AUROC",
            "contrast": contrast.name,
            "formula": contrast.formula,
            "hypothesis": primary.hypothesis,
            "margin": evaluation.margin,
            "level": evaluation.level,
        },
        "thresholds": f"chosen on val/global (transported) and val/local (refitted), never on test: {', '.join(rules) or 'none'}",
        "power": _power(recipe, prepared, primary),
    }


def _tested(prepared: Prepared) -> dict[str, Any]:
    tested = prepared.splits[prepared.splits["split"] == "test"].drop_duplicates("sample_id")
    return {
        str(side): {"samples": len(rows), "ids_sha256": content_key(sorted(rows["sample_id"]), length=64)}
        for side, rows in tested.groupby("domain")
    }


def _power(recipe: Recipe, prepared: Prepared, primary: Primary) -> dict[str, Any]:
    """What the test can show, by normal approximation; the spread between training seeds comes on top and is not known beforehand."""
    evaluation, contrast = recipe.evaluation, primary.cells
    sides = [contrast.left[1], contrast.right[1]]
    counts = {side: _classes(prepared, side, evaluation.primary) for side in dict.fromkeys(sides)}
    shared = primary.correlation if contrast.paired else 0.0
    error = math.nan
    if all(min(pair) for pair in counts.values()):
        left, right = (float(hanley_mcneil(primary.auroc, counts[side][0], negatives=counts[side][1])) for side in sides)
        error = math.sqrt(left + right - 2 * shared * math.sqrt(left * right))
    margin, level = evaluation.margin, evaluation.level
    needed = sample_size(margin, auroc=primary.auroc, correlation=shared, power=primary.power, level=level) if margin else None
    return {
        "auroc": primary.auroc,
        "correlation": shared,
        "wanted": primary.power,
        "patients": {side: {"present": pair[0], "absent": pair[1]} for side, pair in counts.items()},
        "non-inferiority": _known(noninferiority_power(margin, standard_error=error, level=level)),
        "difference": _known(detection_power(margin, standard_error=error, level=level)),
        "needed_per_class": needed,
    }


def _classes(prepared: Prepared, side: str, finding: str) -> tuple[int, int]:
    """Patients of the test with and without the finding."""
    tested = prepared.splits.loc[(prepared.splits["split"] == "test") & (prepared.splits["domain"] == side), "sample_id"]
    rows = prepared.manifest[prepared.manifest["sample_id"].isin(tested)]
    worst = rows.dropna(subset=[finding]).groupby("group_id")[finding].max()
    return int((worst == 1).sum()), int((worst == 0).sum())


def _known(power: float) -> float | None:
    return None if math.isnan(power) else round(power, 3)
