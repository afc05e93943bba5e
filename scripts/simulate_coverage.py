# SPDX-License-Identifier: Apache-2.0
"""Coverage and width of medsetu's intervals by simulation: `python scripts/simulate_coverage.py [--cohorts 4000] [--seed 0]`.

Binormal scores. The intervals are those of the package, fed with thousands of cohorts of one design as rows of one score matrix.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom, norm

from medsetu.evaluation.bootstrap import patient_weights, percentile
from medsetu.evaluation.curve import auroc, curve
from medsetu.evaluation.interval import auroc_interval, mover, wilson
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.evaluation.proportion import clustered_ratio

Floats = NDArray[np.float64]
Ends = tuple[Floats, Floats]
SINGLE = (
    (25, 25, 0.75),
    (25, 25, 0.90),
    (25, 25, 0.98),
    (26, 26, 0.95),
    (10, 40, 0.95),
    (20, 180, 0.98),
    (25, 225, 0.98),
    (50, 50, 0.90),
    (50, 50, 0.98),
    (100, 100, 0.98),
)
Sampler = Callable[[np.random.Generator, int], Ends]


@dataclass(frozen=True)
class Cell:
    """One design: how its intervals are drawn, and what they should cover."""

    name: str
    truth: float
    sample: Sampler


@dataclass(frozen=True)
class Outcome:
    """Share of cohorts whose interval holds the truth, and its mean width."""

    name: str
    truth: float
    coverage: float
    width: float


def run(cell: Cell, *, cohorts: int, seed: int) -> Outcome:
    """Draw cohorts of one design in blocks and count how often the interval holds the truth."""
    rng = np.random.default_rng([seed, *cell.name.encode()])
    parts = [cell.sample(rng, min(1000, cohorts - start)) for start in range(0, cohorts, 1000)]
    low, high = (np.concatenate([part[end] for part in parts]) for end in (0, 1))
    inside = (low <= cell.truth + 1e-12) & (cell.truth - 1e-12 <= high)
    return Outcome(cell.name, cell.truth, float(inside.mean()), float((high - low).mean()))


def separation(area: float) -> float:
    """Distance of the two normal score laws whose AUROC is ``area``."""
    return float(np.sqrt(2) * ndtri(area))


def ends_of(parts: list[KernelParts]) -> tuple[Floats, Floats, Ends]:
    """AUROC, its variance and its interval for every cohort; ``parts`` holds the same cohorts once per seed."""
    mean = averaged(parts)
    by_seed = np.stack([part.auroc for part in parts])
    count = len(parts)
    extra = by_seed.var(axis=0, ddof=1) / count if count > 1 else np.zeros(mean.auroc.size)
    classes = (mean.positive_patients, mean.negative_patients)
    ends = auroc_interval(mean.auroc, mean.variance(), df=mean.degrees(), classes=classes, spread=(extra, count - 1))
    return mean.auroc, mean.variance() + extra, ends


def averaged(parts: list[KernelParts]) -> KernelParts:
    """Average the kernels of several seeds, cohort by cohort."""
    fields = {name: np.mean([getattr(part, name) for part in parts], axis=0) for name in ("auroc", "positive", "negative")}
    return replace(parts[0], **fields)


def single(positives: int, negatives: int, area: float) -> Cell:
    """One film per patient."""
    label = np.r_[np.ones(positives), np.zeros(negatives)]

    def sample(rng: np.random.Generator, rows: int) -> Ends:
        scores = rng.normal(size=(rows, label.size)) + separation(area) * label
        return ends_of([kernel_parts(label, scores)])[2]

    return Cell(f"single {positives}+{negatives} AUROC {area}", area, sample)


def clustered(patients: int, area: float, *, mixed: bool, image_level: bool = False, method: str = "obuchowski") -> Cell:
    """One to four films per patient, intraclass correlation 0.6; ``mixed``: half of the patients hold films of both classes."""
    size = 1 + np.arange(2 * patients) % 4
    cluster = np.repeat(np.arange(2 * patients), size)
    label = (cluster % 8 < 4).astype(float)  # every size in both classes
    if mixed:
        within = np.concatenate([np.arange(count) for count in size])
        label = np.where((cluster % 16 < 8) & (within % 2 == 1), 1 - label, label)

    def sample(rng: np.random.Generator, rows: int) -> Ends:
        shared = rng.normal(size=(rows, 2 * patients))[:, cluster] * np.sqrt(0.6)
        scores = shared + rng.normal(size=(rows, label.size)) * np.sqrt(0.4) + separation(area) * label
        if method == "percentile":
            return percentile_ends(label, scores, cluster=cluster, rng=rng)
        return ends_of([kernel_parts(label, scores, cluster=None if image_level else cluster)])[2]

    name = f"clustered {patients}+{patients} AUROC {area}{' mixed' if mixed else ''}"
    kind = "image level" if image_level else method
    return Cell(f"{name}, {kind}", mixed_truth(label, cluster, area) if mixed else area, sample)


def mixed_truth(label: Floats, cluster: NDArray[np.int64], area: float) -> float:
    """Expected AUROC where some pairs of films belong to one patient: their difference varies less."""
    same = sum(float(label[cluster == code].sum() * (1 - label[cluster == code]).sum()) for code in np.unique(cluster))
    pairs = float(label.sum() * (1 - label).sum())
    return float(area * (1 - same / pairs) + norm.cdf(separation(area) / np.sqrt(0.8)) * same / pairs)


def percentile_ends(label: Floats, scores: Floats, *, cluster: NDArray[np.int64], rng: np.random.Generator) -> Ends:
    """Percentile intervals of the patient bootstrap, 400 replicates, one cohort after the other."""
    found = []
    for row in scores:
        weight = np.concatenate(list(patient_weights(cluster, replicates=400, seed=int(rng.integers(2**31)))))
        found.append(percentile(auroc(curve(label, row, weight=weight)), level=0.95)[0])
    ends = np.array(found)
    return ends[:, 0], ends[:, 1]


def seeded(positives: int, area: float, *, seeds: int, wobble: float) -> Cell:
    """Several training seeds on the same patients: the separation of each seed varies by ``wobble``."""
    label = np.r_[np.ones(positives), np.zeros(positives)]

    def sample(rng: np.random.Generator, rows: int) -> Ends:
        return ends_of(seed_parts(rng, rows, label, gap=separation(area), seeds=seeds, wobble=wobble))[2]

    # the separation is normal with sd `wobble`: E[cdf(d / sqrt(2))] = cdf(gap / sqrt(2 + wobble^2))
    truth = float(norm.cdf(separation(area) / np.sqrt(2 + wobble**2)))
    return Cell(f"{seeds} seeds, {positives}+{positives} AUROC {area}, seed sd {wobble}", truth, sample)


def seed_parts(rng: np.random.Generator, rows: int, label: Floats, *, gap: float, seeds: int, wobble: float) -> list[KernelParts]:
    """Kernel parts of each seed: 80 % of the score's variance belongs to the film, 20 % to the seed."""
    film = rng.normal(size=(rows, label.size)) * np.sqrt(0.8)
    found = []
    for _ in range(seeds):
        own = gap + wobble * rng.normal(size=(rows, 1))
        found.append(kernel_parts(label, film + rng.normal(size=film.shape) * np.sqrt(0.2) + own * label))
    return found


def paired(positives: int, area_a: float, area_b: float, *, correlation: float = 0.55) -> Cell:
    """Difference of two models on the same films."""
    label = np.r_[np.ones(positives), np.zeros(positives)]

    def sample(rng: np.random.Generator, rows: int) -> Ends:
        film = rng.normal(size=(rows, label.size)) * np.sqrt(correlation)
        parts = [
            kernel_parts(label, film + rng.normal(size=film.shape) * np.sqrt(1 - correlation) + separation(area) * label)
            for area in (area_a, area_b)
        ]
        return difference_ends([parts[0]], [parts[1]], pair=True)

    return Cell(f"paired {positives}+{positives} AUROC {area_a} v {area_b}", area_a - area_b, sample)


def paired_seeds(positives: int, area_a: float, area_b: float, *, seeds: int, wobble: float) -> Cell:
    """Difference of two arms with several seeds each."""
    label = np.r_[np.ones(positives), np.zeros(positives)]

    def sample(rng: np.random.Generator, rows: int) -> Ends:
        film = rng.normal(size=(rows, label.size)) * np.sqrt(0.55)
        arms = []
        for area in (area_a, area_b):
            shared = film + rng.normal(size=film.shape) * np.sqrt(0.25)
            gap = [separation(area) + wobble * rng.normal(size=(rows, 1)) for _ in range(seeds)]
            arms.append([kernel_parts(label, shared + rng.normal(size=film.shape) * np.sqrt(0.2) + one * label) for one in gap])
        return difference_ends(arms[0], arms[1], pair=True)

    truth = [float(norm.cdf(separation(area) / np.sqrt(2 + wobble**2))) for area in (area_a, area_b)]
    return Cell(f"paired, {seeds} seeds, {positives}+{positives} AUROC {area_a} v {area_b}, seed sd {wobble}", truth[0] - truth[1], sample)


def gap(sizes: tuple[int, int], area_a: float, area_b: float) -> Cell:
    """Difference between two sides with disjoint films."""
    labels = [np.r_[np.ones(size), np.zeros(size)] for size in sizes]

    def sample(rng: np.random.Generator, rows: int) -> Ends:
        parts = [
            [kernel_parts(label, rng.normal(size=(rows, label.size)) + separation(area) * label)]
            for label, area in zip(labels, (area_a, area_b), strict=True)
        ]
        return difference_ends(parts[0], parts[1], pair=False)

    return Cell(f"gap {sizes[0]}+{sizes[0]} v {sizes[1]}+{sizes[1]} AUROC {area_a} v {area_b}", area_a - area_b, sample)


def difference_ends(a: list[KernelParts], b: list[KernelParts], *, pair: bool) -> Ends:
    """MOVER as in ``medsetu.evaluation.delong.difference_from``, cohort by cohort."""
    (value_a, variance_a, ends_a), (value_b, variance_b, ends_b) = ends_of(a), ends_of(b)
    shared = averaged(a).row_covariance(averaged(b)) if pair else np.zeros(value_a.size)
    if len(a) > 1:
        by_seed = [np.stack([part.auroc for part in parts]) for parts in (a, b)]
        centred = [values - values.mean(axis=0) for values in by_seed]
        shared = shared + (centred[0] * centred[1]).sum(axis=0) / (len(a) - 1) / len(a)
    scale = np.sqrt(variance_a * variance_b)
    rho = np.clip(np.divide(shared, scale, out=np.zeros_like(scale), where=scale > 0), -1, 1)
    return mover(value_a, ends_a, value_b=value_b, interval_b=ends_b, correlation=rho)


def clustered_share(patients: int, share: float) -> Cell:
    """Sensitivity over patients with one to four films, intraclass correlation 0.6 on the score."""
    size = 1 + np.arange(patients) % 4
    cluster = np.repeat(np.arange(patients), size)

    def sample(rng: np.random.Generator, rows: int) -> Ends:
        score = rng.normal(size=(rows, patients))[:, cluster] * np.sqrt(0.6) + rng.normal(size=(rows, cluster.size)) * np.sqrt(0.4)
        called = (score <= ndtri(share)).astype(float)
        ends = np.array([clustered_ratio(row, np.ones(cluster.size), cluster=cluster).interval() for row in called])
        return ends[:, 0], ends[:, 1]

    return Cell(f"share {share} over {patients} patients with 1-4 films, wilson at effective size", share, sample)


def wilson_mean_coverage(total: int) -> float:
    """Exact coverage of the Wilson interval, mean over p = 0.01 ... 0.99."""
    count = np.arange(total + 1)
    low, high = wilson(count, np.full(total + 1, total))
    grid = np.arange(1, 100) / 100
    return float(np.mean([binom.pmf(count, total, p)[(low <= p) & (p <= high)].sum() for p in grid]))


def grid() -> Iterator[Cell]:
    """The designs of the published table, the clustered ones, several seeds, and the differences."""
    for design in SINGLE:
        yield single(*design)
    for area in (0.75, 0.90, 0.95):
        for mixed in (False, True):
            yield clustered(25, area, mixed=mixed)
    yield clustered(60, 0.90, mixed=False)
    yield clustered(60, 0.90, mixed=True)
    yield clustered(25, 0.90, mixed=False, image_level=True)
    yield clustered(25, 0.90, mixed=False, method="percentile")
    for seeds, wobble in ((3, 0.0), (3, 0.2), (3, 0.5), (5, 0.2), (5, 0.5)):
        yield seeded(50, 0.85, seeds=seeds, wobble=wobble)
    yield paired(25, 0.93, 0.93)
    yield paired(25, 0.98, 0.95)
    yield paired(100, 0.93, 0.90)
    for seeds, wobble in ((3, 0.0), (3, 0.3), (5, 0.3)):
        yield paired_seeds(52, 0.88, 0.85, seeds=seeds, wobble=wobble)
    yield gap((25, 25), 0.95, 0.90)
    yield gap((100, 26), 0.95, 0.90)
    yield gap((200, 100), 0.95, 0.90)
    for share in (0.7, 0.9, 0.97):
        yield clustered_share(30, share)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(f"nominal 95 %, {chosen.cohorts} cohorts per cell, Monte-Carlo error {100 * np.sqrt(0.05 * 0.95 / chosen.cohorts):.1f} points\n")
    print("| design | truth | coverage % | mean width |\n|---|---|---|---|")
    for cell in grid():
        found = run(cell, cohorts=chosen.cohorts, seed=chosen.seed)
        print(f"| {found.name} | {found.truth:.3f} | {100 * found.coverage:.1f} | {found.width:.3f} |", flush=True)
    for total in (20, 26, 52, 104):
        print(f"| wilson, n = {total}, mean over p = 0.01 ... 0.99 (exact) | | {100 * wilson_mean_coverage(total):.1f} | |")


if __name__ == "__main__":
    main()
