# SPDX-License-Identifier: Apache-2.0
"""What is known of one image: vocabularies of the facts, and pseudonyms for identifiers."""

import hashlib
import os
import re

GLOBAL = "global"
LOCAL = "local"
EXTERNAL = "external"
DOMAINS = (GLOBAL, LOCAL, EXTERNAL)
SPLITS = ("train", "val", "test", "unused")
SEXES = ("F", "M", "O", "")
VIEWS = ("PA", "AP", "LL", "CC", "MLO", "")

_AGE = re.compile(r"^\s*(\d{1,3})\s*([DWMYdwmy]?)\s*$")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}


def pseudonym(release: str, identifier: str) -> str:
    """Replace a patient or study identifier by a stable pseudonym, so that no table carries the original.

    The hash is keyed by the environment variable ``MEDSETU_PSEUDONYM_KEY`` where it is set: without a secret key a short hospital number
    could be found again by trying all numbers.

    Args:
        release: Name of the release, so that equal numbers of two hospitals stay two patients.
        identifier: The identifier as the release writes it.

    Returns:
        16 hexadecimal digits after the letter p.

    Example:
        >>> pseudonym("a", "17") == pseudonym("a", "17"), pseudonym("a", "17") == pseudonym("b", "17")
        (True, False)
    """
    key = os.environ.get("MEDSETU_PSEUDONYM_KEY", "").encode()[:64]
    return "p" + hashlib.blake2b(f"{release}\x1f{identifier}".encode(), digest_size=8, key=key).hexdigest()


def age_in_years(text: str | None) -> float:
    """Read an age such as ``045Y``, ``016M``, ``064D`` or ``45`` (PS3.5 AS, or plain years).

    Returns:
        Age in years; NaN when the text is empty, not an age, or above 120 years.

    Example:
        >>> age_in_years("045Y"), age_in_years("006M"), age_in_years("414")
        (45.0, 0.5, nan)
    """
    match = _AGE.match(text or "")
    if match is None:
        return float("nan")
    years = int(match.group(1)) * _YEARS[match.group(2).upper()]
    return years if years <= 120 else float("nan")


def sex_letter(text: str | None) -> str:
    """Read a sex as F, M, O, or the empty string when it is unknown.

    Example:
        >>> sex_letter("female"), sex_letter("m"), sex_letter(None)
        ('F', 'M', '')
    """
    letter = (text or "").strip()[:1].upper()
    return letter if letter in SEXES else ""
