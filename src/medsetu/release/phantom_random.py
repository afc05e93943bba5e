# SPDX-License-Identifier: Apache-2.0
"""Random draws of the phantom: one seeded stream per aspect, so that changing one knob leaves every other draw as it was."""

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def stream(seed: int, *keys: str | int) -> np.random.Generator:
    """Open the random stream of one aspect.

    Args:
        seed: Seed of the cohort, 0 or above.
        keys: What the stream is for, such as ``("global", "pose", patient, study)``; each combination is independent of all others.

    Returns:
        A generator that starts anew at each call.

    Example:
        >>> bool(stream(0, "age").random() == stream(0, "age").random()), bool(stream(0, "age").random() == stream(0, "sex").random())
        (True, False)
    """
    numbers = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *numbers])))


@lru_cache(maxsize=64)
def _rise(knots: int, size: int) -> NDArray[np.float32]:
    """Weights of linear interpolation from evenly spaced knots to pixels, shape (size, knots)."""
    place = (np.arange(size) + 0.5) / size * (knots - 1)
    weights = 1.0 - np.abs(place[:, None] - np.arange(knots))
    return np.clip(weights, 0.0, None).astype(np.float32)


def smooth_noise(generator: np.random.Generator, *, size: int, knots: tuple[int, ...], roughness: float = 0.7) -> NDArray[np.float32]:
    """Draw smooth anatomical noise: octaves of bilinear noise whose amplitude falls with frequency.

    The draws depend on ``knots`` only, never on ``size``: the same noise at any matrix size.

    Args:
        generator: Random stream.
        size: Pixels per side.
        knots: Knots per side of each octave, coarse to fine.
        roughness: Amplitude ratio from one octave to the next, in (0, 1].

    Returns:
        Shape (size, size), mean about 0, standard deviation about 1.

    Example:
        >>> smooth_noise(stream(0, "noise"), size=8, knots=(3, 5)).shape
        (8, 8)
    """
    total = np.zeros((size, size), dtype=np.float32)
    power = 0.0
    for octave, count in enumerate(knots):
        field = generator.standard_normal((count, count), dtype=np.float32)
        rise = _rise(count, size)
        total += roughness**octave * (rise @ field @ rise.T)
        power += roughness ** (2 * octave) * 4 / 9  # variance that bilinear interpolation leaves of white knots
    return total / np.float32(np.sqrt(power))
