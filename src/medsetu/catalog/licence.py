# SPDX-License-Identifier: Apache-2.0
"""May these releases and weights be used for this purpose? A verdict before any computing, with a reason for each of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from medsetu.catalog.card import Card, load_cards
from medsetu.catalog.clause import against, duties, irreconcilable
from medsetu.catalog.weights import WeightCard
from medsetu.core.errors import ConfigError, LicenceError

USES: dict[str, str] = {
    "research": "research without sale",
    "commercial": "use in or for a product",
    "release_weights": "publishing weights trained on it",
    "share_tables": "passing on tables about its single images, such as manifests and scores",
}
WEIGHT_USES = ("research", "commercial", "release_weights")  # terms of weights do not reach tables about the images
_NOT_TOGETHER = "all of them together"


@dataclass(frozen=True)
class Clause:
    """What the terms of one release, or of one file of weights, say to one use.

    Attributes:
        release: Name of the release or of the weights, or of a release that weights were taught on.
        allowed: Whether medsetu goes on.
        licence: SPDX identifier, or the empty string when no licence text is known.
        reason: Why, in a sentence; where allowed, what to confirm or cite.
        kind: What the name is the name of, for messages.
        duties: What the licence asks in return, and what stays with all that is made; empty where the use is refused.
    """

    release: str
    allowed: bool
    licence: str
    reason: str
    kind: str = "Release"
    duties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The answer for all releases and weights of a recipe; an engineering note, not legal advice.

    Attributes:
        use: A key of ``USES``.
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

    @property
    def duties(self) -> tuple[str, ...]:
        """What the licences ask in return, each once."""
        return tuple(dict.fromkeys(duty for clause in self.clauses for duty in clause.duties))


def verdict(cards: Sequence[Card], use: str, *, weights: WeightCard | None = None) -> Verdict:
    """Join the terms of several releases, and of the weights training begins with, for one use.

    An empty licence permits nothing but research, and that only where the card says so. ``ask`` permits research with a note and
    nothing else. Weights are asked for their own licence, and for the terms of every release of the catalogue they were taught on.
    What is made from releases of which two share alike under different licences cannot be passed on at all.

    Args:
        cards: Cards of all releases that take part.
        use: A key of ``USES``.
        weights: Card of the weights; None for weights drawn at random.

    Returns:
        The verdict.

    Raises:
        ConfigError: The use is none of them.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> cards = [load_card("nih_chestxray14"), load_card("nitrd")]
        >>> verdict(cards, "research").allowed, verdict(cards, "commercial").allowed
        (True, False)
    """
    if use not in USES:
        raise ConfigError(what=f"'{use}' is not a use that licences are checked for", where="Key use", value=use, allowed=list(USES))
    inherited = () if weights is None or use not in WEIGHT_USES else (_of_weights(weights, use), *_of_their_data(weights, use))
    clauses = (*(_clause(card, use) for card in cards), *inherited)
    return Verdict(use=use, clauses=(*clauses, *_together(clauses, use)))


def require(cards: Sequence[Card], use: str, *, weights: WeightCard | None = None) -> Verdict:
    """Return the verdict, or stop when a release or the weights forbid the use.

    Args:
        cards: Cards of all releases that take part.
        use: A key of ``USES``.
        weights: Card of the weights; None for weights drawn at random.

    Returns:
        The verdict, when all permit.

    Raises:
        LicenceError: A release or the weights forbid the use, or the terms are not known to permit it.
        ConfigError: The use is none of them.
    """
    answer = verdict(cards, use, weights=weights)
    if not answer.allowed:
        told = [f"{one.kind} '{one.release}' ({one.licence or 'no licence text known'}): {one.reason}" for one in answer.refused]
        what = "releases" if weights is None else "releases and weights"
        names = dict.fromkeys(clause.release for clause in answer.refused if clause.release != _NOT_TOGETHER)
        raise LicenceError(
            what=f"{len(answer.refused)} of {len(answer.clauses)} {what} do not permit {USES[use]}",
            where="; ".join(part.rstrip(".") for part in told),
            remedy=f"Leave out {', '.join(names) or 'one of them'}, or obtain written permission and correct the card",
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
    for use in WEIGHT_USES:
        words = [_permission(card, use) for card in (*cards, *taught_on)] + ([_permission(weights, use)] if weights else [])
        answers[use] = "no" if "no" in words else "yes" if set(words) == {"yes"} else "ask"
    if irreconcilable(_licences(cards, weights)):
        answers["release_weights"] = "no"
    return answers


def stated(cards: Sequence[Card], weights: WeightCard | None) -> tuple[str, ...]:
    """State the clauses that stay with weights made from releases and, where given, from other weights.

    Args:
        cards: Cards of the releases they learned from.
        weights: Card of the weights they began with; None for weights drawn at random.

    Returns:
        Clauses, each once, as ``medsetu.catalog.clause`` names them.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> [text.partition(":")[0] for text in stated([load_card("tbx11k")], None)][1:]
        ['NonCommercial, section 2(a)(1) of CC-BY-NC-SA-4.0', 'ShareAlike, section 3(b) of CC-BY-NC-SA-4.0']
    """
    return tuple(dict.fromkeys(duty for licence in _licences(cards, weights) for duty in duties(licence, "research")))


def _licences(cards: Sequence[Card], weights: WeightCard | None) -> list[str | None]:
    own = [] if weights is None else [weights.weights_licence, *[card.licence for card in _taught_on(weights)]]
    return [*[card.licence for card in cards], *own]


def _together(clauses: Sequence[Clause], use: str) -> list[Clause]:
    """The clause against passing on what was made under two share-alike licences."""
    both = irreconcilable(clause.licence for clause in clauses) if use in ("release_weights", "share_tables") else ()
    reason = f"ShareAlike: each of {' and '.join(both)} asks that what is adapted bears its own name, and nothing can bear both"
    return [Clause(release=_NOT_TOGETHER, allowed=False, licence=", ".join(both), reason=reason, kind="Licences of")] if both else []


def _clause(card: Card, use: str) -> Clause:
    allowed, reason = _answer(card, use)
    return Clause(
        release=card.name, allowed=allowed, licence=card.licence or "", reason=reason, duties=duties(card.licence, use) if allowed else ()
    )


def _of_weights(weights: WeightCard, use: str) -> Clause:
    allowed, reason = _judge(_permission(weights, use), licence=weights.weights_licence, note=weights.licence_note, use=use)
    asked = duties(weights.weights_licence, use) if allowed else ()
    return Clause(release=weights.name, allowed=allowed, licence=weights.weights_licence or "", reason=reason, kind="Weights", duties=asked)


def _of_their_data(weights: WeightCard, use: str) -> list[Clause]:
    clauses = [_clause(card, use) for card in _taught_on(weights)]
    return [replace(clause, kind=f"Weights '{weights.name}' were taught on release") for clause in clauses]


def _taught_on(weights: WeightCard) -> list[Card]:
    return [card for card in load_cards() if card.name in weights.trained_on]


def _permission(card: Card | WeightCard, use: str) -> str | None:
    if use == "share_tables":
        return card.tables_release if isinstance(card, Card) else None
    return {"research": card.research_use, "commercial": card.commercial_use, "release_weights": card.weights_release}[use]


def _answer(card: Card, use: str) -> tuple[bool, str]:
    if card.tombstone:
        return False, card.tombstone
    return _judge(_permission(card, use), licence=card.licence, note=card.licence_note or f"Access: {card.access}", use=use)


def _judge(permission: str | None, *, licence: str | None, note: str, use: str) -> tuple[bool, str]:
    told = f"{named}. {note}" if (named := against(licence, use)) else note
    if permission == "no":
        return False, told
    if use == "research":
        return True, note if permission == "yes" and licence else f"Confirm the terms before relying on them: {note}"
    if not licence:
        return False, "No licence text is known, and silence is not permission"
    return permission == "yes", told if permission == "yes" else f"The terms known do not clearly permit it: {told}"
