# SPDX-License-Identifier: Apache-2.0
"""The short clinical readings that the National Library of Medicine ships beside its tuberculosis films, read with tolerance."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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


@dataclass(frozen=True)
class NotedFilm:
    """A film whose name tells its number and its label, with what its note says.

    Attributes:
        path: Relative path of the film.
        number: Number in its name, as text.
        tuberculosis: 1 or 0.
        sex: ``F``, ``M``, ``O`` or empty.
        age_years: Age; NaN unknown.
        note: Text of the note; empty when there is none.
    """

    path: str
    number: str
    tuberculosis: float
    sex: str
    age_years: float
    note: str


def noted_films(paths: Iterable[str], *, notes: Path, name: re.Pattern[str]) -> tuple[list[NotedFilm], list[tuple[str, str]]]:
    """Read label, number and note of films by their names.

    Args:
        paths: Relative paths of the films.
        notes: Folder with one text file per film, of the same stem.
        name: Pattern of a stem with the groups ``number`` and ``label``.

    Returns:
        The films, and pairs of path and reason for files with other names.
    """
    films, strangers = [], []
    for path in paths:
        stem = PurePosixPath(path).stem
        match = name.match(stem)
        if match is None:
            strangers.append((path, "file name says neither normal nor tuberculosis"))
            continue
        file = notes / f"{stem}.txt"
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        films.append(NotedFilm(path, match["number"], LABEL_OF_SUFFIX[match["label"]], *sex_and_age(text), text))
    return films, strangers
