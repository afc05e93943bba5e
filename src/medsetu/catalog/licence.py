# SPDX-License-Identifier: Apache-2.0
"""May these releases and weights be used for this purpose? A verdict before any computing, with a reason for each of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from medsetu.catalog.card import Card, load_cards
from medsetu.catalog.weights import WeightCard
from medsetu.core.errors import ConfigError, LicenceError

USES: dict[str, str] = {
    "research": "research without sale",
    "commercial": "use in or for a product",
    "release_weights": "publishing weights trained on it",
}


@dataclass(frozen=True)
class Clause:
    """What the terms of one release, or of one file of weights, say to one use.

    Attributes:
        release: Name of the release or of the weights, or of a release that weights were taught on.
        allowed: Whether medsetu goes on.
        licence: SPDX identifier, or the empty string when no licence text is known.
        reason: Why, in a sentence; where allowed, what to confirm or cite.
        kind: What the name is the name of, for messages.
    """

    release: str
    allowed: bool
    licence: str
    reason: str
    kind: str = "Release"


@dataclass(frozen=True)
class Verdict:
    """The answer for all releases and weights of a recipe; an engineering note, not legal advice.

    Attributes:
        use: research, commercial or release_weights.
        clauses: One clause per release in the order given, then those of the weights.
    """

    use: str
    clauses: tuple[Clause, ...]

    @property
    def allowed(self) -> bool:
        """Whether every release, and all weights, permit the use."""
        return all(clause.allowed for clause in self.clauses)

    @property
    def refused(self) -> tuple[Clause, ...]:
        """The clauses that stand against the use."""
        return tuple(clause for clause in self.clauses if not clause.allowed)


def verdict(cards: Sequence[Card], use: str, *, weights: WeightCard | None = None) -> Verdict:
    """Join the terms of several releases, and of the weights training begins with, for one use.

    An empty licence permits nothing but research, and that only where the card says so. ``ask`` permits research with a note and
    nothing else. Weights are asked for their own licence, and for the terms of every release of the catalogue they were taught on.

    Args:
        cards: Cards of all releases that take part.
        use: research, commercial or release_weights.
        weights: Card of the weights; None for weights drawn at random.

    Returns:
        The verdict.

    Raises:
        ConfigError: The use is not one of the three.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> cards = [load_card("nih_chestxray14"), load_card("nitrd")]
        >>> verdict(cards, "research").allowed, verdict(cards, "commercial").allowed
        (True, False)
    """
    if use not in USES:
        raise ConfigError(what=f"'{use}' is not a use that licences are checked for", where="Key use", value=use, allowed=list(USES))
    inherited = () if weights is None else (_of_weights(weights, use), *_of_their_data(weights, use))
    return Verdict(use=use, clauses=(*(_clause(card, use) for card in cards), *inherited))


def require(cards: Sequence[Card], use: str, *, weights: WeightCard | None = None) -> Verdict:
    """Return the verdict, or stop when a release or the weights forbid the use.

    Args:
        cards: Cards of all releases that take part.
        use: research, commercial or release_weights.
        weights: Card of the weights; None for weights drawn at random.

    Returns:
        The verdict, when all permit.

    Raises:
        LicenceError: A release or the weights forbid the use, or the terms are not known to permit it.
        ConfigError: The use is not one of the three.
    """
    answer = verdict(cards, use, weights=weights)
    if not answer.allowed:
        first = answer.refused[0]
        what = "releases" if weights is None else "releases and weights"
        raise LicenceError(
            what=f"{len(answer.refused)} of {len(answer.clauses)} {what} do not permit {USES[use]}",
            where=f"{first.kind} '{first.release}' ({first.licence or 'no licence text known'}): {first.reason}",
            remedy=f"Leave out {', '.join(clause.release for clause in answer.refused)}, or obtain written permission and correct the card",
        )
    return answer


def joined(cards: Sequence[Card], weights: WeightCard | None) -> dict[str, str]:
    """Say what weights permit that were made from releases and, where given, from other weights.

    Args:
        cards: Cards of the releases they learned from.
        weights: Card of the weights they began with; None for weights drawn at random.

    Returns:
        Use -> ``yes`` where all terms permit it, ``no`` where one forbids it outright, else ``ask``.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> joined([load_card("nih_chestxray14"), load_card("nitrd")], None)
        {'research': 'ask', 'commercial': 'ask', 'release_weights': 'ask'}
    """
    answers, taught_on = {}, _taught_on(weights) if weights else []
    for use in USES:
        words = [_permission(card, use) for card in (*cards, *taught_on)] + ([_permission(weights, use)] if weights else [])
        answers[use] = "no" if "no" in words else "yes" if set(words) == {"yes"} else "ask"
    return answers


def _clause(card: Card, use: str) -> Clause:
    allowed, reason = _answer(card, use)
    return Clause(release=card.name, allowed=allowed, licence=card.licence or "", reason=reason)


def _of_weights(weights: WeightCard, use: str) -> Clause:
    allowed, reason = _judge(_permission(weights, use), licence=weights.weights_licence, note=weights.licence_note, use=use)
    return Clause(release=weights.name, allowed=allowed, licence=weights.weights_licence or "", reason=reason, kind="Weights")


def _of_their_data(weights: WeightCard, use: str) -> list[Clause]:
    clauses = [_clause(card, use) for card in _taught_on(weights)]
    return [replace(clause, kind=f"Weights '{weights.name}' were taught on release") for clause in clauses]


def _taught_on(weights: WeightCard) -> list[Card]:
    return [card for card in load_cards() if card.name in weights.trained_on]


def _permission(card: Card | WeightCard, use: str) -> str | None:
    return {"research": card.research_use, "commercial": card.commercial_use, "release_weights": card.weights_release}[use]


def _answer(card: Card, use: str) -> tuple[bool, str]:
    if card.tombstone:
        return False, card.tombstone
    return _judge(_permission(card, use), licence=card.licence, note=card.licence_note or f"Access: {card.access}", use=use)


def _judge(permission: str | None, *, licence: str | None, note: str, use: str) -> tuple[bool, str]:
    if permission == "no":
        return False, note
    if use == "research":
        return True, note if permission == "yes" and licence else f"Confirm the terms before relying on them: {note}"
    if not licence:
        return False, "No licence text is known, and silence is not permission"
    return permission == "yes", note if permission == "yes" else f"The terms known do not clearly permit it: {note}"
