# SPDX-License-Identifier: Apache-2.0
"""Labels: 1 present, 0 absent, NaN unknown; findings have names, never positions."""

import re
from collections.abc import Mapping, Sequence

from medsetu.core.errors import ConfigError

POSITIVE = 1.0
NEGATIVE = 0.0
UNKNOWN = float("nan")
MEANINGS = {"unknown": UNKNOWN, "positive": POSITIVE, "negative": NEGATIVE}
ANY_OTHER = "*"  # in a mapping by finding: every finding that is not named

_BIRADS = re.compile(r"(?:BI-?RADS\s*:?\s*)?(?P<category>[0-6])[abc]?", re.IGNORECASE)
_SUSPICIOUS = {"1": NEGATIVE, "2": NEGATIVE, "4": POSITIVE, "5": POSITIVE, "6": POSITIVE}
_DENSITY = re.compile(r"(?:(?:ACR|DENSITY)\s*:?\s*)?(?P<class>[A-D]|[1-4])", re.IGNORECASE)


def finding_name(text: str) -> str:
    """Write a finding the way medsetu writes it: lower case, words joined by underscores.

    Example:
        >>> finding_name(" Pleural Thickening ")
        'pleural_thickening'
    """
    return re.sub(r"[^a-z0-9]+", "_", text.strip().lower()).strip("_")


def check_findings(wanted: Sequence[str], available: Sequence[str], *, where: str) -> None:
    """Refuse a list of findings that repeats a name or asks for one that does not exist.

    Args:
        wanted: Findings asked for, in head order.
        available: Findings that the data or the head offers.
        where: Key or table, for the message.

    Raises:
        ConfigError: A name is repeated, unknown, or the list is empty.
    """
    if not wanted:
        raise ConfigError(what="No finding is named", where=where, remedy="Name at least one finding")
    repeated = sorted({name for name in wanted if list(wanted).count(name) > 1})
    if repeated:
        raise ConfigError(what=f"Finding '{repeated[0]}' is named twice", where=where, remedy="Name each finding once")
    for name in wanted:
        if name not in available:
            raise ConfigError(what=f"Finding '{name}' is not available", where=where, value=name, allowed=list(available))


def uncertain_values(policy: str | Mapping[str, str], findings: Sequence[str], *, where: str) -> dict[str, float]:
    """Say what an uncertain label means, for each finding.

    Args:
        policy: ``unknown``, ``positive`` or ``negative`` for all findings, or one of them per finding; ``"*"`` stands for every finding
            that is not named, and those are unknown where it is not there.
        findings: Findings of the release.
        where: Key, for the message.

    Returns:
        Value per finding.

    Raises:
        ConfigError: A finding or a meaning is unknown.

    Example:
        >>> uncertain_values({"edema": "positive"}, ["edema", "mass"], where="doc")
        {'edema': 1.0, 'mass': nan}
    """
    named = {ANY_OTHER: policy} if isinstance(policy, str) else dict(policy)
    for finding, meaning in named.items():
        if finding not in (*findings, ANY_OTHER):
            raise ConfigError(what=f"Finding '{finding}' is not available", where=where, value=finding, allowed=[*findings, ANY_OTHER])
        if meaning not in MEANINGS:
            raise ConfigError(what="Uncertain labels have no such meaning", where=where, value=str(meaning), allowed=[*MEANINGS])
    return {finding: MEANINGS[named.get(finding, named.get(ANY_OTHER, "unknown"))] for finding in findings}


def suspicious(assessment: str) -> float:
    """Read a BI-RADS category as an assessment: suspicious enough for biopsy, or not. It is no pathology.

    Args:
        assessment: Such as ``4a`` or ``BI-RADS 4``.

    Returns:
        0 for 1 and 2; 1 for 4 (a, b, c), 5 and 6; NaN for 3 (probably benign), 0 (incomplete, never normal) and everything else.

    Example:
        >>> [suspicious(text) for text in ("BI-RADS 2", "4a", "3", "0", "")]
        [0.0, 1.0, nan, nan, nan]
    """
    match = _BIRADS.fullmatch(assessment.strip())
    return _SUSPICIOUS.get(match["category"], UNKNOWN) if match else UNKNOWN


def dense_breast(density: str) -> float:
    """Read a breast density as dense (ACR C and D, or 3 and 4) or not (A and B, or 1 and 2).

    Args:
        density: Such as ``3``, ``C`` or ``DENSITY C``.

    Returns:
        1, 0, or NaN when it is neither.

    Example:
        >>> [dense_breast(text) for text in ("DENSITY C", "2", "5", "")]
        [1.0, 0.0, nan, nan]
    """
    match = _DENSITY.fullmatch(density.strip())
    return UNKNOWN if match is None else POSITIVE if match["class"].upper() in "CD34" else NEGATIVE
