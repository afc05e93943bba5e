# SPDX-License-Identifier: Apache-2.0
"""Clauses of Creative Commons licences: which one forbids a use, and what those that permit it ask in return."""

import re
from collections.abc import Iterable, Sequence

_CC = re.compile(r"CC-BY((?:-(?:NC|ND|SA))*)-(\d\.\d)")
_NAMES = {"BY": "Attribution", "NC": "NonCommercial", "ND": "NoDerivatives", "SA": "ShareAlike"}
_SECTIONS_4 = {"BY": "3(a)", "NC": "2(a)(1)", "ND": "2(a)(1)(B)", "SA": "3(b)"}  # equal in all licences of version 4.0 that have the clause
_SAYS = {
    "BY": "name the authors, the licence and what was changed, wherever it is shared",
    "NC": "use for commercial advantage or payment is not permitted",
    "ND": "what is adapted from it may be made, but not shared",
    "SA": "what is adapted from it may be shared under the same licence only",
}


def elements(licence: str | None) -> tuple[str, ...]:
    """Read the elements of a Creative Commons licence; none for any other.

    Example:
        >>> elements("CC-BY-NC-SA-4.0"), elements("CC-BY-4.0"), elements("Apache-2.0"), elements(None)
        (('BY', 'NC', 'SA'), ('BY',), (), ())
    """
    match = _CC.fullmatch(licence or "")
    return ("BY", *[part for part in match.group(1).split("-") if part]) if match else ()


def clause(licence: str | None, element: str) -> str:
    """Name a clause of a licence, with its section where versions are known to agree on it.

    Args:
        licence: SPDX identifier.
        element: BY, NC, ND or SA.

    Returns:
        Its name and what it says; empty when the licence has no such clause.

    Example:
        >>> clause("CC-BY-NC-SA-4.0", "NC")
        'NonCommercial, section 2(a)(1) of CC-BY-NC-SA-4.0: use for commercial advantage or payment is not permitted'
        >>> clause("CC-BY-3.0", "BY")
        'Attribution of CC-BY-3.0: name the authors, the licence and what was changed, wherever it is shared'
        >>> clause("CC-BY-4.0", "NC")
        ''
    """
    if element not in elements(licence):
        return ""
    section = f", section {_SECTIONS_4[element]}" if str(licence).endswith("-4.0") else ""
    return f"{_NAMES[element]}{section} of {licence}: {_SAYS[element]}"


def against(licence: str | None, use: str) -> str:
    """Name the clause that stands against a use; empty when none of the licence does.

    Whether weights, or a table of scores, are adapted material is not settled; so NoDerivatives stands against sharing either.

    Args:
        licence: SPDX identifier.
        use: A use of ``medsetu.catalog.licence.USES``.

    Returns:
        As ``clause``.

    Example:
        >>> against("CC-BY-NC-ND-4.0", "release_weights")
        'NoDerivatives, section 2(a)(1)(B) of CC-BY-NC-ND-4.0: what is adapted from it may be made, but not shared'
    """
    return clause(licence, {"commercial": "NC", "release_weights": "ND", "share_tables": "ND"}.get(use, ""))


def duties(licence: str | None, use: str) -> tuple[str, ...]:
    """Say what a licence asks in return for a use that it permits.

    NonCommercial and NoDerivatives stay with what is made: they are stated for research too, where they forbid nothing yet.

    Args:
        licence: SPDX identifier.
        use: A use of ``medsetu.catalog.licence.USES``.

    Returns:
        Clauses, as ``clause`` names them.

    Example:
        >>> [duty.partition(" of ")[0] for duty in duties("CC-BY-NC-SA-4.0", "research")]
        ['Attribution, section 3(a)', 'NonCommercial, section 2(a)(1)', 'ShareAlike, section 3(b)']
    """
    barred = against(licence, use)
    return tuple(text for element in elements(licence) if (text := clause(licence, element)) != barred)


def bound(clauses: Sequence[str]) -> str:
    """Say which clauses stay with weights made here.

    Example:
        >>> bound([]), bound(["ShareAlike of X: same licence", "NonCommercial of Y: no sale"])
        ('No clause is known that stays with them', 'They stay bound by ShareAlike of X: same licence; NonCommercial of Y: no sale')
    """
    return f"They stay bound by {'; '.join(clauses)}" if clauses else "No clause is known that stays with them"


def irreconcilable(licences: Iterable[str | None]) -> tuple[str, ...]:
    """Find share-alike licences of which no two can be met at once: each asks that what is made from it bears itself.

    Licences that differ in their version only are taken as one: a later version may be chosen for what is adapted.

    Args:
        licences: Licences of everything that takes part.

    Returns:
        The licences, sorted; empty when fewer than two kinds of them share alike.

    Example:
        >>> irreconcilable(["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", "CC-BY-4.0"])
        ('CC-BY-NC-SA-4.0', 'CC-BY-SA-4.0')
        >>> irreconcilable(["CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", None])
        ()
    """
    alike = {str(licence) for licence in licences if "SA" in elements(licence)}
    return tuple(sorted(alike)) if len({elements(licence) for licence in alike}) > 1 else ()
