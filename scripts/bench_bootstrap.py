# SPDX-License-Identifier: Apache-2.0
"""Time of 2,000 patient-clustered bootstrap replicates of AUROC: `python scripts/bench_bootstrap.py [--films 100000] [--findings 14]`.

The loop it is compared with resamples patients and calls scikit-learn once per finding and replicate; it is timed on a few replicates and
scaled, because whole it takes an hour.
"""

import argparse
import os
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from medsetu.evaluation.resample import auroc_replicates

Floats = NDArray[np.float64]


def world(films: int, findings: int, *, seed: int = 0) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Films of patients with one to five films, findings of 1 to 20 % prevalence, scores of three decimals (many ties)."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(films), rng.integers(1, 6, films))[:films]
    label = (rng.random((findings, films)) < rng.uniform(0.01, 0.20, (findings, 1))).astype(float)
    score = (1 / (1 + np.exp(-(rng.normal(size=label.shape) + label)))).round(3)
    return label, score, cluster


def loop(label: Floats, score: Floats, cluster: NDArray[np.int64], *, replicates: int, seed: int) -> Floats:
    """What one would write: draw patients, weight their films, call scikit-learn."""
    rng = np.random.default_rng(seed)
    patients = int(cluster.max()) + 1
    found = np.empty((len(label), replicates))
    for step in range(replicates):
        weight = np.bincount(rng.integers(0, patients, patients), minlength=patients)[cluster]
        found[:, step] = [roc_auc_score(truth, values, sample_weight=weight) for truth, values in zip(label, score, strict=True)]
    return found


def main() -> None:
    """Print seconds, the ratio and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("films", 100_000), ("findings", 14), ("replicates", 2000), ("threads", 2), ("loop", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    label, score, cluster = world(given.films, given.findings)
    print(f"{given.findings} findings x {given.films} films of {cluster.max() + 1} patients, {given.replicates} replicates")
    print(f"{os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.1f} before this program began")
    begun, cpu = time.perf_counter(), time.process_time()
    fast = auroc_replicates(label, score, cluster=cluster, replicates=given.replicates, seed=0, threads=given.threads)
    seconds = time.perf_counter() - begun
    print(f"medsetu: {seconds:.1f} s on {given.threads} threads ({time.process_time() - cpu:.1f} s of processor)")
    begun = time.perf_counter()
    slow = loop(label, score, cluster, replicates=given.loop, seed=0)
    scaled = (time.perf_counter() - begun) * given.replicates / given.loop
    print(f"scikit-learn loop: {scaled:.0f} s (timed on {given.loop} replicates, one thread, and scaled)")
    print(f"ratio {scaled / seconds:.0f}, largest difference on the shared replicates {np.abs(fast[:, : given.loop] - slow).max():.1e}")


if __name__ == "__main__":
    main()
