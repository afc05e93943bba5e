# SPDX-License-Identifier: Apache-2.0
"""A gap in parts that add up: the picture's data, Shapley averages over the orders of change, and intervals that hold together."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from medsetu.evaluation.interval import Floats
from medsetu.shift.weigh import simultaneous

SIMULTANEOUS = "each part has its own interval, simultaneous over the parts (max-t); interval ends do not add up"
ORDERS = "parts are Shapley averages over the orders of change; they add up to the gap in every resample"

Coalition = frozenset[str]


@dataclass(frozen=True)
class Part:
    """One step of a waterfall.

    Attributes:
        name: What changed between the sides.
        value: Its share of the gap; NaN where it is not identified or refused.
        low: Lower end, simultaneous over the parts; NaN where there is none.
        high: Upper end.
        verdict: ``""``, ``not identified`` or ``refused: ...``.
        note: Reason or remark.
    """

    name: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    verdict: str = ""
    note: str = ""


@dataclass(frozen=True)
class Waterfall:
    """A gap and its parts; positive is loss on the way from global to local.

    Attributes:
        scale: What is lost: ``AUROC``, ``log loss`` or ``net benefit``.
        parts: Steps in the order they are drawn; the known ones add up to the total.
        total: The gap with its own (not simultaneous) interval.
        start: Value on the global side.
        end: Value on the local side.
        notes: What a reader must know.
        replicate: (J, B) resamples of the known parts, in order; each column adds up to that resample's gap.
        replicate_total: (B,) resampled gaps.
    """

    scale: str
    parts: tuple[Part, ...]
    total: Part
    start: float
    end: float
    notes: tuple[str, ...]
    replicate: Floats = field(default_factory=lambda: np.zeros((0, 0)), repr=False, compare=False)
    replicate_total: Floats = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)


def shapley(players: tuple[str, ...], value: Mapping[Coalition, Floats]) -> Floats:
    """Average contribution of each player over all orders (Shapley 1953).

    Args:
        players: Names.
        value: Worth of every coalition, arrays of one shape.

    Returns:
        (J, ...) contributions; their sum is the worth of all minus the worth of none.

    Example:
        >>> worth = {frozenset(): 0.0, frozenset("a"): 1.0, frozenset("b"): 3.0, frozenset("ab"): 6.0}
        >>> shapley(("a", "b"), worth).tolist()
        [2.0, 4.0]
    """
    count = len(players)
    parts = []
    for player in players:
        others = [name for name in players if name != player]
        terms = [
            math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            * (value[frozenset(chosen) | {player}] - value[frozenset(chosen)])
            for size in range(count)
            for chosen in combinations(others, size)
        ]  # fmt: skip
        parts.append(np.sum(terms, axis=0))
    return np.asarray(parts, dtype=np.float64)


def coalitions(players: tuple[str, ...]) -> list[Coalition]:
    """All sets of players, the empty one first and all of them last.

    Example:
        >>> [sorted(one) for one in coalitions(("a", "b"))]
        [[], ['a'], ['b'], ['a', 'b']]
    """
    return [frozenset(chosen) for size in range(len(players) + 1) for chosen in combinations(players, size)]


def play(players: tuple[str, ...], worth: Callable[[Coalition], Floats]) -> Floats:
    """(J, ...) loss that each player brings, from the worth of every coalition of changes.

    Args:
        players: Names of what changes.
        worth: Value of a measure where higher is better, after a set of changes.

    Returns:
        Shapley parts of (worth of no change) - (worth of all changes).
    """
    return -shapley(players, {coalition: worth(coalition) for coalition in coalitions(players)})


def known_parts(players: tuple[str, ...], value: Floats, *, replicate: Floats, level: float) -> dict[str, Part]:
    """Parts with simultaneous intervals.

    Args:
        players: Names.
        value: (J,) estimates.
        replicate: (J, B) their resamples.
        level: Probability that all intervals hold at once.

    Returns:
        Name to part.
    """
    band = simultaneous(value, replicate, level=level)
    return {
        name: Part(name, float(one), float(low), float(high))
        for name, one, low, high in zip(players, value, band.low, band.high, strict=True)
    }
