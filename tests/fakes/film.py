# SPDX-License-Identifier: Apache-2.0
"""A picture that is no person: a grey chest-like oval, with a bright disc where a finding is planted."""

import numpy as np

SENTINEL = "ZZ^SENTINEL"  # the planted patient: no log, table or error may ever hold it


def film(rng: np.random.Generator, *, spots=(), size=(64, 64), brightness=0.0, noise=0.03) -> np.ndarray:
    """Paint a film in [0, 1]; ``spots`` are places from 0 to 15 on a 4 x 4 grid, ``brightness`` is the planted shift."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    u, v = (x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5
    picture = 0.6 - 0.35 * ((u / 0.35) ** 2 + (v / 0.42) ** 2 < 1)
    for spot in spots:
        row, column = divmod(int(spot) % 16, 4)
        picture = picture + 0.4 * ((u - (column - 1.5) / 5) ** 2 + (v - (row - 1.5) / 5) ** 2 < 0.008)
    return np.clip(picture + brightness + rng.normal(0.0, noise, size), 0.0, 1.0)


def eight_bit(picture: np.ndarray) -> np.ndarray:
    """Turn [0, 1] into uint8."""
    return np.round(picture * 255).astype(np.uint8)
