# SPDX-License-Identifier: Apache-2.0
"""The short clinical readings that the National Library of Medicine ships beside its tuberculosis films, read with tolerance."""

import re
from pathlib import Path

from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.core.sample import sex_letter

LABEL_OF_SUFFIX = {"0": NEGATIVE, "1": POSITIVE}  # CHNCXR_0001_0.png is normal, CHNCXR_0327_1.png shows tuberculosis
_SEX = re.compile(r"(?:\bsex\b\W*)?\b(female|femal|male|f|m|o)(?=\b|[\d ,])", re.IGNORECASE)
_AGE = re.compile(r"(\d{1,3})\s*(y|m|d|)", re.IGNORECASE)
_PER_YEAR = {"y": 1.0, "": 1.0, "m": 12.0, "d": 365.25}


def sex_and_age(text: str) -> tuple[str, float]:
    """Read sex and age from the head of a clinical reading.

    The notes are irregular: ``male 45yrs``, ``femal 32yrs``, ``female24yrs``, ``male , 29yrs``, ``male 16month``, ``female 64days``,
    ``Patient's Sex: F`` above ``Patient's Age: 027Y``.

    Args:
        text: The reading; only what stands before the first finding is looked at, which is its first two lines.

    Returns:
        ``F``, ``M``, ``O`` or an empty string, and the age in years; NaN when there is none or it is above 120.

    Example:
        >>> sex_and_age("female 64days")[0], round(sex_and_age("female 64days")[1], 3), sex_and_age("normal")
        ('F', 0.175, ('', nan))
    """
    head = " ".join(line.replace("Patient's", "") for line in text.splitlines()[:2])
    found = _SEX.search(head)
    age = _AGE.search(head)
    years = int(age[1]) / _PER_YEAR[age[2].lower()] if age and found else float("nan")
    return (sex_letter(found[1]) if found else "", years if years <= 120 else float("nan"))


def read_reading(path: Path) -> tuple[str, float]:
    """Read sex and age from a file; both unknown when it is not there.

    Args:
        path: Text file, in whatever encoding the hospital used.

    Returns:
        See ``sex_and_age``.
    """
    return sex_and_age(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else ("", float("nan"))
