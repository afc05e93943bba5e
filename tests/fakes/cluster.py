# SPDX-License-Identifier: Apache-2.0
"""Clustered patients and films for the tests of detection."""

import numpy as np
import pandas as pd
from scipy.special import expit

from medsetu.shift.cohort import Films


def patients(rng: np.random.Generator, count: int, *, columns: int = 1, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw 1 to 4 films of each patient, intraclass correlation 0.6, unit variance."""
    cluster = np.repeat(np.arange(count), rng.integers(1, 5, count))
    shared = rng.normal(size=(count, columns))[cluster] * np.sqrt(0.6)
    return shared + rng.normal(size=(cluster.size, columns)) * np.sqrt(0.4) + shift, cluster


def films(
    side: str, count: int, *, seeds: int = 1, features: int = 0, shift: float = 0.0, facts: dict | None = None, seed: int = 0
) -> Films:
    """Films of one side: scores, features and facts that may have shifted; 1 to 4 films per patient."""
    rng = np.random.default_rng([seed, len(side)])
    values, cluster = patients(rng, count, columns=seeds + features)
    names = np.array([f"{side}/{row:05d}" for row in range(cluster.size)])
    return Films(
        side=side,
        title=side,
        unit="by patient",
        sample_id=names,
        patient=np.array([f"{side} {code:04d}" for code in cluster]),
        label=(cluster % 2).astype(float),
        scores=expit(values[:, :seeds].T + shift),
        seed=np.arange(seeds),
        facts=pd.DataFrame(facts or {}, index=range(cluster.size)),
        features=(values[:, seeds:] + shift).astype(np.float32) if features else None,
    )
