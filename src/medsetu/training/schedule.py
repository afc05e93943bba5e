# SPDX-License-Identifier: Apache-2.0
"""Linear warm-up followed by a half cosine to zero, once or once per phase."""

import math
from collections.abc import Sequence


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


def phased_cosine(step: int, *, phases: Sequence[tuple[int, float]], warmup: float) -> float:
    """Scale of the learning rate at one optimizer step of a stage with phases, each with its own warm-up and decay.

    Args:
        step: Zero-based optimizer step.
        phases: Number of optimizer steps and peak of each phase, in order; none is empty.
        warmup: Share of each phase that warms up, in [0, 1].

    Returns:
        Factor: that of ``warmup_cosine`` within the phase, times its peak; 0 after the last phase.

    Example:
        >>> [round(phased_cosine(s, phases=[(4, 1.0), (2, 0.1)], warmup=0.5), 3) for s in range(7)]
        [0.5, 1.0, 1.0, 0.5, 0.1, 0.1, 0.0]
    """
    for steps, peak in phases:
        if step < steps:
            return peak * warmup_cosine(step, total=steps, warmup=warmup)
        step -= steps
    return 0.0
