# SPDX-License-Identifier: Apache-2.0
"""Linear warm-up followed by a half cosine to zero."""

import math


def warmup_cosine(step: int, *, total: int, warmup: float) -> float:
    """Scale of the learning rate at one optimizer step.

    Args:
        step: Zero-based optimizer step.
        total: Number of optimizer steps of the stage.
        warmup: Share of ``total`` that warms up, in [0, 1].

    Returns:
        Factor in (0, 1]: rises linearly to 1, then falls along a half cosine (Loshchilov and Hutter 2017).

    Example:
        >>> [round(warmup_cosine(s, total=10, warmup=0.2), 3) for s in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    rising = max(1, round(total * warmup)) if warmup > 0 else 0
    if step < rising:
        return (step + 1) / rising
    passed = (step - rising) / max(1, total - rising)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, passed)))
