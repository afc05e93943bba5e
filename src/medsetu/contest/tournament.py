# SPDX-License-Identifier: Apache-2.0
"""Every contestant measured, every pair compared, each family of tests adjusted, ranks with ties, and what the winner is worth."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from math import isnan, nan

import numpy as np
import pandas as pd

from medsetu.contest.contestant import Contestant, Cost, Field, gather
from medsetu.contest.critical import Critical, critical_difference
from medsetu.contest.duel import Duel, auroc_duel, auroc_of, films_needed, joint_delong, unmeasured
from medsetu.contest.family import DECLARED, adjust
from medsetu.contest.mean import LOSSES, losses, mean_with_interval, paired_mean
from medsetu.contest.operating import Operating, decision_duels, operating_of
from medsetu.contest.optimism import Optimism, optimism
from medsetu.contest.plan import ContestPlan
from medsetu.contest.rank import Rank, leader, ranks
from medsetu.contest.resampled import Draws, difference, difference_p, draw, estimates_of
from medsetu.core.errors import ConfigError
from medsetu.core.table import conform
from medsetu.evaluation.delong import MINIMUM_CLASS, claim_note
from medsetu.evaluation.interval import Estimate, join_notes

METRIC_COLUMNS: dict[str, str] = {
    "contestant": "str",
    "metric": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "n_patients": "int64",
    "n_samples": "int64",
    "n_positive": "int64",
    "claim": "str",
    "method": "str",
    "note": "str",
}
STANDING_COLUMNS: dict[str, str] = {
    "contestant": "str",
    "rank": "str",  # ranks it may have, such as 1-4
    "rank_best": "int64",
    "rank_worst": "int64",
    "leads": "bool",
    "tied_with_leader": "bool",
    "auroc": "float64",
    "auroc_low": "float64",
    "auroc_high": "float64",
    "seeds": "int64",
    "claim": "str",
    "threshold": "str",  # refitted, transported, or "" without one
    **{field.name: "str" if field.name == "device" else "float64" for field in fields(Cost)},
}


@dataclass(frozen=True)
class Tournament:
    """What a comparison has shown.

    Attributes:
        plan: What was fixed before.
        title: Where the test films come from.
        unit: ``by patient``, or ``by image`` with the reason.
        standings: One row per contestant, best first (``STANDING_COLUMNS``).
        metrics: Long table of metrics (``METRIC_COLUMNS``).
        pairs: Long table of pairs and metrics (``PAIR_COLUMNS``), first minus second.
        optimism: What the winner promises too much.
        critical: Average ranks over releases, or why not.
        joint: Chi-square, degrees of freedom and p of DeLong's joint test that all are equal; NaN where it is undefined.
        n_family: Independent films per class that find the smallest difference of interest after Holm over all pairs, between the leader
            and the tied contestant that is hardest to tell from it; NaN where no number does.
        notes: What a reader must know.
    """

    plan: ContestPlan
    title: str
    unit: str
    standings: pd.DataFrame
    metrics: pd.DataFrame
    pairs: pd.DataFrame
    optimism: Optimism
    critical: Critical
    joint: tuple[float, int, float]
    n_family: float
    notes: tuple[str, ...]

    @property
    def leader(self) -> str:
        """Contestant with the largest AUROC; "" where none has one."""
        leads = self.standings.loc[self.standings["leads"], "contestant"]
        return str(leads.iloc[0]) if len(leads) else ""

    @property
    def winner(self) -> str:
        """The leader where it is told apart from every other; "" where it is not."""
        tied = int(self.standings["tied_with_leader"].sum())
        return self.leader if tied == 1 else ""


def hold(
    predictions: pd.DataFrame,
    plan: ContestPlan,
    *,
    costs: Mapping[str, Cost] | None = None,
    overlapping: Collection[frozenset[str]] = (),
) -> Tournament:
    """Compare contestants on the same test films.

    Args:
        predictions: Long table with ``PREDICTION_COLUMNS``; ``arm`` names the contestant; splits test and val are read.
        plan: What was fixed before.
        costs: What each contestant cost; unknown where it is missing.
        overlapping: Pairs of releases that share images.

    Returns:
        The tournament.

    Raises:
        ConfigError: Fewer than two contestants, or one that was not tested; the reference does not take part; an impossible threshold.
        DataError: The contestants may not be compared (see ``medsetu.contest.fair``).
    """
    field = gather(predictions, plan)
    names = [one.name for one in field.contestants]
    if plan.reference and plan.reference not in names:
        raise ConfigError(
            what=f"The reference '{plan.reference}' does not take part", where="Key reference", value=plan.reference, allowed=names
        )
    measured = _Measured.make(field.contestants, plan)
    duels = [duel for pair in _pairs(names, plan.reference) for duel in measured.duels(*pair)]
    pairs = adjust(duels, plan)
    standings = _standings(measured, duels, costs=costs or {})
    return Tournament(
        plan,
        field.title,
        field.unit,
        standings,
        measured.table(),
        pairs,
        optimism(field.contestants, plan),
        critical_difference(predictions, finding=plan.finding, alpha=plan.alpha, overlapping=overlapping),
        _joint(field.contestants),
        _family_size(standings, duels, plan=plan),
        _notes(field, pairs, plan=plan),
    )


@dataclass(frozen=True)
class _Measured:
    """Everything that is computed once per contestant."""

    contestants: Mapping[str, Contestant]
    plan: ContestPlan
    points: Mapping[str, Operating]
    draws: Mapping[str, Draws]

    @classmethod
    def make(cls, contestants: Sequence[Contestant], plan: ContestPlan) -> "_Measured":
        return cls(
            {one.name: one for one in contestants},
            plan,
            {one.name: operating_of(one, plan) for one in contestants},
            {one.name: draw(one, plan) for one in contestants},
        )

    def duels(self, first: str, second: str) -> list[Duel]:
        pair, plan = (self.contestants[first], self.contestants[second]), self.plan
        return [
            auroc_duel(*pair, plan),
            *decision_duels(*pair, plan, points=(self.points[first], self.points[second])),
            *(self._loss(pair, metric) for metric in self.losses),
            self._resampled(pair, "auprc"),
        ]

    @property
    def losses(self) -> tuple[str, ...]:
        """Losses of probabilities; rescaled scores are none."""
        return () if self.plan.score_kind == "rescaled" else LOSSES

    def table(self) -> pd.DataFrame:
        rows = [
            {"contestant": name, "metric": metric, **asdict(found), "claim": claim_note(one.seeds).removeprefix("claim: ")}
            for name, one in self.contestants.items()
            for metric, found in self._estimates(one).items()
        ]
        table = pd.DataFrame(rows)
        claims = table["note"].map(lambda note: "; ".join(part for part in str(note).split("; ") if not part.startswith("claim: ")))
        return conform(table.assign(note=claims), METRIC_COLUMNS, name="metrics")

    def _estimates(self, one: Contestant) -> dict[str, Estimate]:
        found = {"auroc": auroc_of(one, self.plan), **self.points[one.name].estimates}
        for metric in self.losses:
            mean = mean_with_interval(losses(one, metric), cluster=one.matrix.cluster, level=self.plan.level)
            low = max(mean.low, 0.0) if mean.low == mean.low else mean.low
            method = "mean by patient, seeds added, t" if mean.low == mean.low else ""
            found[metric] = Estimate(mean.value, low, mean.high, *one.matrix.counts, method, mean.note)
        return found | estimates_of(one, self.draws[one.name], self.plan)

    def _loss(self, pair: tuple[Contestant, Contestant], metric: str) -> Duel:
        values = (losses(pair[0], metric), losses(pair[1], metric))
        found = paired_mean(*pair, values=values, rows=np.arange(pair[0].matrix.label.size), level=self.plan.level)
        method = "mean by patient, seeds added, t" if found.low == found.low else ""
        duel = unmeasured(*pair, metric=metric)
        return replace(duel, value=found.value, low=found.low, high=found.high, p=found.p, method=method, note=found.note)

    def _resampled(self, pair: tuple[Contestant, Contestant], metric: str) -> Duel:
        draws = (self.draws[pair[0].name], self.draws[pair[1].name])
        found = difference(pair, draws, metric=metric, plan=self.plan)
        p = difference_p(pair, draws, metric=metric, plan=self.plan) if found.low == found.low else nan
        duel = unmeasured(*pair, metric=metric)
        return replace(duel, value=found.value, low=found.low, high=found.high, p=p, method=found.method, note=found.note)


def _pairs(names: Sequence[str], reference: str) -> list[tuple[str, str]]:
    """All pairs; the reference always stands second."""
    return [(b, a) if a == reference else (a, b) for a, b in combinations(names, 2)]


def _standings(measured: _Measured, duels: Sequence[Duel], *, costs: Mapping[str, Cost]) -> pd.DataFrame:
    names = list(measured.contestants)
    found = {name: auroc_of(one, measured.plan) for name, one in measured.contestants.items()}
    decides = [duel for duel in duels if duel.metric == "auroc"]
    ranked: dict[str, Rank] = {rank.name: rank for rank in ranks(names, decides, alpha=measured.plan.alpha)}
    first = leader(names, [found[name].value for name in names])
    rows = [
        {
            "contestant": name,
            "rank": ranked[name].told,
            "rank_best": ranked[name].best,
            "rank_worst": ranked[name].worst,
            "leads": name == first,
            "tied_with_leader": name == first or first in ranked[name].tied,
            "auroc": found[name].value,
            "auroc_low": found[name].low,
            "auroc_high": found[name].high,
            "seeds": measured.contestants[name].seeds,
            "claim": claim_note(measured.contestants[name].seeds).removeprefix("claim: "),
            "threshold": measured.points[name].kind,
            **asdict(costs.get(name, Cost())),
        }
        for name in names
    ]
    table = conform(pd.DataFrame(rows), STANDING_COLUMNS, name="standings")
    return table.sort_values("auroc", ascending=False, kind="stable", ignore_index=True)


def _family_size(standings: pd.DataFrame, duels: Sequence[Duel], *, plan: ContestPlan) -> float:
    decides = [duel for duel in duels if duel.metric == "auroc" and duel.p == duel.p]
    leads = set(standings.loc[standings["leads"], "contestant"])
    tied = set(standings.loc[standings["tied_with_leader"], "contestant"]) - leads
    rivals = tied or set(standings["contestant"]) - leads
    near = [duel for duel in decides if {duel.first, duel.second} & leads and {duel.first, duel.second} & rivals]
    if not near:
        return nan
    level = 1 - plan.alpha / max(len(decides), 1)
    aurocs = dict(zip(standings["contestant"], standings["auroc"], strict=True))
    sizes = []
    for duel in near:
        middle = (aurocs[duel.first] + aurocs[duel.second]) / 2
        sizes.append(
            films_needed(plan, auroc=middle, correlation=duel.correlation, extra=duel.seed_variance, widening=duel.widening, level=level)
        )
    return nan if any(isnan(size) for size in sizes) else max(sizes)


def _joint(contestants: Sequence[Contestant]) -> tuple[float, int, float]:
    classes = min(min(one.parts.positive_patients, one.parts.negative_patients) for one in contestants)
    return joint_delong(list(contestants)) if classes >= MINIMUM_CLASS else (nan, 0, nan)


def _notes(field: Field, pairs: pd.DataFrame, *, plan: ContestPlan) -> tuple[str, ...]:
    fewest = min(one.seeds for one in field.contestants)
    refused = pairs[pairs["note"].fillna("").str.startswith("refused")]
    kinds = (
        f"sensitivity and specificity of {len(refused) // 2} pairs are not compared: their thresholds are of different kinds"
        if len(refused)
        else ""
    )
    family = f"against {plan.reference}" if plan.reference else "of all pairs"
    declared = int((pairs["family"] == DECLARED).sum())
    return tuple(
        filter(
            None,
            (
                f"claim: {claim_note(fewest).removeprefix('claim: ')}",
                f"declared family: the {declared} differences of AUROC {family}, Holm; other metrics are exploratory (Benjamini-Hochberg)",
                *field.notes,
                join_notes(kinds),
            ),
        )
    )
