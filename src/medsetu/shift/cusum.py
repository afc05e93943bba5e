# SPDX-License-Identifier: Apache-2.0
"""A chart that watches means batch after batch, and its false alarms: self-starting CUSUM with a simulated threshold.

Every batch is compared with everything before it (the reference and the batches in between), so the reference need not be known exactly:
the scores are independent while nothing changes (Hawkins 1987, The Statistician 36:299-315). The threshold is the one at which worlds
drawn from the patients of the reference raise their first alarm, on any of the charts, after the stated number of batches on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from medsetu.core.errors import ConfigError
from medsetu.evaluation.interval import Floats

MOMENTS = 6  # count, numerator, denominator, and their products


@dataclass(frozen=True)
class Sums:
    """Sums over patients of what a chart needs; sums of two sets of patients add.

    Attributes:
        table: (..., C, 6) for C charts: patients with a denominator, numerator a, denominator b, a², ab, b².
    """

    table: Floats

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.table + other.table)


def patient_sums(above: Floats, below: Floats) -> Floats:
    """(P, C, 6) moments of each patient, from (P, C) numerators and denominators.

    Example:
        >>> patient_sums(np.array([[1.0]]), np.array([[2.0]]))[0, 0].tolist()
        [1.0, 1.0, 2.0, 1.0, 2.0, 4.0]
    """
    return np.stack([(below > 0).astype(np.float64), above, below, above**2, above * below, below**2], axis=-1)


def compare(batch: Sums, before: Sums) -> Floats:
    """Score the mean of a batch against the mean of all before it.

    The mean is a ratio of sums over patients; its variance comes from the residuals of all patients together, and Student's t is turned
    into a normal score.

    Args:
        batch: (..., C, 6) sums of the batch.
        before: Sums of the reference and the batches before.

    Returns:
        (..., C) normal scores; 0 where a chart has fewer than two patients on a side or nothing varies.

    Example:
        >>> one = Sums(patient_sums(np.eye(4)[:, :1], np.ones((4, 1))).sum(axis=0))
        >>> compare(one, one).tolist()
        [0.0]
    """
    count, above, below, aa, ab, bb = np.moveaxis(batch.table + before.table, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = above / below
        variance = np.maximum(aa - 2 * mean * ab + mean**2 * bb, 0.0) / (count - 2)
        spread = sum(variance * part.table[..., 0] / part.table[..., 2] ** 2 for part in (batch, before))
        ratio = (batch.table[..., 1] / batch.table[..., 2] - before.table[..., 1] / before.table[..., 2]) / np.sqrt(spread)
        usable = (np.minimum(batch.table[..., 0], before.table[..., 0]) >= 2) & np.isfinite(ratio)
        tail = stats.t.logsf(np.abs(np.where(usable, ratio, 0.0)), np.maximum(count - 2, 1.0))
    normal = -stats.norm.ppf(np.exp(np.maximum(tail, -600.0)))
    return np.where(usable, np.sign(ratio) * normal, 0.0) + 0.0  # no minus zero


def step(state: Floats, score: Floats, *, slack: float) -> Floats:
    """Move both arms of the CUSUM (Page 1954) one batch on.

    Args:
        state: (..., C, 2) arms: upward, downward.
        score: (..., C) normal scores of the batch.
        slack: Drift per batch that is tolerated, in standard errors of a batch; half the shift one wants to find.

    Returns:
        (..., C, 2) arms, at least 0.

    Example:
        >>> step(np.zeros((1, 2)), np.array([2.0]), slack=0.5).tolist()
        [[1.5, 0.0]]
    """
    return np.maximum(state + np.stack([score, -score], axis=-1) - slack, 0.0)


def first_alarms(
    patients: Floats,
    *,
    sizes: Sequence[int],
    batches: int,
    streams: int,
    slack: float,
    rng: np.random.Generator,
    reference: int | None = None,
) -> Floats:
    """Watch worlds in which nothing changes: the highest CUSUM of any chart up to each batch.

    Each world draws its reference and its batches from the same patients, with replacement.

    Args:
        patients: (P, C, 6) moments of the patients of the reference.
        sizes: Patients per batch, repeated as long as needed.
        batches: Batches to watch.
        streams: Worlds.
        slack: Tolerated drift.
        rng: Source of the draws.
        reference: Patients of the reference window; P when None.

    Returns:
        (streams, batches) running maxima: the first alarm of a threshold is where it is first reached.
    """
    before = Sums(_drawn(patients, reference or len(patients), streams=streams, rng=rng))
    state = np.zeros((streams, patients.shape[1], 2))
    found = np.zeros((streams, batches))
    for number in range(batches):
        batch = Sums(_drawn(patients, sizes[number % len(sizes)], streams=streams, rng=rng))
        state = step(state, compare(batch, before), slack=slack)
        before = before + batch
        found[:, number] = np.maximum(found[:, number - 1] if number else 0.0, state.max(axis=(1, 2)))
    return found


def _drawn(patients: Floats, size: int, *, streams: int, rng: np.random.Generator) -> Floats:
    """(streams, C, 6) sums over patients drawn with replacement."""
    flat = patients.reshape(len(patients), -1)
    times = rng.multinomial(size, np.full(len(flat), 1 / len(flat)), size=streams)
    return np.asarray((times.astype(np.float64) @ flat).reshape(streams, *patients.shape[1:]))


def average_run_length(highest: Floats, threshold: float) -> float:
    """Mean number of batches to the first alarm, from worlds watched for a limited time.

    Batches watched over alarms raised: right when alarms come at a steady rate, as those of a CUSUM do after its first batches.

    Args:
        highest: (streams, batches) running maxima.
        threshold: The threshold.

    Returns:
        Batches; infinite when no world raised an alarm.

    Example:
        >>> average_run_length(np.array([[0.0, 5.0], [0.0, 0.0]]), 4.0)
        4.0
    """
    alarmed = highest >= threshold
    watched = np.where(alarmed.any(axis=1), alarmed.argmax(axis=1) + 1, highest.shape[1]).sum()
    raised = int(alarmed[:, -1].sum())
    return float(watched / raised) if raised else float("inf")


def calibrate(highest: Floats, *, run_length: float) -> float:
    """Find the threshold whose average run length is the stated one.

    Args:
        highest: (streams, batches) running maxima of worlds in which nothing changes.
        run_length: Batches to the first false alarm, on average.

    Returns:
        The smallest threshold that holds it.

    Raises:
        ConfigError: The worlds were watched too briefly to say.
    """
    values = np.unique(highest[:, -1])
    for threshold in np.append(values, np.nextafter(values[-1], np.inf)):
        if average_run_length(highest, float(threshold)) >= run_length:
            enough = int((highest[:, -1] >= threshold).sum())
            if enough < 20:
                break
            return float(threshold)
    raise ConfigError(
        what=f"An average run length of {run_length:g} batches cannot be calibrated with {len(highest)} worlds",
        where="Key streams",
        remedy="Give more streams, or a shorter average_run_length",
    )
