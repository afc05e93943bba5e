# SPDX-License-Identifier: Apache-2.0
"""How far readers agree beyond chance: kappas of Cohen, Fleiss and Randolph, and Krippendorff's alpha with missing readings."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.bootstrap import expanded_level, patient_weights, percentile
from medsetu.evaluation.interval import NAN, Floats, check_level, critical, join_notes
from medsetu.evaluation.metric import ratio
from medsetu.evaluation.score import BY_IMAGE, Ints

UNWEIGHTED, LINEAR, QUADRATIC = "unweighted", "linear", "quadratic"
WEIGHTS = (UNWEIGHTED, LINEAR, QUADRATIC)
NOMINAL, ORDINAL, INTERVAL, RATIO = "nominal", "ordinal", "interval", "ratio"
SCALES = (NOMINAL, ORDINAL, INTERVAL, RATIO)
LIMITS = (-1.0, 1.0)
FEWEST = 10  # patients below which there is no interval
ALL_ALIKE = "every reading is the same: agreement beyond chance is not defined"


@dataclass(frozen=True)
class Agreement:
    """Agreement of readers beyond chance.

    Attributes:
        value: 1 is perfect, 0 is chance; NaN when it is undefined, and then ``note`` says why.
        low: Lower end of the interval; NaN when there is none.
        high: Upper end of the interval; NaN when there is none.
        n_patients: Patients behind it, samples where no patients are given.
        n_samples: Samples behind it.
        n_readers: Readers behind it.
        method: Coefficient and interval.
        note: Reason of a NaN, grouping, what was left out; parts joined by "; ".
    """

    value: float
    low: float
    high: float
    n_patients: int
    n_samples: int
    n_readers: int
    method: str
    note: str = ""


@dataclass(frozen=True)
class TableKappa:
    """Kappa of a square table with the standard errors of Fleiss, Cohen and Everitt 1969.

    Attributes:
        value: Kappa; NaN where both readers use one and the same category throughout.
        error: Standard error.
        error_null: Standard error where readers agree by chance alone.
    """

    value: float
    error: float
    error_null: float


def table_kappa(table: ArrayLike, *, weights: str = UNWEIGHTED) -> TableKappa:
    """Cohen's kappa of a table of two readers (Cohen 1960, 1968).

    Args:
        table: (K, K) counts; rows are the categories of the first reader, columns those of the second, in their order.
        weights: ``unweighted``; or credit for a near miss that falls with the ``linear`` or ``quadratic`` distance of categories.

    Returns:
        Kappa and its standard errors.

    Raises:
        ConfigError: The weights are unknown.

    Example:
        >>> round(table_kappa([[20, 5], [10, 15]]).value, 3)
        0.4
    """
    if weights not in WEIGHTS:
        raise ConfigError(what=f"The weights '{weights}' are unknown", where="kappa", value=weights, allowed=WEIGHTS)
    counts = np.asarray(table, dtype=np.float64)
    total, size = float(counts.sum()), counts.shape[0]
    if total <= 0 or size < 2:
        return TableKappa(NAN, NAN, NAN)
    share, credit = counts / total, _credit(size, weights)
    first, second = share.sum(axis=1), share.sum(axis=0)
    by_chance = np.outer(first, second)
    seen, expected = float((credit * share).sum()), float((credit * by_chance).sum())
    if expected >= 1.0 - 1e-12:
        return TableKappa(NAN, NAN, NAN)
    value = (seen - expected) / (1 - expected)
    mean = (credit @ second)[:, None] + (first @ credit)[None, :]
    spread = float((share * (credit - mean * (1 - value)) ** 2).sum()) - (value - expected * (1 - value)) ** 2
    null = float((by_chance * (credit - mean) ** 2).sum()) - expected**2
    errors = (np.sqrt(max(part, 0.0) / total) / (1 - expected) for part in (spread, null))
    return TableKappa(value, *(float(error) for error in errors))


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    weights: str = UNWEIGHTED,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Agreement:
    """Agreement of two readers.

    Args:
        first: (n,) readings, numbers in their order; NaN is no reading.
        second: (n,) readings of the other reader; a sample that either did not read is left out and counted.
        cluster: (n,) patient of each sample; None: by image.
        weights: One of ``WEIGHTS``.
        replicates: Patient resamples where patients repeat; otherwise the interval has a formula.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        Kappa with its interval, cut to [-1, 1]; normal with the standard error of Fleiss, Cohen and Everitt 1969, or an expanded
        percentile interval where patients repeat.

    Raises:
        ConfigError: The weights are unknown.
        DataError: Lengths differ.

    Example:
        >>> found = cohen_kappa([0, 0, 1, 1] * 5, [0, 0, 1, 0] * 5)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.5, 0.171, 0.829)
    """
    votes, codes, notes = _checked(np.stack(_same_length(first, second), axis=1), cluster, fewest=2)
    levels, places = np.unique(votes, return_inverse=True)
    size, pair = levels.size, places.reshape(votes.shape)
    cell = pair[:, 0] * size + pair[:, 1]
    indicator = (cell[:, None] == np.arange(size * size)).astype(np.float64)

    def kappa(weight: Floats) -> Floats:
        return np.array([table_kappa(row.reshape(size, size), weights=weights).value for row in weight @ indicator])

    name = f"Cohen's kappa, {weights}"
    one = table_kappa(indicator.sum(axis=0).reshape(size, size), weights=weights)
    if int(codes.max(initial=-1)) + 1 == codes.size and np.isfinite(one.value) and codes.size >= FEWEST:
        reach = float(critical(level)) * one.error
        low, high = max(one.value - reach, LIMITS[0]), min(one.value + reach, LIMITS[1])
        silent = "no disagreement: the interval of no width says little" if reach == 0 else ""
        return Agreement(
            one.value, low, high, codes.size, codes.size, 2, f"{name}; Fleiss, Cohen and Everitt 1969", join_notes(silent, *notes)
        )
    return _resampled(kappa, votes, codes, name=name, notes=notes, replicates=replicates, seed=seed, level=level)


def fleiss_kappa(
    votes: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    free: float | None = None,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Agreement:
    """Agreement of several readers who each read every sample (Fleiss 1971); with fixed chance, the kappa of Randolph 2005.

    Args:
        votes: (n, R) readings as numbers, R at least 2; NaN is no reading. Samples that not every reader read are left out and counted:
            ``krippendorff_alpha`` keeps them.
        cluster: (n,) patient of each sample; None: by image.
        free: None: chance follows the shares of the categories (Fleiss). A number of categories K: chance is 1 / K (Randolph).
        replicates: Patient resamples.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        Kappa with an expanded percentile interval by patient.

    Raises:
        ConfigError: ``free`` is below the number of categories that were read.
        DataError: Lengths differ, or fewer than two readers.

    Example:
        >>> votes = [[1, 1, 1], [0, 0, 0], [0, 1, 1], [0, 0, 1]] * 5
        >>> round(fleiss_kappa(votes).value, 3), round(fleiss_kappa(votes, free=2).value, 3)
        (0.333, 0.333)
    """
    table = np.asarray(votes, dtype=np.float64)
    readings, codes, notes = _checked(table, cluster, fewest=table.shape[-1])
    levels = np.unique(readings)
    if free is not None and free < max(levels.size, 2):
        raise ConfigError(
            what=f"{levels.size} categories were read, {free:g} are allowed for", where="Key free", remedy="Count every category"
        )
    counts = (readings[:, :, None] == levels).sum(axis=1).astype(np.float64)
    readers = table.shape[1]
    alike = (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))

    def kappa(weight: Floats) -> Floats:
        films = weight.sum(axis=1)
        share = (weight @ counts) / (films * readers)[:, None]
        expected = (share**2).sum(axis=1) if free is None else np.full(films.size, 1 / free)
        return ratio(weight @ alike / films - expected, np.where(expected < 1 - 1e-12, 1 - expected, 0.0))

    name = "Fleiss' kappa" if free is None else f"Randolph's kappa, {free:g} categories"
    return _resampled(kappa, readings, codes, name=name, notes=notes, replicates=replicates, seed=seed, level=level)


def krippendorff_alpha(
    votes: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    scale: str = NOMINAL,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Agreement:
    """Agreement of any readers with missing readings, on any scale (Krippendorff, Content Analysis, 2004, chapter 11).

    Args:
        votes: (n, R) readings as numbers, R at least 2; NaN is no reading. A sample with fewer than two readings says nothing.
        cluster: (n,) patient of each sample; None: by image.
        scale: How far apart two readings are: ``nominal``, ``ordinal``, ``interval`` or ``ratio`` (readings at least 0).
        replicates: Patient resamples.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        Alpha with an expanded percentile interval by patient; it may lie below -1 in tiny samples.

    Raises:
        ConfigError: The scale is unknown.
        DataError: Lengths differ, fewer than two readers, or a negative reading on the ratio scale.

    Example:
        >>> round(krippendorff_alpha([[1, 1, None], [2, 2, 2], [3, 3, 2], [None, 1, None]], scale="interval").value, 3)
        0.781
    """
    if scale not in SCALES:
        raise ConfigError(what=f"The scale '{scale}' is unknown", where="alpha", value=scale, allowed=SCALES)
    readings, codes, notes = _checked(np.asarray(votes, dtype=np.float64), cluster, fewest=2)
    levels = np.unique(readings[~np.isnan(readings)])
    if scale == RATIO and levels.size and levels[0] < 0:
        raise DataError(what="A reading is negative", where="alpha on the ratio scale", remedy="Choose the interval scale")
    counts = (readings[:, :, None] == levels).sum(axis=1).astype(np.float64)
    size = counts.sum(axis=1)
    pairs = np.einsum("ni,nj,n->nij", counts, counts, 1 / np.maximum(size - 1, 1))
    pairs -= np.einsum("ni,ij,n->nij", counts, np.eye(levels.size), 1 / np.maximum(size - 1, 1))

    def alpha(weight: Floats) -> Floats:
        found = []
        for coincidence in np.tensordot(weight, pairs, axes=1):
            margin = coincidence.sum(axis=1)
            apart = _distance(levels, margin, scale)
            expected = float(margin @ apart @ margin)
            seen = float((coincidence * apart).sum()) * (margin.sum() - 1)
            found.append(1 - seen / expected if expected > 0 else NAN)
        return np.array(found)

    name = f"Krippendorff's alpha, {scale}"
    return _resampled(alpha, readings, codes, name=name, notes=notes, replicates=replicates, seed=seed, level=level)


def _credit(size: int, weights: str) -> Floats:
    """(K, K) credit of a pair of categories in [0, 1]."""
    apart = np.abs(np.arange(size)[:, None] - np.arange(size)[None, :]) / (size - 1)
    if weights == UNWEIGHTED:
        return np.eye(size)
    return np.asarray(1 - apart ** (1 if weights == LINEAR else 2))


def _distance(levels: Floats, margin: Floats, scale: str) -> Floats:
    """(K, K) squared distance of two readings."""
    if scale == NOMINAL:
        return np.asarray(1.0 - np.eye(levels.size))
    if scale == ORDINAL:
        middle = np.cumsum(margin) - margin / 2
        return np.asarray((middle[:, None] - middle[None, :]) ** 2)
    difference = levels[:, None] - levels[None, :]
    if scale == INTERVAL:
        return np.asarray(difference**2)
    return np.nan_to_num(ratio(difference, levels[:, None] + levels[None, :])) ** 2  # 0 and 0 are alike


def _same_length(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    one, other = (np.asarray(part, dtype=np.float64) for part in (first, second))
    if one.ndim != 1 or one.shape != other.shape:
        raise DataError(what="Two readers differ in length", where=f"{one.shape} and {other.shape}", remedy="Give the same samples")
    return one, other


def _checked(votes: Floats, cluster: ArrayLike | None, *, fewest: int) -> tuple[Floats, Ints, tuple[str, str]]:
    """Readings of the samples with enough of them, their patients as codes, and notes."""
    names = np.arange(len(votes)) if cluster is None else np.asarray(cluster)
    if votes.ndim != 2 or votes.shape[1] < 2 or names.shape != votes.shape[:1]:
        raise DataError(
            what="Readings are not a table of samples by readers",
            where=f"Readings {votes.shape}, patients {names.shape}",
            remedy="Give (n, R) readings of at least two readers, and one patient per sample",
        )
    kept = (~np.isnan(votes)).sum(axis=1) >= fewest
    codes = np.unique(names[kept], return_inverse=True)[1].astype(np.int64)
    left = int((~kept).sum())
    return (
        votes[kept],
        codes,
        (BY_IMAGE if cluster is None else "", f"{left} samples left out: fewer than {fewest} readings" if left else ""),
    )


def _resampled(
    statistic: Callable[[Floats], Floats],
    votes: Floats,
    codes: Ints,
    *,
    name: str,
    notes: tuple[str, str],
    replicates: int,
    seed: int,
    level: float,
) -> Agreement:
    """A coefficient with an expanded percentile interval over resampled patients."""
    check_level(level)
    patients, samples, readers = int(codes.max(initial=-1)) + 1, codes.size, votes.shape[1]
    value = float(statistic(np.ones((1, samples)))[0]) if samples else NAN
    if np.isnan(value):
        reason = ALL_ALIKE if samples else "no sample with enough readings"
        return Agreement(NAN, NAN, NAN, patients, samples, readers, name, join_notes(reason, *notes))
    if patients < FEWEST or replicates == 0:
        reason = f"fewer than {FEWEST} patients: no interval" if patients < FEWEST else "no interval: no resamples asked for"
        return Agreement(value, NAN, NAN, patients, samples, readers, name, join_notes(reason, *notes))
    draws = [statistic(weight) for weight in patient_weights(codes, replicates=replicates, seed=seed)]
    ends, remark = percentile(np.concatenate(draws), level=expanded_level(level, patients=patients))
    method = f"{name}; patient bootstrap, expanded percentile"
    return Agreement(value, *ends, patients, samples, readers, method, join_notes(remark, *notes))
