# SPDX-License-Identifier: Apache-2.0
"""Cells of any label table: what a word means for a finding, and how a cell becomes a fact."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.core.sample import age_in_years, pseudonym, sex_letter

POLICY: dict[str, float] = {"unknown": UNKNOWN, "positive": POSITIVE, "negative": NEGATIVE}
ANY_OTHER = "*"
BLANK = ("", "na", "n/a", "nan", "null", "#n/a")
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")  # YAML reads each of them as a truth value
_PRESENT, _ABSENT = ("1", "true", "yes", "y", "positive", "pos", "present"), ("0", "false", "no", "n", "negative", "neg", "absent")
_VIEWS = {"pa": "PA", "ap": "AP", "ll": "LL", "l": "LL", "lat": "LL", "lateral": "LL", "cc": "CC", "mlo": "MLO"}
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R", "b": "B", "both": "B", "bilateral": "B"} | {
    "od": "R",
    "os": "L",
    "ou": "B",
}  # of eyes
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "testing": "test"}
_LISTS = ("positive", "negative", "unknown")
_RULE_KEYS = ("column", *_LISTS, "separator")
_COMMA = re.compile(r"-?\d+,\d{1,2}")
_YEARS_OLD = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:years?|yrs?|y)?\.?", re.IGNORECASE)


def require_known(words: Any, allowed: Sequence[str], *, where: str) -> None:  # noqa: ANN401 - keys or values of a configuration
    """Refuse a word of a configuration that nothing reads.

    Raises:
        ConfigError: A word is none of those allowed; the nearest is offered.
    """
    for word in words:
        if word not in allowed:
            raise ConfigError(what=f"'{word}' is not known here", where=where, value=str(word), allowed=list(allowed))


def rule_of(spec: Any) -> dict[str, Any]:  # noqa: ANN401 - a column name, or a mapping from YAML
    """Write a finding's source the long way: column, and the words of each list."""
    long = dict(spec) if isinstance(spec, Mapping) else {} if spec is None or isinstance(spec, bool | list) else {"column": spec}
    require_known(long, _RULE_KEYS, where="Key finding_columns")
    if long.get("column") is None:
        raise ConfigError(what="A finding names no column", where="Key finding_columns", remedy="Write {column: <column>, positive: [...]}")
    lists = {key: tuple(word for value in _listed(long.get(key)) for word in _words(value)) for key in _LISTS}
    return {"column": str(long["column"]).strip(), "separator": str(long.get("separator") or "").lower(), **lists}


def _listed(values: Any) -> list[Any]:  # noqa: ANN401 - a value or a list from YAML
    if values is None:
        return []
    return [values] if isinstance(values, str | int | float) else list(values)


def _words(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - a value from YAML
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    return (word_of(value),)


def label_of(cell: str, *, rule: Mapping[str, Any], policy: Mapping[str, str]) -> float | None:
    """Value of one cell, as it stands in the table; None when the rule does not cover it.

    Example:
        >>> rule, policy = rule_of({"column": "x", "positive": ["TB"], "negative": ["*"]}), {"blank": "unknown", "uncertain": "unknown"}
        >>> [label_of(cell, rule=rule, policy=policy) for cell in ("tb", "healthy", "", "-1")]
        [1.0, 0.0, nan, nan]
        >>> several = rule_of({"column": "x", "positive": ["Mass"], "negative": ["*"], "separator": "|"})
        >>> [label_of(cell, rule=several, policy=policy) for cell in ("Effusion|Mass", "Effusion", "")]
        [1.0, 0.0, nan]
    """
    if rule["separator"] and rule["separator"] in cell:
        return _label_of_list(cell, rule=rule, policy=policy)
    cell = word_of(cell)
    for key in _LISTS:
        if cell in rule[key]:
            return POLICY[key]
    if cell in BLANK:
        return POLICY[policy["blank"]]
    if cell == "-1":
        return POLICY[policy["uncertain"]]
    if not any(rule[key] for key in _LISTS):
        return POSITIVE if cell in _PRESENT else NEGATIVE if cell in _ABSENT else None
    return next((POLICY[key] for key in _LISTS if ANY_OTHER in rule[key]), None)


def _label_of_list(cell: str, *, rule: Mapping[str, Any], policy: Mapping[str, str]) -> float | None:
    """Value of a cell that lists several: present where one says so, else unknown where one is, else absent."""
    alone = {**rule, "separator": ""}
    labels = [label_of(word_of(word), rule=alone, policy=policy) for word in cell.split(rule["separator"]) if word.strip()]
    if POSITIVE in labels:
        return POSITIVE
    if None in labels:
        return None
    return NEGATIVE if labels and all(label == NEGATIVE for label in labels) else UNKNOWN


def text_of(cell: Any) -> str:  # noqa: ANN401 - any cell of a parquet file
    """Write a cell as text: missing is empty, whole numbers lose their point.

    Example:
        >>> text_of(17.0), text_of(None), text_of(" a ")
        ('17', '', 'a')
    """
    if cell is None or cell is pd.NaT or cell is pd.NA or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def word_of(cell: Any) -> str:  # noqa: ANN401 - a cell, or a value from YAML
    """Write a value so that 1, 1.0 and "1", or TB and tb, are the same word.

    Example:
        >>> word_of("1.0"), word_of(True), word_of(" TB "), word_of("1,0")
        ('1', 'true', 'tb', '1')
    """
    text = text_of(cell).lower()
    if _COMMA.fullmatch(text):  # a decimal comma; three digits behind it would be thousands
        text = text.replace(",", ".")
    try:
        return text_of(float(text)) or text
    except (ValueError, OverflowError):
        return text


def _age(text: str) -> float:
    match = _YEARS_OLD.fullmatch(text.strip())
    if match is None:
        return age_in_years(text)
    years = float(match.group(1).replace(",", "."))
    return years if years <= 120 else UNKNOWN


def _blank_or(value: str, cell: str) -> str | float:
    return UNKNOWN if cell.lower() in BLANK else value


FACT_READERS: dict[str, tuple[str, Callable[[str, str], str | float]]] = {  # fact -> column of the samples, and how a cell becomes a value
    "patient": ("patient_id", lambda release, cell: _blank_or(pseudonym(release, cell), cell)),
    "study": ("study_id", lambda release, cell: _blank_or(pseudonym(release, f"study/{cell}"), cell)),
    "site": ("site", lambda _, cell: cell),
    "country": ("country", lambda _, cell: cell.upper()),
    "modality": ("modality", lambda _, cell: cell.upper()),
    "view": ("view", lambda _, cell: _VIEWS.get(cell.lower(), "")),
    "laterality": ("laterality", lambda _, cell: _SIDES.get(cell.lower(), "")),
    "sex": ("sex", lambda _, cell: sex_letter(cell)),
    "age": ("age_years", lambda _, cell: _age(cell)),
    "device": ("device", lambda _, cell: cell),
    "split": ("official_split", lambda _, cell: _SPLITS.get(cell.lower(), "")),
}
