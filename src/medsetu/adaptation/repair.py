# SPDX-License-Identifier: Apache-2.0
"""The table of repairs: what each wins on local test films, what it spent, and its rank, which validation alone decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan

import numpy as np
import pandas as pd

from medsetu.adaptation.fold import crossfitted
from medsetu.adaptation.gain import AUROC, LOSSES, Gain, paired_gain, threshold_gain, value_of
from medsetu.adaptation.score import ScoreMethod
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.evaluation.decision import Rule
from medsetu.evaluation.score import score_matrix

VAL_LOCAL, VAL_GLOBAL = "val/local", "val/global"
REPAIR_COLUMNS: dict[str, str] = {
    "repair": "str",
    "metric": "str",  # what value is a gain in
    "value": "float64",  # gain on local test films; positive is better
    "low": "float64",
    "high": "float64",
    "before": "float64",
    "after": "float64",
    "local_images": "float64",  # local films the repair has seen, per model; NaN unknown
    "local_labels": "float64",  # of them, films whose label it spent
    "gain_val": "float64",  # gain on local validation films it was not fitted on: decides the rank
    "chosen_on": "str",
    "rank": "float64",  # 1 is best, within a metric; NaN where there is no validation
    "n_patients": "int64",
    "n_samples": "int64",
    "n_positive": "int64",
    "method": "str",
    "verdict": "str",
    "note": "str",
}


@dataclass(frozen=True)
class ScoreRepair:
    """A repair of scores and where it is fitted.

    Attributes:
        method: Prior correction, temperature, ... (``medsetu.adaptation.score``).
        fit_on: ``local`` (spends the labels of val/local) or ``global`` (val/global; no local label).
        weighted: Fit with the importance weights given to ``rank_repairs``.

    Raises:
        ConfigError: The side is neither global nor local.
    """

    method: ScoreMethod
    fit_on: str = LOCAL
    weighted: bool = False

    def __post_init__(self) -> None:
        if self.fit_on not in (GLOBAL, LOCAL):
            raise ConfigError(
                what=f"Scores cannot be repaired on the side '{self.fit_on}'",
                where="adaptation.fit_on",
                value=self.fit_on,
                allowed=(GLOBAL, LOCAL),
            )


@dataclass(frozen=True)
class ThresholdRefit:
    """Replace the threshold of val/global by one of val/local.

    Attributes:
        kind: ``sensitivity``, ``specificity`` or ``youden``.
        target: What both thresholds must reach on validation, in [0, 1].
    """

    kind: str = "sensitivity"
    target: float = 0.9

    @property
    def rule(self) -> Rule:
        """The rule both thresholds follow."""
        return Rule(self.kind, self.target)


@dataclass(frozen=True)
class RepairPlan:
    """Settings of the table.

    Attributes:
        base: Arm that is repaired.
        losses: Names of ``LOSSES`` in which repairs are measured, beside AUROC for repairs of images and networks.
        bootstrap: Resamples of patients.
        level: Confidence level in (0, 1).
        seed: Seed of every draw.

    Raises:
        ConfigError: A loss is unknown.
    """

    base: str = "global-only"
    losses: Sequence[str] = ("brier", "log_loss")
    bootstrap: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.losses:
            if name not in LOSSES:
                raise ConfigError(what=f"The loss '{name}' is unknown", where="adaptation.losses", value=name, allowed=tuple(LOSSES))


@dataclass(frozen=True)
class Repair:
    """One line of the table; see ``REPAIR_COLUMNS``."""

    repair: str
    metric: str
    value: float = nan
    low: float = nan
    high: float = nan
    before: float = nan
    after: float = nan
    local_images: float = nan
    local_labels: float = nan
    gain_val: float = nan
    chosen_on: str = VAL_LOCAL
    rank: float = nan
    n_patients: int = 0
    n_samples: int = 0
    n_positive: int = 0
    method: str = ""
    verdict: str = ""
    note: str = ""


def rank_repairs(
    predictions: pd.DataFrame,
    *,
    finding: str,
    repairs: Mapping[str, ScoreRepair | ThresholdRefit],
    plan: RepairPlan | None = None,
    weight: "pd.Series[float] | None" = None,
) -> pd.DataFrame:
    """Measure every repair of an arm on local test films and rank them by validation.

    Repairs of images, networks and training are arms named ``<base> + <repair>``; repairs of scores are fitted here. Intervals are by
    patient and not adjusted for the number of repairs: the table is exploratory. Fits are taken as they are, thresholds are resampled.

    Args:
        predictions: Predictions of the base and of its repaired arms, on val/local and test/local (``with_folds`` first where the local
            side is cross-fitted) and, for the base, on val/global. Extra columns ``local_images`` and ``local_labels``: what an arm spent.
        finding: The finding, by name.
        repairs: Name -> repair of scores or threshold.
        plan: Settings.
        weight: sample_id -> importance weight of global validation films, for weighted repairs.

    Returns:
        A table with ``REPAIR_COLUMNS``, by metric and rank; a repair that cannot be made has NaN and a verdict "refused: ...".

    Raises:
        DataError: The base has no local test film.
    """
    settings = plan or RepairPlan()
    rows = predictions[predictions["finding"] == finding]
    local, global_val = rows[rows["domain"] == LOCAL], rows[(rows["domain"] == GLOBAL) & (rows["split"] == "val")]
    base = local[local["arm"] == settings.base]
    if not (base["split"] == "test").any():
        raise DataError(
            what=f"Arm '{settings.base}' has no local test film", where=f"Predictions of '{finding}'", remedy="Predict the local side first"
        )
    global_val = global_val[global_val["arm"] == settings.base]
    global_val = global_val.assign(weight=1.0 if weight is None else global_val["sample_id"].map(weight))
    found: list[Repair] = []
    for arm, part in local.groupby("arm", sort=True):
        name = str(arm).removeprefix(f"{settings.base} + ")
        if name != arm:
            spent = [float(part[column].max()) if column in part.columns else nan for column in ("local_images", "local_labels")]
            found += _measured(name, base, part, metrics=(AUROC, *settings.losses), spent=(spent[0], spent[1]), plan=settings)
    for name, repair in repairs.items():
        try:
            if isinstance(repair, ThresholdRefit):
                found += _thresholds(name, repair, base, global_val=global_val, plan=settings)
            else:
                found += _scores(name, repair, base, global_val=global_val, plan=settings, given=weight is not None)
        except DataError as refusal:
            found.append(Repair(name, "", verdict=f"refused: {refusal.what}", note=refusal.where))
    return _ranked(found)


def _scores(name: str, repair: ScoreRepair, base: pd.DataFrame, *, global_val: pd.DataFrame, plan: RepairPlan, given: bool) -> list[Repair]:
    if repair.weighted and not given:
        raise DataError(
            what="No importance weights were given", where=f"Repair {name}", remedy="Give weights of the global validation films"
        )
    here = repair.fit_on == LOCAL
    after = crossfitted(base, repair.method, global_val=None if here else _usable(global_val, repair), seed=plan.seed)
    labelled = float(_labels(base)) if here else 0.0
    return list(_measured(name, base, after, metrics=tuple(plan.losses), spent=(labelled, labelled), plan=plan, fitted=repair.fit_on))


def _usable(global_val: pd.DataFrame, repair: ScoreRepair) -> pd.DataFrame:
    return global_val.dropna(subset="weight") if repair.weighted else global_val.assign(weight=1.0)


def _measured(
    name: str,
    base: pd.DataFrame,
    after: pd.DataFrame,
    *,
    metrics: Sequence[str],
    spent: tuple[float, float],
    plan: RepairPlan,
    fitted: str = "",
) -> Iterator[Repair]:
    before_test, after_test = (score_matrix(rows[rows["split"] == "test"]) for rows in (base, after))
    note = f"fitted on val/{fitted}" + (", part by part" if fitted == LOCAL and base["fold"].nunique() > 1 else "") if fitted else ""
    for metric in metrics:
        gain = paired_gain(metric, before_test, repaired=after_test, replicates=plan.bootstrap, seed=plan.seed, level=plan.level)
        yield _line(name, metric, gain, spent=spent, gain_val=_validated(metric, base, after), note=note)


def _thresholds(name: str, repair: ThresholdRefit, base: pd.DataFrame, *, global_val: pd.DataFrame, plan: RepairPlan) -> list[Repair]:
    test, val = (base[base["split"] == split] for split in ("test", "val"))
    gains = threshold_gain(
        repair.rule,
        score_matrix(test),
        transported=global_val,
        refitted=val,
        replicates=plan.bootstrap,
        seed=plan.seed,
        level=plan.level,
    )
    labels = float(_labels(base))
    note = "an operating point, not ranked"
    return [
        _line(name, f"{metric}_at_{repair.rule.name}", gain, spent=(labels, labels), gain_val=nan, note=note)
        for metric, gain in gains.items()
    ]


def _line(name: str, metric: str, gain: Gain, *, spent: tuple[float, float], gain_val: float, note: str) -> Repair:
    found = gain.estimate
    return Repair(
        name,
        metric,
        value=found.value,
        low=found.low,
        high=found.high,
        before=gain.before,
        after=gain.after,
        local_images=spent[0],
        local_labels=spent[1],
        gain_val=gain_val,
        n_patients=found.n_patients,
        n_samples=found.n_samples,
        n_positive=found.n_positive,
        method=found.method,
        verdict=_verdict(found.low, found.high),
        note="; ".join(part for part in (found.note, note) if part),
    )


def _verdict(low: float, high: float) -> str:
    if np.isnan(low):
        return "not estimable"
    return "better" if low > 0 else "worse" if high < 0 else "no change" if low == high == 0 else "cannot tell"


def _labels(base: pd.DataFrame) -> int:
    """Labelled local validation films of one model, the most that any model has."""
    val = base[(base["split"] == "val") & base["label"].notna()]
    return int(val.groupby(["seed", "fold"])["sample_id"].nunique().max()) if len(val) else 0


def _validated(metric: str, base: pd.DataFrame, after: pd.DataFrame) -> float:
    """Mean over models of the gain on local validation films; NaN without any."""
    keys = ["seed", "fold", "sample_id"]
    val = base[(base["split"] == "val") & base["label"].notna()][[*keys, "label", "score"]]
    both = val.merge(after[after["split"] == "val"][[*keys, "score"]], on=keys, suffixes=("", "_after")).dropna()
    gains = [
        value_of(metric, part["label"].to_numpy(), score=part["score_after"].to_numpy())
        - value_of(metric, part["label"].to_numpy(), score=part["score"].to_numpy())
        for _, part in both.groupby(["seed", "fold"])
    ]
    defined = [gain for gain in gains if np.isfinite(gain)]
    return float(np.mean(defined)) if defined else nan


def _ranked(found: Sequence[Repair]) -> pd.DataFrame:
    table = pd.DataFrame([asdict(repair) for repair in found], columns=list(REPAIR_COLUMNS))
    table = table.astype({name: "object" if kind == "str" else kind for name, kind in REPAIR_COLUMNS.items()})
    table["rank"] = table.groupby("metric")["gain_val"].rank(ascending=False, method="min")
    return table.sort_values(["metric", "rank", "repair"], kind="stable", na_position="last", ignore_index=True)
