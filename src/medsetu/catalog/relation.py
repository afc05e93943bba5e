# SPDX-License-Identifier: Apache-2.0
"""Which releases share images, also by way of others: TBX11K and the TB database both hold films of Montgomery, so they share these.

A way from one release to another goes down into what a release holds, at most once across to one that overlaps, then up into what
holds that. A way that goes up and then down again proves nothing: two parts of one whole may have no image in common.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from medsetu.catalog.card import OPPOSITES, Card

DOWN, ACROSS, UP = 0, 1, 2
SAME = "same_images"
STEPS = {  # where the images of the other release lie, seen from the card that says it
    "contains": DOWN,
    "relabelled_by": DOWN,
    "derived_from": DOWN,
    "overlaps": ACROSS,
    "contained": UP,
    "relabels": UP,
    "derived_into": UP,
}
GENERIC = ("phantom", "table")  # adapters of made-up and of your own films: two folders of one kind have nothing in common

_WORDS = {
    "contains": "holds films of",
    "contained": "has films in",
    "relabels": "relabels films of",
    "relabelled_by": "has films relabelled in",
    "derived_from": "was made from films of",
    "derived_into": "has films made into",
    SAME: "has the films of",
    "overlaps": "overlaps",
}


@dataclass(frozen=True)
class Relation:
    """Two releases that may share images, by what the catalogue says.

    Attributes:
        release: The one.
        other: The other, as the catalogue names it.
        kind: A key of ``OPPOSITES`` where one card names the other; ``overlaps`` where only a way over others is known.
        by_way_of: Releases between the two; empty where one card names the other.
    """

    release: str
    other: str
    kind: str
    by_way_of: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in words.

        Example:
            >>> str(Relation("tbx11k", "nitrd", "contains"))
            'tbx11k holds films of nitrd'
        """
        if self.by_way_of:
            return f"{self.release} shares films with {self.other} by way of {', '.join(self.by_way_of)}"
        return f"{self.release} {_WORDS[self.kind]} {self.other}"


def relatives(release: str, cards: Iterable[Card]) -> dict[str, Relation]:
    """Find every release that may share images with one.

    Args:
        release: Name in the catalogue; one without a card has no relatives.
        cards: Cards of the catalogue; what one card says of another holds from both ends.

    Returns:
        Other release -> how they are related, on the shortest way.

    Example:
        >>> from medsetu.catalog.card import load_cards
        >>> found = relatives("montgomery", load_cards())
        >>> sorted(found), str(found["tbx11k"])
        (['tb_chest_radiography_database', 'tbx11k'], 'montgomery has films in tbx11k')
    """
    edges = _edges(cards)
    queue: deque[tuple[str, int, tuple[str, ...]]] = deque([(release, DOWN, ())])
    visited = {(release, DOWN)}
    found: dict[str, Relation] = {}
    while queue:
        place, state, way = queue.popleft()
        for other, kind in edges.get(place, {}).items():
            after = state if kind == SAME else _after(state, STEPS[kind])
            if after is None or (other, after) in visited:
                continue
            visited.add((other, after))
            if other != release and other not in found:
                found[other] = Relation(release, other, kind if not way else "overlaps", way)
            queue.append((other, after, (*way, other)))
    return found


def catalogue_name(name: str, kind: str, cards: Iterable[Card]) -> str:
    """Name a release of a recipe as the catalogue does: by its own name where it has a card, else by its adapter.

    Args:
        name: Name in the recipe.
        kind: Stem of its adapter.
        cards: Cards of the catalogue.

    Returns:
        Name of the card; the own name where the adapter says nothing of what the films are.

    Example:
        >>> from medsetu.catalog.card import load_cards
        >>> cards = load_cards()
        >>> [catalogue_name(*pair, cards) for pair in (("nih_part", "nih_chestxray14"), ("india", "table"))]
        ['nih_chestxray14', 'india']
    """
    known = {card.name for card in cards}
    return kind if name not in known and kind in known and kind not in GENERIC else name


def related_pairs(names: Mapping[str, str], cards: Sequence[Card]) -> list[Relation]:
    """Find the releases of a study that may share images.

    Args:
        names: Name in the recipe -> name in the catalogue.
        cards: Cards of the catalogue.

    Returns:
        Relations between names of the recipe, each pair once, the earlier name first.

    Example:
        >>> from medsetu.catalog.card import load_cards
        >>> names = {name: name for name in ("tbx11k", "shenzhen", "nitrd")}
        >>> [str(pair) for pair in related_pairs(names, load_cards())]
        ['tbx11k holds films of shenzhen', 'tbx11k holds films of nitrd']
    """
    known = {name: relatives(name, cards) for name in dict.fromkeys(names.values())} if len(names) > 1 else {}
    pairs = []
    for one, other in combinations(names, 2):
        if names[one] == names[other]:
            pairs.append(Relation(one, other, SAME))
        elif found := known[names[one]].get(names[other]):
            pairs.append(Relation(one, other, found.kind, found.by_way_of))
    return pairs


def _after(state: int, step: int) -> int | None:
    """State after a step; None where the way would go down again, or across twice."""
    return step if step > state or step == state != ACROSS else None


def _edges(cards: Iterable[Card]) -> dict[str, dict[str, str]]:
    edges: dict[str, dict[str, str]] = {}
    for card in cards:
        for overlap in card.overlaps:
            edges.setdefault(card.name, {})[overlap.release] = overlap.kind
            edges.setdefault(overlap.release, {}).setdefault(card.name, OPPOSITES[overlap.kind])
    return edges
