# SPDX-License-Identifier: Apache-2.0
"""Scores over time: every batch against all before it, on charts whose average run length is stated and held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd
from scipy import stats

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.table import conform
from medsetu.evaluation.interval import Floats, critical
from medsetu.evaluation.proportion import clustered_ratio
from medsetu.shift.cusum import Sums, calibrate, compare, first_alarms, patient_sums, step

CHARTS = ("alert rate", "mean score", "sensitivity", "observed minus expected")
DISTANCE = "score distance (KS)"
_SHARES = ("alert rate", "sensitivity")
_POOL = 2000  # patients of the reference that the simulated worlds are drawn from, at most
_LEAST_REFERENCE = 30  # patients

MONITOR_COLUMNS: dict[str, str] = {
    "batch": "str",
    "finding": "str",
    "chart": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "reference": "float64",  # value of the reference window
    "score": "float64",  # normal score of the batch against all before it; NaN where it was not charted
    "up": "float64",  # CUSUM of rises
    "down": "float64",  # CUSUM of falls
    "limit": "float64",  # CUSUM at which an alarm is raised
    "alarm": "bool",
    "n_patients": "int64",  # films where no patient ids exist
    "n_samples": "int64",
    "n_positive": "int64",
    "note": "str",
}


@dataclass(frozen=True)
class MonitorPlan:
    """How batches are watched.

    Attributes:
        average_run_length: Batches to the first false alarm, on average, over all charts together; at least 10.
        slack: Drift per batch that is tolerated, in standard errors of a batch; half the shift one wants to find.
        streams: Simulated worlds that set the limit.
        watched: Batches that each world is watched.
        level: Confidence level of the printed intervals, in (0, 1).
        smallest_batch: Patients below which a batch is shown but not charted.
        seed: Seed of the simulation.
    """

    average_run_length: float = 520.0
    slack: float = 0.5
    streams: int = 400
    watched: int = 260
    level: float = 0.95
    smallest_batch: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        least = {"average_run_length": 10, "slack": 0, "streams": 50, "watched": 10, "smallest_batch": 2, "seed": 0}
        for key, low in least.items():
            if not getattr(self, key) >= low:
                raise ConfigError(what=f"{getattr(self, key)} is out of range", where=f"Key {key}", remedy=f"Give at least {low}")
        if not 0 < self.level < 1:
            raise ConfigError(what=f"{self.level} is out of range", where="Key level", remedy="Give a number between 0 and 1")


@dataclass(frozen=True)
class Watch:
    """What a monitor has seen.

    Attributes:
        table: Table with ``MONITOR_COLUMNS``.
        limit: CUSUM at which an alarm is raised.
        alarms: ``(batch, finding, chart)`` of the first alarm of every chart that raised one, in order of time.
        reference_patients: Patients of the reference window.
    """

    table: pd.DataFrame
    limit: float
    alarms: tuple[tuple[str, str, str], ...]
    reference_patients: int


def watch(
    reference: pd.DataFrame, batches: Sequence[tuple[str, pd.DataFrame]], *, thresholds: Mapping[str, float], plan: MonitorPlan
) -> Watch:
    """Follow the charts of every finding over batches in order of time.

    Args:
        reference: Films of the reference window: sample_id, patient_id (may be missing), finding, score in [0, 1], label (NaN unknown).
        batches: Name and films of each batch, oldest first.
        thresholds: Finding -> threshold in use; ``score >= threshold`` is an alert.
        plan: Run length, slack, sizes.

    Returns:
        Charts and alarms. A chart that has alarmed goes on, and stays in alarm while it is above the limit.

    Raises:
        DataError: The reference is too small, a finding has no threshold, or a batch has a finding that the reference has not.
        ConfigError: The run length cannot be calibrated with so few worlds.
    """
    findings = tuple(sorted(thresholds))
    start = _observe(reference, findings, thresholds)
    if start.patients < _LEAST_REFERENCE:
        raise DataError(
            what=f"The reference window has {start.patients} patients",
            where="Reference of the monitor",
            remedy=f"Give at least {_LEAST_REFERENCE}",
        )
    seen = [_observe(films, findings, thresholds) for _, films in batches]
    limit = _limit(start, [one.patients for one in seen if one.patients >= plan.smallest_batch], plan)
    before, state = Sums(start.moments.sum(axis=0)), np.zeros((start.moments.shape[1], 2))
    made: list[dict[str, object]] = []
    for (name, films), one in zip(batches, seen, strict=True):
        charted = one.patients >= plan.smallest_batch
        batch = Sums(one.moments.sum(axis=0))
        score = np.full(len(state), nan)
        if charted:
            score = compare(batch, before)
            state, before = step(state, score, slack=plan.slack), before + batch
        note = "" if charted else f"fewer than {plan.smallest_batch} patients: shown, not charted"
        made += _lines(name, one, start, score=score, state=state, limit=limit, plan=plan, note=note)
        made += [_distance(name, films, reference, finding=finding) for finding in findings]
    table = conform(pd.DataFrame(made, columns=list(MONITOR_COLUMNS)), MONITOR_COLUMNS, name="monitor")
    first = table[table["alarm"]].drop_duplicates(["finding", "chart"])
    alarms = tuple((str(row.batch), str(row.finding), str(row.chart)) for row in first.itertuples())
    return Watch(table, limit, alarms, start.patients)


@dataclass(frozen=True)
class _Observed:
    """Films of one window as charts need them: (n, C) values, and the moments of each patient."""

    above: Floats
    below: Floats
    cluster: np.ndarray
    moments: Floats
    names: tuple[tuple[str, str], ...]

    @property
    def patients(self) -> int:
        return len(self.moments)


def _observe(films: pd.DataFrame, findings: tuple[str, ...], thresholds: Mapping[str, float]) -> _Observed:
    strange = sorted(set(films["finding"]) - set(findings))
    if strange:
        raise DataError(
            what=f"The finding '{strange[0]}' has no threshold or no reference",
            where="Scores of the monitor",
            remedy="Give its threshold, or leave its rows out",
        )
    above, below, names = [], [], []
    score, label, owner = films["score"].to_numpy(np.float64), films["label"].to_numpy(np.float64), films["finding"].to_numpy(dtype=str)
    for finding in findings:
        own = (owner == finding).astype(np.float64)
        called, known = (score >= thresholds[finding]) * own, own * ~np.isnan(label)
        positive = known * (label == 1)
        above += [called, score * own, called * positive, known * (np.nan_to_num(label) - score)]
        below += [own, own, positive, known]
        names += [(finding, chart) for chart in CHARTS]
    a, b = np.stack(above, axis=1), np.stack(below, axis=1)
    patient = films["patient_id"].where(films["patient_id"].notna(), "film " + films["sample_id"].astype(str)).astype(str)
    cluster = np.unique(patient.to_numpy(dtype=str), return_inverse=True)[1]
    tops, bottoms = (np.stack([np.bincount(cluster, weights=column) for column in part.T], axis=1).astype(np.float64) for part in (a, b))
    return _Observed(a, b, cluster, patient_sums(tops, bottoms), tuple(names))


def _limit(start: _Observed, sizes: list[int], plan: MonitorPlan) -> float:
    """Limit of all charts together, from worlds drawn from the reference with the batch sizes that are watched."""
    rng = np.random.default_rng(plan.seed)
    pool = start.moments
    if len(pool) > _POOL:
        pool = pool[rng.choice(len(pool), _POOL, replace=False)]
    highest = first_alarms(
        pool,
        sizes=sizes or [plan.smallest_batch],
        batches=plan.watched,
        streams=plan.streams,
        slack=plan.slack,
        rng=rng,
        reference=start.patients,
    )
    return calibrate(highest, run_length=plan.average_run_length)


def _lines(
    batch: str, one: _Observed, start: _Observed, *, score: Floats, state: Floats, limit: float, plan: MonitorPlan, note: str
) -> list[dict[str, object]]:
    made = []
    for place, (finding, chart) in enumerate(one.names):
        value, low, high = _estimate(one, place, chart=chart, level=plan.level)
        films = int((one.below[:, place] > 0).sum())
        said = note or ("" if films else "no labels" if chart in CHARTS[2:] else "no films")
        made.append(
            {
                "batch": batch,
                "finding": finding,
                "chart": chart,
                "value": value,
                "low": low,
                "high": high,
                "reference": _estimate(start, place, chart=chart, level=plan.level)[0],
                "score": score[place],
                "up": state[place, 0],
                "down": state[place, 1],
                "limit": limit,
                "alarm": bool(state[place].max() >= limit),
                "n_patients": int((one.moments[:, place, 0] > 0).sum()),
                "n_samples": films,
                "n_positive": int(one.below[:, place // len(CHARTS) * len(CHARTS) + 2].sum()),
                "note": said,
            }
        )
    return made


def _estimate(one: _Observed, place: int, *, chart: str, level: float) -> tuple[float, float, float]:
    """Value of a chart with its interval by patient: Wilson for shares, Student's t for means."""
    used = one.below[:, place] > 0
    if not used.any():
        return nan, nan, nan
    above, below, cluster = one.above[used, place], one.below[used, place], one.cluster[used]
    if chart in _SHARES:
        found = clustered_ratio(above, below, cluster=cluster, level=level)
        return (found.value, *found.interval(level=level))
    value = float(above.sum() / below.sum())
    patients = int(np.unique(cluster).size)
    if patients < 2:
        return value, nan, nan
    residual = np.bincount(cluster, weights=above - value * below)
    error = float(np.sqrt((residual**2).sum() * patients / (patients - 1)) / below.sum())
    reach = error * float(critical(level, df=patients - 1))
    return value, value - reach, value + reach


def _distance(batch: str, films: pd.DataFrame, reference: pd.DataFrame, *, finding: str) -> dict[str, object]:
    """Largest distance between the score distributions of the batch and the reference: to be looked at, no alarm is raised on it."""
    here, there = (part.loc[part["finding"] == finding, "score"].to_numpy(np.float64) for part in (films, reference))
    known = min(here.size, there.size) > 0
    value = float(stats.ks_2samp(here, there, method="asymp").statistic) if known else nan
    empty = dict.fromkeys(("low", "high", "reference", "score", "up", "down", "limit"), nan)
    counts = {"n_patients": 0, "n_samples": here.size, "n_positive": 0}
    return {
        "batch": batch,
        "finding": finding,
        "chart": DISTANCE,
        "value": value,
        **empty,
        "alarm": False,
        **counts,
        "note": "descriptive: no alarm is raised on it",
    }
