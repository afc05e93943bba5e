# SPDX-License-Identifier: Apache-2.0
"""Compare tables number by number, and a report word by word. No torch here."""

import html
import io
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from medsetu.experiment.verdict import DIFFERS, NUMBERS, SAME, Check

TOLERANCE = 1e-9  # absolute below 1, relative above: sums in another order differ in the last digits of 64-bit numbers
_PRIVATE = ("patient_id", "study_id", "sample_id")  # never shown: a name may hold a patient's number
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_UNSEEN = re.compile(r"<(style|svg|head)\b.*?</\1>", re.DOTALL)
_FILMS = re.compile(r'<section aria-labelledby="(?:films|checklists)">.*?</section>\s*|<a href="#films">Films</a>\s*', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def table_check(item: str, *, stored: pd.DataFrame | None, derived: pd.DataFrame) -> Check:
    """Compare a stored table with the one that follows from the predictions.

    Args:
        item: Name of the file; a CSV file holds the decimal digits of the numbers, all of them.
        stored: What the folder holds; None where it cannot be read.
        derived: What follows.

    Returns:
        The check. It names the first number that does not follow; NaN equals NaN.
    """
    if stored is None:
        return Check(NUMBERS, item, DIFFERS, note="the table is missing or cannot be read")
    if item.endswith(".csv"):
        derived = pd.read_csv(io.StringIO(derived.to_csv(index=False)))
    if list(stored.columns) != list(derived.columns) or len(stored) != len(derived):
        old, new = (f"{len(table)} rows of {len(table.columns)} columns" for table in (stored, derived))
        return Check(NUMBERS, item, DIFFERS, old, new, "rows or columns do not follow")
    numeric = [name for name in derived.columns if pd.api.types.is_numeric_dtype(derived[name])]
    texts = [name for name in derived.columns if name not in numeric]
    for name in texts:
        before, after = (table[name].astype(object).where(table[name].notna(), "").astype(str).to_numpy() for table in (stored, derived))
        if (before != after).any():
            row = int(np.flatnonzero(before != after)[0])
            shown = ("", "") if name in _PRIVATE else (before[row], after[row])
            return Check(NUMBERS, item, DIFFERS, shown[0], shown[1], f"column {name}, row {row}, does not follow")
    return _numbers(item, stored[numeric], derived[numeric], derived[[name for name in texts if name not in _PRIVATE]])


def _numbers(item: str, stored: pd.DataFrame, derived: pd.DataFrame, texts: pd.DataFrame) -> Check:
    try:
        old = stored.to_numpy(np.float64)
    except (TypeError, ValueError):
        return Check(NUMBERS, item, DIFFERS, note="a number was replaced by something else")
    new = derived.to_numpy(np.float64)
    both = np.isnan(old) & np.isnan(new)
    equal = (old == new) | both
    with np.errstate(invalid="ignore"):
        distance = np.where(equal, 0.0, np.abs(old - new) / np.maximum(1.0, np.abs(new)))
    wrong = ~(distance <= TOLERANCE)  # a NaN on one side only is wrong
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        where = ", ".join(str(value) for value in texts.iloc[row] if isinstance(value, str) and value)[:80]
        note = f"{int(wrong.sum())} of {int((~both).sum())} numbers do not follow; first: {stored.columns[column]} of row {row} ({where})"
        return Check(NUMBERS, item, DIFFERS, f"{old[row, column]:.12g}", f"{new[row, column]:.12g}", note)
    most = float(distance.max(initial=0.0))
    exact = "all to the last bit" if most == 0 else f"largest difference {most:.1e}, within {TOLERANCE:g}"
    return Check(NUMBERS, item, SAME, note=f"{int((~both).sum())} numbers, {exact}")


def data_check(item: str, *, stored: object, derived: object) -> Check:
    """Compare JSON-like data: numbers within the tolerance, everything else to the letter.

    Args:
        item: Name of the file.
        stored: What the file holds.
        derived: What follows, as JSON would give it back.

    Returns:
        The check; it names the first place that does not follow.

    Example:
        >>> data_check("a.json", stored={"x": [1.0, "b"]}, derived={"x": [1.0 + 1e-12, "b"]}).status
        'same'
    """
    old, new = dict(_leaves(stored)), dict(_leaves(derived))
    numbers = [place for place, value in new.items() if isinstance(value, float)]
    for place in [*old, *(place for place in new if place not in old)]:
        one, other = old.get(place, "nothing"), new.get(place, "nothing")
        close = isinstance(one, float) and isinstance(other, float) and abs(one - other) <= TOLERANCE * max(1.0, abs(other))
        if one != other and not close:
            return Check(NUMBERS, item, DIFFERS, str(one)[:80], str(other)[:80], f"{place.lstrip('/')} does not follow")
    return Check(NUMBERS, item, SAME, note=f"{len(numbers)} numbers")


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from _leaves(inside, f"{place}/{key}")
    elif isinstance(value, list):
        yield f"{place}/length", len(value)
        for number, inside in enumerate(value):
            yield from _leaves(inside, f"{place}/{number}")
    else:
        yield place, float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def page_check(item: str, *, stored: str, derived: str, films: bool) -> Check:
    """Compare a report with the one that follows, as bytes or as what a reader sees.

    Args:
        item: Name of the file.
        stored: The stored page.
        derived: The page that follows.
        films: Whether the films are here; without them their section, and the checklists that ask for it, are left out on both sides.

    Returns:
        The check; it names the first words that differ.
    """
    if not films:
        stored, derived = (_FILMS.sub("", page) for page in (stored, derived))
    old, new = (_words(page) for page in (stored, derived))
    count = sum(bool(_NUMBER.fullmatch(word.strip("[](),;:%+−-"))) for word in new)
    left = "" if films else "; the films are not here, their section and the checklists are left out"
    if stored == derived:
        return Check(NUMBERS, item, SAME, note=f"{count} numbers, to the last byte{left}")
    if old == new:
        return Check(NUMBERS, item, SAME, note=f"{count} numbers, words and numbers the same, figures drawn in other bytes{left}")
    place = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    said, follows = (" ".join(words[max(0, place - 3) : place + 3]) for words in (old, new))
    return Check(NUMBERS, item, DIFFERS, said, follows, "the page says something else than what follows")


def _words(page: str) -> list[str]:
    return html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", page))).split()
