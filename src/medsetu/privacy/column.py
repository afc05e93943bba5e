# SPDX-License-Identifier: Apache-2.0
"""Tables without identifiers: columns dropped, keys replaced by pseudonyms, dates moved, ages pooled, telling cells emptied."""

import csv
import io
import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from medsetu.core.errors import ConfigError
from medsetu.privacy.pattern import looks_like
from medsetu.privacy.pseudonym import Pseudonyms
from medsetu.privacy.sheet import column_rule, delimiter_of, encoding_of
from medsetu.reader.guard import guarded

ACTIONS: Final = ("keep", "drop", "pseudonym", "date")
_BY_RULE: Final[Mapping[str, str]] = {
    "column of names": "drop",
    "column of contacts": "drop",
    "column of numbers": "drop",
    "column of places": "drop",
    "column of institutions": "drop",
    "column of dates": "drop",
    "patient key": "pseudonym",
    "": "keep",
}
_AGE: Final = re.compile(r"\bage\b", re.IGNORECASE)
_POOL: Final = 90
_ISO: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_INDIAN: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")


def check_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """Check what a configuration wants done with columns.

    Args:
        columns: Name -> ``keep``, ``drop``, ``pseudonym`` or ``date``.

    Returns:
        The same.

    Raises:
        ConfigError: An action is unknown.
    """
    for name, action in columns.items():
        if action not in ACTIONS:
            raise ConfigError(what="A column has an unknown action", where=f"Key columns.{name}", value=str(action), allowed=ACTIONS)
    return dict(columns)


@guarded("table")
def clean_table(path: Path, *, columns: Mapping[str, str], pseudonyms: Pseudonyms, sample_id: str = "") -> bytes:
    """Clean a CSV or TSV file.

    Args:
        path: The file.
        columns: Name -> action; other columns are judged by their names, and columns of dates are dropped unless named here.
        pseudonyms: Pseudonyms of the key, the same as in headers.
        sample_id: Named in errors.

    Returns:
        The table in UTF-8. Cells of kept columns that look like an identifier are emptied, ages above 89 become 90, and columns with the
        action ``date`` are moved by the shift of the row's patient, to which a column of patient keys is needed.

    Raises:
        DataError: The file is no table.
    """
    del sample_id  # used by the guard
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    encoding = encoding_of(head)
    delimiter = delimiter_of(head.decode(encoding, "replace"))
    out = io.StringIO()
    with path.open(encoding=encoding, errors="replace", newline="") as text:
        rows = csv.reader(text, delimiter=delimiter)
        names = next(rows, [])
        cleaner = _Cleaner(names, columns, pseudonyms)
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        writer.writerow(cleaner.head())
        writer.writerows(cleaner.row(row) for row in rows)
    return out.getvalue().encode()


class _Cleaner:
    """Cleans the rows of one table."""

    def __init__(self, names: list[str], columns: Mapping[str, str], pseudonyms: Pseudonyms) -> None:
        self._names, self._pseudonyms = names, pseudonyms
        self._actions = [columns.get(name) or _BY_RULE[column_rule(name)] for name in names]
        self._ages = [bool(_AGE.search(re.sub(r"[\W_]+", " ", name))) for name in names]
        self._key = self._actions.index("pseudonym") if "pseudonym" in self._actions else -1

    def head(self) -> list[str]:
        return [name if not looks_like(name) else "" for name, action in zip(self._names, self._actions, strict=True) if action != "drop"]

    def row(self, cells: list[str]) -> list[str]:
        patient = cells[self._key].strip() if 0 <= self._key < len(cells) else ""
        return [
            self._cell(cell.strip(), place, patient)
            for place, cell in enumerate(cells[: len(self._actions)])
            if self._actions[place] != "drop"
        ]

    def _cell(self, cell: str, place: int, patient: str) -> str:
        action = self._actions[place]
        if not cell:
            return ""
        if action == "pseudonym":
            return self._pseudonyms.name(cell)
        if action == "date":
            return self._moved(cell, patient)
        if self._ages[place] and (match := re.fullmatch(r"0*(\d{1,3})([Yy]?)", cell)):
            return f"{_POOL}{match[2]}" if int(match[1]) > _POOL else cell
        return "" if looks_like(cell) else cell

    def _moved(self, cell: str, patient: str) -> str:
        iso, indian = _ISO.match(cell), _INDIAN.match(cell)
        parts = iso.groups() if iso else indian.groups()[::-1] if indian else None
        if parts is None or not patient:
            return ""
        try:
            day = date(*map(int, parts)) - timedelta(self._pseudonyms.shift_days(patient))
        except (ValueError, OverflowError):
            return ""
        return day.isoformat()
