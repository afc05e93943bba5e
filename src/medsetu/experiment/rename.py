# SPDX-License-Identifier: Apache-2.0
"""Give samples and patients other names before tables leave the house, the same ones in every table. No torch here."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

NAMES = ("sample_id", "patient_id", "group_id", "a", "b")  # columns that may name a film or a patient
DROPPED = ("study_id", "path", "root", "phash")  # facts that another team needs not, and that say where or who
OLDEST = 90.0  # years; every higher age is written so
_PLACE = re.compile(r"^(~|/|[A-Za-z]:[\\/]|\\\\)|\.\./")


def codes(tables: Iterable[pd.DataFrame]) -> dict[str, str]:
    """Number every name of films and patients.

    The numbers keep the order of the names, because resamples of patients are drawn in that order: with another order the last digits of
    every resampled interval would change, and a reader could not find the published number again. Whoever holds the complete list of the
    names that took part could therefore count; nobody else can.

    Args:
        tables: Tables with some of the columns ``NAMES``.

    Returns:
        Name -> code.

    Example:
        >>> codes([pd.DataFrame({"sample_id": ["x/b", "x/a"], "patient_id": ["p9", None]})])
        {'p9': 'c0000000', 'x/a': 'c0000001', 'x/b': 'c0000002'}
    """
    found: set[str] = set()
    for table in tables:
        for column in NAMES:
            if column in table.columns:
                found |= set(table[column].dropna().astype(str)) - {""}
    return {name: f"c{number:07d}" for number, name in enumerate(sorted(found))}


def renamed(table: pd.DataFrame, code: Mapping[str, str]) -> pd.DataFrame:
    """Write codes for names, blank what says where or who, and cap the ages.

    Args:
        table: Any table.
        code: Name -> code.

    Returns:
        A copy with the same columns.
    """
    changed = table.copy()
    for column in NAMES:
        if column in table.columns:
            changed[column] = table[column].map(lambda name: code.get(str(name), name), na_action="ignore").astype(table[column].dtype)
    for column in DROPPED:
        if column in table.columns:
            changed[column] = pd.Series("", index=table.index, dtype=table[column].dtype)
    if "age_years" in table.columns:
        changed["age_years"] = table["age_years"].where(~(table["age_years"] > OLDEST - 1), np.maximum(OLDEST, 0))
    return changed


def without_places(node: Any, *, key: str = "") -> Any:  # noqa: ANN401 - plain data
    """Replace folders of this machine in a resolved recipe by names: ``root`` by ``data/<release>``, other paths by their last part.

    Args:
        node: Plain data.
        key: Key of the node.

    Returns:
        The same data without places.

    Example:
        >>> without_places({"mine": {"root": "/home/a/films", "labels": "/home/a/l.csv"}})
        {'mine': {'root': 'data/mine', 'labels': 'l.csv'}}
    """
    if isinstance(node, Mapping):
        inner = {name: without_places(value, key=str(name)) for name, value in node.items()}
        return {**inner, "root": f"data/{key}"} if isinstance(node.get("root"), str) else inner
    if isinstance(node, list | tuple):
        return [without_places(value, key=key) for value in node]
    if isinstance(node, str):
        kind, colon, place = node.partition(":")
        if colon and kind in ("run", "file"):
            return f"{kind}:{PurePosixPath(place).name}" if _PLACE.search(place) else node
        return PurePosixPath(node.replace("\\", "/")).name if _PLACE.search(node) else node
    return node
