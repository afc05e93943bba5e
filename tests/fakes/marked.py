# SPDX-License-Identifier: Apache-2.0
"""Films as arrays: lungs, disease inside them, and a white marker between them that may go with the label; and a linear network."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from medsetu.shift.cohort import Films
from medsetu.shift.occlusion import ALTERATIONS, lung_template

SIDE = 64  # pixels
MARKER = (slice(49, 53), slice(28, 36))


def films(rng: np.random.Generator, *, n: int, marked: float = 0.5, disease: float = 0.04) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels and films; ``marked`` is the share of positives with a marker, one minus it that of negatives."""
    label = np.arange(n) % 2.0
    pixels = 0.6 + 0.03 * rng.normal(size=(n, SIDE, SIDE))
    pixels[:, lung_template((SIDE, SIDE))] -= 0.3
    place = np.zeros((SIDE, SIDE))
    place[16:28, 12:24] = 1
    pixels += disease * (label + 0.7 * rng.normal(size=n))[:, None, None] * place
    has = rng.random(n) < np.where(label == 1, marked, 1 - marked)
    pixels[np.ix_(has, range(*MARKER[0].indices(SIDE)), range(*MARKER[1].indices(SIDE)))] = 1.0
    return label, np.clip(pixels, 0, 1).astype(np.float32)


def features(pixels: np.ndarray) -> np.ndarray:
    """(n, 256) means of 4 x 4 blocks."""
    return pixels.reshape(len(pixels), 16, 4, 16, 4).mean(axis=(2, 4)).reshape(len(pixels), 256)


def probed(*, marked: float, seeds: int = 1, n: int = 240, side: str = "global") -> tuple[Films, Mapping[str, np.ndarray]]:
    """Train a linear network on one draw, score another one as it is and under every alteration."""
    label, pixels = films(np.random.default_rng(99), n=n, marked=marked)
    networks = []
    for seed in range(seeds):
        taught, lesson = films(np.random.default_rng(seed), n=400, marked=marked)
        networks.append(LogisticRegression(C=1.0, max_iter=2000).fit(features(lesson), taught))
    scores = {
        name: np.stack([network.predict_proba(features(np.stack([alter(film) for film in pixels])))[:, 1] for network in networks])
        for name, alter in ALTERATIONS.items()
    }
    return of_arrays(label, scores["as it is"], side=side), {name: table for name, table in scores.items() if name != "as it is"}


def of_arrays(label, scores, *, side="global", patient=None, facts=None, features=None) -> Films:
    """Wrap arrays as films."""
    n = len(label)
    scores = np.atleast_2d(scores)
    return Films(
        side=side,
        title=side,
        unit="by patient",
        sample_id=np.array([f"{side}/{number:05d}" for number in range(n)]),
        patient=np.array([f"{side}-{code}" for code in (range(n) if patient is None else patient)]),
        label=np.asarray(label, dtype=np.float64),
        scores=scores,
        seed=np.arange(len(scores)),
        facts=pd.DataFrame(index=range(n)) if facts is None else facts,
        features=features,
    )
