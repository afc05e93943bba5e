# SPDX-License-Identifier: Apache-2.0
"""Ranks with ties: two contestants tie unless they are told apart after Holm over all pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medsetu.contest.duel import Duel
from medsetu.shift.multiplicity import holm


@dataclass(frozen=True)
class Rank:
    """Where a contestant may stand.

    Attributes:
        name: Its name.
        best: Best rank it may have: one more than the contestants that are told to be better.
        worst: Worst rank it may have.
        tied: Contestants that it is not told apart from.
    """

    name: str
    best: int
    worst: int
    tied: tuple[str, ...]

    @property
    def told(self) -> str:
        """The ranks in a word, such as ``1`` or ``1-4``."""
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


def ranks(names: Sequence[str], duels: Sequence[Duel], *, alpha: float) -> list[Rank]:
    """Rank contestants by the pairs that are told apart.

    The ranks ``1 + better`` to ``m - worse`` hold the true ranks of all contestants at once with probability 1 - alpha (Mogstad, Romano,
    Shaikh and Wilhelm, Review of Economic Studies 2024, 91:476-518), because Holm over all pairs does.

    Args:
        names: All contestants.
        duels: One per pair, of the metric that decides.
        alpha: Size of the family of all pairs.

    Returns:
        One rank per contestant, in the order of ``names``.

    Example:
        >>> duel = Duel("a", "b", "auroc", value=0.2, low=0.1, high=0.3, p=0.001)
        >>> [rank.told for rank in ranks(["a", "b"], [duel], alpha=0.05)]
        ['1', '2']
    """
    better = beaten(duels, alpha=alpha)
    found = []
    for name in names:
        above = sum((other, name) in better for other in names)
        below = sum((name, other) in better for other in names)
        tied = tuple(other for other in names if other != name and (other, name) not in better and (name, other) not in better)
        found.append(Rank(name, 1 + above, len(names) - below, tied))
    return found


def beaten(duels: Sequence[Duel], *, alpha: float) -> set[tuple[str, str]]:
    """Pairs (better, worse) that are told apart after Holm over all pairs given."""
    adjusted = holm(np.array([duel.p for duel in duels]))
    return {
        (duel.first, duel.second) if duel.value > 0 else (duel.second, duel.first)
        for duel, p in zip(duels, adjusted, strict=True)
        if p <= alpha and duel.value
    }


def leader(names: Sequence[str], values: Sequence[float]) -> str:
    """Contestant with the largest value; "" where none has one.

    Example:
        >>> leader(["a", "b"], [0.7, 0.8]), leader(["a"], [float("nan")])
        ('b', '')
    """
    known = [(value, name) for name, value in zip(names, values, strict=True) if value == value]
    return max(known, key=lambda one: one[0])[1] if known else ""
