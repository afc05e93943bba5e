# SPDX-License-Identifier: Apache-2.0
"""What looks like an identifier in any text: Indian numbers with their check digits, e-mail, dates, titles before a name."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

_TIMES: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
"""Multiplication in the dihedral group of the pentagon."""

_TURN: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_MONTH: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_EDGE: Final = r"(?<![0-9A-Za-z.])"  # a decimal fraction is no number of anybody
_END: Final = r"(?![0-9A-Za-z]|\.\d)"
_FIRST_YEAR, _LAST_YEAR = 1900, 2099


def verhoeff(digits: str) -> bool:
    """Whether the last digit is the Verhoeff check digit of the others (Verhoeff 1969, doi:10.1002/zamm.19710510323).

    Args:
        digits: Decimal digits.

    Returns:
        True when the number is consistent.

    Example:
        >>> verhoeff("2363"), verhoeff("2364")
        (True, False)
    """
    check = 0
    for place, digit in enumerate(reversed(digits)):
        turned = int(digit)
        for _ in range(place % 8):
            turned = _TURN[turned]
        check = _TIMES[check][turned]
    return check == 0


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_aadhaar(text: str) -> bool:
    digits = _digits(text)
    return len(set(digits)) > 1 and verhoeff(digits)


def _is_day(text: str) -> bool:
    """Whether eight digits are a calendar day, year first."""
    return _FIRST_YEAR <= int(text[:4]) <= _LAST_YEAR and 1 <= int(text[4:6]) <= 12 and 1 <= int(text[6:8]) <= 31


def _always(_: str) -> bool:
    return True


_RULES: Final[tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...]] = (
    ("e-mail", re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"), _always),
    ("uid", re.compile(r"(?<![\d.])[0-2](?:\.(?:0|[1-9]\d*)){6,}(?![\d.])"), lambda text: not text.startswith("1.2.840.10008.")),
    ("abha", re.compile(rf"{_EDGE}\d{{2}}-\d{{4}}-\d{{4}}-\d{{4}}{_END}|{_EDGE}\d{{14}}{_END}"), lambda text: not _is_moment(text)),
    ("aadhaar", re.compile(rf"{_EDGE}[2-9]\d{{3}}([ -]?)\d{{4}}\1\d{{4}}{_END}"), _is_aadhaar),
    ("mobile", re.compile(r"(?<![\d.])(?:\+?91[ -]?|0)?[6-9]\d{4}[ -]?\d{5}(?!\d|\.\d)"), _always),
    ("pan", re.compile(rf"{_EDGE}[A-Z]{{3}}[ABCFGHJLPT][A-Z]\d{{4}}[A-Z]{_END}"), _always),
    (
        "record number",
        re.compile(r"\b(?:mrn|uhid|mrd|crn?|cr|ip|op|ipd|opd|reg|hosp)[ ._:#/-]{0,3}(?:no|id|num)?[ ._:#/-]{0,3}\d{4,}", re.IGNORECASE),
        _always,
    ),
    (
        "date",
        re.compile(
            r"(?<!\d)(?:(?:19|20)\d{2}[-/._](?:0?[1-9]|1[0-2])[-/._](?:0?[1-9]|[12]\d|3[01])"
            r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|1[0-2])[-/.](?:19|20)\d{2}"
            rf"|(?:0?[1-9]|[12]\d|3[01])[ -]?(?:{_MONTH})[a-z]*[ ,-]{{0,2}}(?:19|20)\d{{2}})(?!\d)",
            re.IGNORECASE,
        ),
        _always,
    ),
    ("date", re.compile(r"(?<!\d)(?:19|20)\d{6}(?!\d)"), _is_day),
    ("date", re.compile(r"(?<!\d)(?:19|20)\d{12}(?!\d)"), lambda text: _is_moment(text)),
    ("name", re.compile(r"\b[A-Za-z]{2,}\^[A-Za-z]+"), _always),
    (
        "name",
        re.compile(
            r"(?<![A-Za-z])(?:mrs?|ms(?=\.)|dr|shri|shrimati|smt|sri|kumari|baby of|master|s/o|d/o|w/o|c/o)[. _]{1,2}[A-Z][A-Za-z]{2,}",
            re.I,
        ),
        lambda text: bool(re.search(r"[. _][A-Z][A-Za-z]+$", text)),
    ),
    ("name", re.compile(r"(?<![A-Za-z])(?:patient|name|pt)(?:'?s)?[ _]?(?:name)?\s*[:=]\s*[A-Za-z]{3,}", re.IGNORECASE), _always),
    ("long number", re.compile(r"(?<![\d.])\d{9,}(?![\d.])"), lambda text: not text.startswith("000000")),
)
_WORTH: Final = re.compile(r"\d{4}|\d[-/. ]\d|@|\^|(?:mr|ms|dr|shri|smt|sri|kumari|master|baby|name|patient|pt|[sdwc]/o)", re.IGNORECASE)


def _is_moment(text: str) -> bool:
    """Whether fourteen digits are a day and a time of day."""
    digits = _digits(text)
    return len(digits) == 14 and _is_day(digits[:8]) and int(digits[8:10]) < 24 and int(digits[10:12]) < 60 and int(digits[12:]) < 60


def looks_like(text: str) -> Counter[str]:
    """Count what looks like an identifier.

    Args:
        text: Any text.

    Returns:
        Name of the pattern -> how often: e-mail, uid, abha, aadhaar, mobile, pan, record number, date, name, long number. Every stretch of
        the text counts once, for the first pattern in this order.

    Example:
        >>> sorted(looks_like("Smt. Devi, 98765 43210, 2024-03-01").items())
        [('date', 1), ('mobile', 1), ('name', 1)]
        >>> looks_like("00000013_005.png")
        Counter()
    """
    found: Counter[str] = Counter()
    if not _WORTH.search(text):
        return found
    for name, pattern, confirm in _RULES:
        for match in reversed(list(pattern.finditer(text))):
            if confirm(match.group()):
                found[name] += 1
                text = text[: match.start()] + "\n" + text[match.end() :]
    return found


def words_of(values: Iterable[str]) -> frozenset[str]:
    """Take the words of identifying values by which they can be recognised elsewhere.

    Args:
        values: Names and numbers of a header.

    Returns:
        Lower-case words of at least four letters, or with four digits.

    Example:
        >>> sorted(words_of(["ZZ^SENTINEL^M", "P-0042177"]))
        ['0042177', 'sentinel']
    """
    parts = (part.lower() for value in values for part in re.split(r"[\W_]+", value))
    return frozenset(part for part in parts if len(part) >= 4 and (part.isalpha() or sum(sign.isdigit() for sign in part) >= 4))


def repeats(text: str, words: Iterable[str]) -> bool:
    """Whether a text holds one of the words of ``words_of`` as a word of its own.

    Example:
        >>> repeats("scan of Sentinel.png", {"sentinel"}), repeats("sentinels", {"sentinel"})
        (True, False)
    """
    wanted = set(words)
    return bool(wanted) and not wanted.isdisjoint(re.split(r"[\W_]+", text.lower()))
