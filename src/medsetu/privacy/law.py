# SPDX-License-Identifier: Apache-2.0
"""What the findings mean under India's Digital Personal Data Protection Act 2023 and Rules 2025, and what of it is in force on a day.

Facts: Rules notified on 13 November 2025 and published on the 14th; in force at once: Rules 1, 2 and 17 to 21; after one year: Rule 4;
after eighteen months: Rules 3, 5 to 16, 22 and 23. Engineering notes, no legal advice.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

from medsetu.privacy.rule import KINDS, NOTICE

PUBLISHED: Final = date(2025, 11, 14)
AFTER_ONE_YEAR: Final = date(2026, 11, 14)
AFTER_EIGHTEEN_MONTHS: Final = date(2027, 5, 14)
CAVEAT: Final = (
    "An audit is no proof that nobody can be recognised: it finds what its rules know. These lines name provisions to read; they are no "
    "legal advice. Summaries of the Rules were read, not the Gazette itself: confirm dates there."
)
_EVERY: Final = tuple(kind for kind in KINDS if kind != NOTICE)


@dataclass(frozen=True)
class Provision:
    """A provision that findings touch.

    Attributes:
        cite: Where it stands.
        duty: What it asks, in one sentence.
        since: First day in force.
        kinds: Kinds of findings that touch it; empty where it holds for any data set.
        rules: Single rules of the audit that touch it.
    """

    cite: str
    duty: str
    since: date
    kinds: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def status(self, day: date) -> str:
        """Say whether it is in force on a day.

        Example:
            >>> PROVISIONS[0].status(date(2026, 11, 22))
            'not yet in force; from mid-May 2027'
            >>> PROVISIONS[0].status(date(2027, 6, 1))
            'in force'
        """
        if day >= self.since:
            return "in force"
        return f"not yet in force; from mid-{self.since:%B %Y}"


PROVISIONS: Final = (
    Provision(
        "DPDP Act s. 17(2)(b) with Rule 16 and the Second Schedule",
        "Research, archiving and statistics are exempt only if the data serve no decision about a person and the standards are kept: "
        "lawful, for the stated purpose, limited to what is needed, accurate, kept no longer than needed, secured, accountable.",
        AFTER_EIGHTEEN_MONTHS,
        _EVERY,
    ),
    Provision(
        "DPDP Act s. 8(5) with Rule 6",
        "Reasonable security safeguards for personal data; failing them may cost up to 250 crore rupees.",
        AFTER_EIGHTEEN_MONTHS,
        ("identifier", "uid", "date", "patient characteristic", "free text", "pixels", "hidden data", "private"),
    ),
    Provision(
        "DPDP Rules, Rule 7",
        "A breach of personal data: tell the persons affected without delay, and the Board in detail within 72 hours.",
        AFTER_EIGHTEEN_MONTHS,
        ("identifier", "pixels"),
    ),
    Provision("DPDP Rules, Rule 8", "Erase personal data when its purpose is served.", AFTER_EIGHTEEN_MONTHS, _EVERY),
    Provision(
        "DPDP Rules, Rules 10 and 12 with the Fourth Schedule",
        "Verifiable consent of a parent below 18 years; clinical establishments are exempt for health services to the extent needed.",
        AFTER_EIGHTEEN_MONTHS,
        rules=("dicom/child",),
    ),
    Provision(
        "DPDP Rules, Rule 15",
        "Transfer of personal data outside India is subject to requirements of the Central Government.",
        AFTER_EIGHTEEN_MONTHS,
        _EVERY,
    ),
    Provision(
        "DPDP Rules, Rule 13",
        "Further duties of significant data fiduciaries.",
        AFTER_EIGHTEEN_MONTHS,
    ),
    Provision("DPDP Rules, Rule 4", "Registration and duties of consent managers.", AFTER_ONE_YEAR),
    Provision("DPDP Rules, Rules 1, 2 and 17 to 21", "Title, definitions, and the Data Protection Board.", PUBLISHED),
)


@dataclass(frozen=True)
class Touched:
    """A provision, whether it is in force, and what of the audit touches it.

    Attributes:
        cite: Where it stands.
        duty: What it asks.
        status: Whether it is in force.
        kinds: Kinds of findings that touch it.
        count: How many findings.
    """

    cite: str
    duty: str
    status: str
    kinds: tuple[str, ...]
    count: int


def touched(counts: dict[str, int], rules: Collection[str], *, day: date) -> list[Touched]:
    """Map findings to provisions.

    Args:
        counts: Kind of finding -> how many.
        rules: Rules that were found, notices included.
        day: The day of the audit.

    Returns:
        Every provision; those without findings come with a count of 0.
    """
    found = []
    for provision in PROVISIONS:
        kinds = tuple(kind for kind in provision.kinds if counts.get(kind))
        single = sum(rule in rules for rule in provision.rules)
        count = sum(counts[kind] for kind in kinds) + single
        found.append(Touched(provision.cite, provision.duty, provision.status(day), kinds, count))
    return found
