# SPDX-License-Identifier: Apache-2.0
"""May these releases be used for this purpose? A verdict before any computing, with a reason for each release."""

from collections.abc import Sequence
from dataclasses import dataclass

from medsetu.catalog.card import Card
from medsetu.core.errors import ConfigError, LicenceError

USES: dict[str, str] = {
    "research": "research without sale",
    "commercial": "use in or for a product",
    "release_weights": "publishing weights trained on it",
}


@dataclass(frozen=True)
class Clause:
    """What the terms of one release say to one use.

    Attributes:
        release: Name of the release.
        allowed: Whether medsetu goes on.
        licence: SPDX identifier, or the empty string when no licence text is known.
        reason: Why, in a sentence; where allowed, what to confirm or cite.
    """

    release: str
    allowed: bool
    licence: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The answer for all releases of a recipe; an engineering note, not legal advice.

    Attributes:
        use: research, commercial or release_weights.
        clauses: One clause per release, in the order given.
    """

    use: str
    clauses: tuple[Clause, ...]

    @property
    def allowed(self) -> bool:
        """Whether every release permits the use."""
        return all(clause.allowed for clause in self.clauses)

    @property
    def refused(self) -> tuple[Clause, ...]:
        """The clauses that stand against the use."""
        return tuple(clause for clause in self.clauses if not clause.allowed)


def verdict(cards: Sequence[Card], use: str) -> Verdict:
    """Join the terms of several releases for one use.

    An empty licence permits nothing but research, and that only where the card says so. ``ask`` permits research with a note and
    nothing else.

    Args:
        cards: Cards of all releases that take part.
        use: research, commercial or release_weights.

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
    return Verdict(use=use, clauses=tuple(_clause(card, use) for card in cards))


def require(cards: Sequence[Card], use: str) -> Verdict:
    """Return the verdict, or stop when a release forbids the use.

    Args:
        cards: Cards of all releases that take part.
        use: research, commercial or release_weights.

    Returns:
        The verdict, when all permit.

    Raises:
        LicenceError: A release forbids the use, or its terms are not known to permit it.
        ConfigError: The use is not one of the three.
    """
    answer = verdict(cards, use)
    if not answer.allowed:
        first = answer.refused[0]
        raise LicenceError(
            what=f"{len(answer.refused)} of {len(answer.clauses)} releases do not permit {USES[use]}",
            where=f"Release '{first.release}' ({first.licence or 'no licence text known'}): {first.reason}",
            remedy=f"Leave out {', '.join(clause.release for clause in answer.refused)}, or obtain written permission and correct the card",
        )
    return answer


def _clause(card: Card, use: str) -> Clause:
    allowed, reason = _answer(card, use)
    return Clause(release=card.name, allowed=allowed, licence=card.licence or "", reason=reason)


def _answer(card: Card, use: str) -> tuple[bool, str]:
    if card.tombstone:
        return False, card.tombstone
    permission = {"research": card.research_use, "commercial": card.commercial_use, "release_weights": card.weights_release}[use]
    note = card.licence_note or f"Access: {card.access}"
    if permission == "no":
        return False, note
    if use == "research":
        return True, note if permission == "yes" and card.licence else f"Confirm the terms before relying on them: {note}"
    if not card.licence:
        return False, "No licence text is known, and silence is not permission"
    return permission == "yes", note if permission == "yes" else f"The terms known do not clearly permit it: {note}"
