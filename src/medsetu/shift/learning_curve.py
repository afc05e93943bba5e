# SPDX-License-Identifier: Apache-2.0
"""Learning curves: skill against local patients as a bounded inverse power law, and the patients that a target takes, or "cannot tell".

y(n) = a - b n^-c with a <= 1 and b >= 0 (Figueroa et al., BMC Med Inform Decis Mak 2012, 12:8). The interval comes from replicates of all
points together: the same resampled patients at every n, widened by the spread of the training redraws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from medsetu.core.errors import ConfigError, DataError
from medsetu.evaluation.bootstrap import SHARE, patient_strata, patient_weights, widen
from medsetu.evaluation.curve import auroc, curve, sensitivity_at_specificity
from medsetu.evaluation.interval import Floats
from medsetu.evaluation.kernel import seed_weights
from medsetu.evaluation.score import ScoreMatrix
from medsetu.manifest.progress import progress

SMALLEST_RATE, LARGEST_RATE = 0.05, 3.0  # of the exponent c: outside, a handful of points cannot tell a law from a constant
FEWEST_POINTS = 3  # a law of three parameters
REACH = 2.0  # times the largest n: beyond it nothing is said without an interval
_GRID = np.linspace(-1.0, 1.0, 33)
_ROUNDS = 7  # each 16 times finer: the exponent is then known to 1e-8


@dataclass(frozen=True)
class LearningCurve:
    """Skill of one arm trained with ever more local patients.

    Attributes:
        arm: The arm.
        metric: ``auroc``, or ``sensitivity at specificity 0.8``.
        n: (P,) local patients, ascending.
        value: (P,) skill in [0, 1], mean over seeds.
        draws: (B, P) replicates of all points together; B may be 0.
        counts: Patients, films and positive films it was measured on.
    """

    arm: str
    metric: str
    n: Floats
    value: Floats
    draws: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    counts: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        """Refuse points that are no curve."""
        points = self.n.size
        fits = self.value.shape == (points,) and (self.draws.size == 0 or self.draws.shape[1:] == (points,))
        if not fits or points == 0 or bool((np.diff(self.n) <= 0).any()) or float(self.n[0]) < 0:
            raise DataError(
                what="The points are no learning curve",
                where=f"Learning curve of {self.arm}",
                remedy="Give ascending numbers of patients, one value for each, and replicates of all points",
            )


@dataclass(frozen=True)
class PowerLaw:
    """One or many fitted laws y(n) = a - b n^-c.

    Attributes:
        a: (B,) skill with endless patients, at most 1.
        b: (B,) what is missing at n = 1, at least 0.
        c: (B,) exponent.
    """

    a: Floats
    b: Floats
    c: Floats

    def at(self, n: ArrayLike) -> Floats:
        """(B, N) skill at (N,) numbers of patients above 0."""
        grid = np.atleast_1d(np.asarray(n, dtype=np.float64))
        return self.a[:, None] - self.b[:, None] * grid ** -self.c[:, None]

    def reaching(self, target: float) -> Floats:
        """(B,) patients at which the law reaches a target; infinite where it never does.

        Example:
            >>> law = PowerLaw(np.array([0.9, 0.8]), np.array([0.5, 0.5]), np.array([0.5, 0.5]))
            >>> law.reaching(0.85).round(6).tolist()
            [100.0, inf]
        """
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            needed = np.where(self.b > 0, (self.b / (self.a - target)) ** (1 / self.c), 0.0)
        return np.where(self.a > target, needed, np.where((self.b == 0) & (self.a >= target), 0.0, np.inf))


@dataclass(frozen=True)
class Need:
    """Local patients that a target takes.

    Attributes:
        target: Skill to reach.
        value: Patients by the fitted law; infinite when it never gets there, NaN when that lies too far out to be said without an interval.
        low: Lower end over replicates; at least the smallest n measured. NaN without replicates.
        high: Upper end; infinite when the replicates set none.
        assured: Patients with which the wanted share of replicates reaches the target; infinite when too few ever do.
        power: That share.
        never: Share of replicates whose law stays below the target for good.
        cannot_say: Share of replicates that reach it, but beyond ``REACH`` times the largest n.
        smallest: Smallest n measured; a need that low means "at most".
        verdict: The answer in plain words.
    """

    target: float
    value: float
    low: float
    high: float
    assured: float
    power: float
    never: float
    cannot_say: float
    smallest: float
    verdict: str


def fit_power_law(n: ArrayLike, values: ArrayLike, *, weight: ArrayLike | None = None) -> PowerLaw:
    """Fit y(n) = a - b n^-c by least squares: the exponent on ever finer grids, the rest in closed form, for all rows at once.

    Args:
        n: (P,) patients, above 0, at least ``FEWEST_POINTS`` of them.
        values: (P,) or (B, P) skill in [0, 1].
        weight: (P,) weights, such as one over the variance; None: equal.

    Returns:
        The laws, one per row of values.

    Raises:
        DataError: Too few points, or a number of patients that is not above 0.

    Example:
        >>> n = np.array([8.0, 16, 32, 64])
        >>> law = fit_power_law(n, 0.95 - 0.8 * n**-0.7)
        >>> [round(float(part[0]), 4) for part in (law.a, law.b, law.c)]
        [0.95, 0.8, 0.7]
    """
    size, table = np.asarray(n, dtype=np.float64), np.atleast_2d(np.asarray(values, dtype=np.float64))
    if size.size < FEWEST_POINTS or table.shape[1] != size.size or not (size > 0).all() or not np.isfinite(table).all():
        raise DataError(
            what=f"{size.size} points carry no power law",
            where="Learning curve",
            remedy=f"Measure at {FEWEST_POINTS} or more numbers of patients, all above 0, with a value at each",
        )
    shares = np.ones(size.size) if weight is None else np.asarray(weight, dtype=np.float64)
    shares = shares / shares.sum()
    scaled = size / size.max()

    middle, reach = np.full(len(table), np.log(SMALLEST_RATE * LARGEST_RATE) / 2), np.log(LARGEST_RATE / SMALLEST_RATE) / 2
    rows = np.arange(len(table))
    for _ in range(_ROUNDS):  # a grid around the best exponent so far, ever finer
        grid = np.clip(middle[:, None] + reach * _GRID, np.log(SMALLEST_RATE), np.log(LARGEST_RATE))
        loss = _linear(scaled, table[:, None], shares=shares, rate=np.exp(grid))[2]
        middle, reach = grid[rows, loss.argmin(axis=1)], reach * float(_GRID[1] - _GRID[0])
    rate = np.exp(middle)
    a, b, _ = _linear(scaled, table, shares=shares, rate=rate)
    return PowerLaw(a, b * size.max() ** rate, rate)


def _linear(scaled: Floats, table: Floats, *, shares: Floats, rate: Floats) -> tuple[Floats, Floats, Floats]:
    """Best a <= 1 and b >= 0 for given exponents, and the loss; ``table`` (..., P) and ``rate`` (...) are broadcast."""
    x = scaled ** -rate[..., None]
    middle_x, middle_y = x @ shares, table @ shares
    away = x - middle_x[..., None]
    slope = -((away * table) @ shares) / np.maximum((away * away) @ shares, np.finfo(float).tiny)
    b = np.maximum(slope, 0.0)
    a = middle_y + b * middle_x
    capped = np.maximum((((1 - table) * x) @ shares) / ((x * x) @ shares), 0.0)
    b, a = np.where(a > 1, capped, b), np.minimum(a, 1.0)
    return a, b, ((table - a[..., None] + b[..., None] * x) ** 2) @ shares


def patients_needed(learned: LearningCurve, *, target: float, power: float = 0.8, level: float = 0.95) -> Need:
    """Say how many local patients a target takes, or that the curve cannot tell.

    Args:
        learned: The curve; points without local patients (n = 0) are left out of the fit.
        target: Skill to reach, in (0, 1).
        power: Share of replicates that should reach it, in (0, 1).
        level: Confidence level of the interval, in (0, 1).

    Returns:
        The need, with the shares of "never" and "cannot say".

    Raises:
        ConfigError: The target or the power is outside (0, 1).
        DataError: Too few points.

    Example:
        >>> n = np.array([8.0, 16, 32, 64])
        >>> need = patients_needed(LearningCurve("transfer", "auroc", n, 0.95 - 0.8 * n**-0.7), target=0.92)
        >>> round(need.value, 3), need.verdict
        (108.918, '109 local patients by the fitted law; no interval')
    """
    if not (0 < target < 1 and 0 < power < 1):
        raise ConfigError(
            what=f"Target {target} with power {power} cannot be planned for",
            where="Learning curve",
            remedy="Give both between 0 and 1, such as 0.9 and 0.8",
        )
    given = learned.n > 0
    n, smallest, limit = learned.n[given], float(learned.n[given].min(initial=math.inf)), REACH * float(learned.n.max())
    value = float(np.maximum(_fit(learned, learned.value[None, given]).reaching(target), smallest)[0])
    if learned.draws.shape[0] == 0:
        value = math.nan if limit < value < math.inf else value
        words = _without_interval(value, smallest)
        return Need(target, value, math.nan, math.nan, math.nan, power, math.nan, math.nan, smallest, words)
    drawn = learned.draws[:, given]
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    law = _fit(learned, drawn)
    needed = np.maximum(law.reaching(target), float(n.min()))
    low, high, assured = (float(np.quantile(needed, at, method="higher")) for at in ((1 - level) / 2, (1 + level) / 2, power))
    never, beyond = float(np.isinf(needed).mean()), float((np.isfinite(needed) & (needed > limit)).mean())
    words = _verdict(value, (low, high), never=never, limit=limit, smallest=smallest)
    return Need(target, value, low, high, assured, power, never, beyond, smallest, words)


def _fit(learned: LearningCurve, rows: Floats) -> PowerLaw:
    """Fit with the points weighted by how sure they are."""
    given = learned.n > 0
    if learned.draws.shape[0] < 2:
        return fit_power_law(learned.n[given], rows)
    variance = np.nanvar(learned.draws[:, given], axis=0)
    return fit_power_law(learned.n[given], rows, weight=1 / np.maximum(variance, 1e-3 * max(float(variance.max()), 1e-12)))


def _without_interval(value: float, smallest: float) -> str:
    if math.isnan(value):
        return f"cannot tell: beyond {REACH:g} times the largest n, and no interval"
    if math.isinf(value):
        return "never by the fitted law; no interval"
    return f"{'at most ' if value <= smallest else ''}{math.ceil(value)} local patients by the fitted law; no interval"


def _verdict(value: float, ends: tuple[float, float], *, never: float, limit: float, smallest: float) -> str:
    low, high = ends
    least = f"{'at most ' if low <= smallest else ''}{math.ceil(low)}" if math.isfinite(low) else ""
    if math.isinf(low):
        return "never: the curve levels off below the target"
    if math.isinf(high):
        return f"cannot tell: {least} local patients or more, never in {never:.0%} of replicates"
    if high > limit * REACH:
        return f"cannot tell: {least} to {math.ceil(high):,} local patients"
    return f"{math.ceil(value) if math.isfinite(value) else 'some'} local patients ({least} to {math.ceil(high)})"


def measure_curve(
    arm: str,
    n: ArrayLike,
    *,
    matrices: Sequence[ScoreMatrix],
    specificity: float | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> LearningCurve:
    """Measure a learning curve on the films that all its points have scored.

    Every point sees the same resamples of patients (those with a positive film and those without apart), so replicates of several arms on
    the same films are paired when they share the seed. Training redraws widen each point as ``evaluation.bootstrap`` does.

    Args:
        arm: The arm.
        n: (P,) local patients of each point, ascending.
        matrices: Scores at each point, on the same films in the same order.
        specificity: None: AUROC. Else the best sensitivity of the curve at this specificity or above: a summary, no operating point.
        replicates: Number of resamples; 0 for none.
        seed: Seed of the resamples.

    Returns:
        The curve.

    Raises:
        DataError: The points stand on different films.
    """
    first = matrices[0]
    if any(not np.array_equal(first.sample_id, matrix.sample_id) for matrix in matrices):
        raise DataError(what="The points stand on different films", where=f"Learning curve of {arm}", remedy="Pair the films first")

    def skill(matrix: ScoreMatrix, weight: Floats) -> Floats:
        curves = [curve(matrix.label, row, weight=weight) for row in matrix.scores]
        return np.stack([auroc(one) if specificity is None else sensitivity_at_specificity(one, specificity=specificity) for one in curves])

    shares = [seed_weights(matrix.seed.size, seed=matrix.seed) for matrix in matrices]
    single = [skill(matrix, np.ones((1, matrix.label.size)))[:, 0] for matrix in matrices]
    strata = patient_strata(first.label, first.cluster) if first.label.size else None
    blocks: list[Floats] = [np.zeros((0, len(matrices)))]
    with progress(replicates, label=f"Learning curve of {arm}") as advance:
        for weight in patient_weights(first.cluster, replicates=replicates, seed=seed, strata=strata):
            blocks.append(np.stack([share @ skill(matrix, weight) for share, matrix in zip(shares, matrices, strict=True)], axis=1))
            advance(len(weight))
    draws = np.concatenate(blocks)
    for point, (matrix, values) in enumerate(zip(matrices, single, strict=True)):
        rng = np.random.default_rng([seed, 1, point, *arm.encode()])
        draws[:, point] = widen(draws[:, point], values, seed=matrix.seed, rng=rng, limits=SHARE)
    metric = "auroc" if specificity is None else f"sensitivity at specificity {specificity:g}"
    mean = np.array([float(share @ values) for share, values in zip(shares, single, strict=True)])
    return LearningCurve(arm, metric, np.asarray(n, dtype=np.float64), mean, draws, first.counts)
