# SPDX-License-Identifier: Apache-2.0
"""Identifiers in tables (CSV, TSV, XLSX), JSON and text: by the name of a column, and by what its cells look like."""

import csv
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from medsetu.privacy.pattern import looks_like
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.legacy import read_legacy
from medsetu.reader.workbook import book_rows, open_book

LARGEST_JSON: Final = 1 << 28  # bytes
_FIELD: Final = 1 << 24  # characters of one cell
_DEEPEST: Final = 100
_AGE: Final = re.compile(r"(?:^|[ _])age(?:$|[ _])|age.?years|^patientage$|^patient age", re.IGNORECASE)
_COMMENTS: Final = re.compile(r"comments?\d*\.xml$", re.IGNORECASE)
_NUMBER: Final = re.compile(r"0*(\d{1,3})(?:\.0*)?(?:y|yr|yrs|years?)?", re.IGNORECASE)
_OLDEST: Final = 89

_COLUMNS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "column of contacts",
        re.compile(r"\b(?:phone|mobile|mob|telephone|tel|contact|whatsapp|fax|e ?mail|mail id|(?:home|patient|postal|res\w*)? ?address)\b"),
    ),
    (
        "column of numbers",
        re.compile(
            r"\b(?:aadhaa?r|uid(?:ai)?|abha|health id|pan(?: ?no| card| number)?|mrn|uhid|mrd|medical record|hospital (?:no|number|id)"
            r"|(?:ip|op|opd|ipd|cr|reg(?:istration)?|bed) ?(?:no|num|number|id)|accession(?: ?number| ?no)?|voter|passport|ration card"
            r"|insurance|policy|driving licen[cs]e|account)\b"
        ),
    ),
    (
        "column of names",
        re.compile(
            r"^(?:full ?|patient ?s? ?|first|last|middle|sur|given|family|maiden|father ?s? ?|mother ?s? ?|husband ?s? ?|spouse ?s? ?"
            r"|guardian ?s? ?|relative ?s? ?|pt ?)? ?names?$|\bpatientname\b|^(?:father|mother|husband|guardian|s o|d o|w o)$"
        ),
    ),
    (
        "column of institutions",
        re.compile(
            r"\b(?:hospital|institution|institute|clinic|physician|doctor|referr\w*|consultant|operator|radiographer|department|ward)\b"
        ),
    ),
    (
        "column of dates",
        re.compile(r"\b(?:dob|birth(?: ?date| ?day)?|date ?of ?birth|date|\w*date|timestamp|admission|discharge|study ?time)\b"),
    ),
    (
        "column of places",
        re.compile(
            r"\b(?:pin ?code|zip(?: ?code)?|postal ?code|village|district|taluk[a]?|tehsil|city|town|locality|latitude|longitude)\b"
        ),
    ),
    ("patient key", re.compile(r"^(?:patient|subject|case|person|pt) ?(?:id|no|number|key|code)?$")),
)
_BARE: Final = re.compile(r"^names?$", re.IGNORECASE)
_PERSON: Final = re.compile(r"[^\W\d_]{2,}(?:[ .^,'-]+[^\W\d_]+)*\.?")
_VOCABULARY: Final = frozenset({"categories", "classes", "info", "licenses", "labels"})  # lists of a JSON file whose names are of things
_NOT_A_NAME: Final = re.compile(r"^(?:file|image|class|finding|label|column|series|study|region|category|model|dataset|view) ?names?$")


def column_rule(name: str) -> str:
    """Judge a column by its name.

    Args:
        name: As it stands in the head of the table.

    Returns:
        What the column holds, as a rule without its source; empty when its name says nothing.

    Example:
        >>> column_rule("Patient_Name"), column_rule("UHID No."), column_rule("Finding Labels"), column_rule("image_name")
        ('column of names', 'column of numbers', '', '')
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    plain = re.sub(r"[\W_]+", " ", spaced).strip().lower()
    if _NOT_A_NAME.match(plain):
        return ""
    return next((rule for rule, pattern in _COLUMNS if pattern.search(plain)), "")


class CellWatch:
    """Counts what the cells of a table give away, row by row.

    Args:
        columns: Names of the columns.
        source: ``sheet`` or ``json``.
    """

    def __init__(self, columns: Sequence[str], *, source: str) -> None:
        self._source = source
        self._rules = [column_rule(name) for name in columns]
        self._ages = [bool(_AGE.search(name)) for name in columns]
        self._filled = [False] * len(columns)
        self._bare = [bool(_BARE.match(name.strip())) for name in columns]
        self.found: Counter[str] = Counter()

    def row(self, cells: Sequence[Any]) -> None:
        """Look at one row.

        Args:
            cells: Its cells; None is empty.
        """
        for place, cell in enumerate(cells):
            text = "" if cell is None else str(cell).strip()
            if not text:
                continue
            known = place < len(self._rules)
            if known:
                self._filled[place] |= not self._bare[place] or bool(_PERSON.fullmatch(text))
                if self._ages[place]:
                    self._age(text)
            if not known or self._rules[place] in ("", "patient key"):
                for name, count in looks_like(text).items():
                    self.found[f"{self._source}/looks like {name}"] += count

    def _age(self, text: str) -> None:
        match = _NUMBER.fullmatch(text)
        if match and int(match[1]) > _OLDEST and int(match[1]) != _OLDEST + 1:
            self.found["sheet/age above 89"] += 1

    def close(self) -> Counter[str]:
        """Count the columns that a name gives away and that are not empty.

        Returns:
            Rule -> count of everything seen.
        """
        for rule, filled in zip(self._rules, self._filled, strict=True):
            if rule and filled:
                self.found[f"sheet/{rule}"] += 1
        return +self.found


@guarded("table")
def audit_delimited(path: Path, *, sample_id: str = "") -> Counter[str]:
    """Audit a CSV or TSV file of any length; memory stays bounded.

    Args:
        path: The file, in UTF-8, UTF-16 or a one-byte encoding, with commas, semicolons, tabs or bars between its cells.
        sample_id: Named in errors.

    Returns:
        Rule -> count.

    Raises:
        DataError: The file is no table.
    """
    del sample_id  # used by the guard
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if b"\0" in head and encoding_of(head) != "utf-16":
        raise Unreadable(expected="text", found="binary data")
    csv.field_size_limit(_FIELD)
    with path.open(encoding=encoding_of(head), errors="replace", newline="") as text:
        rows = csv.reader(text, delimiter=delimiter_of(head.decode(encoding_of(head), "replace")))
        return _audit_rows(rows, source="sheet")


def encoding_of(head: bytes) -> str:
    r"""Guess the encoding of a table by its first bytes.

    Example:
        >>> encoding_of(b"\xff\xfea\0"), encoding_of(b"\xef\xbb\xbfa"), encoding_of(b"caf\xe9,")
        ('utf-16', 'utf-8-sig', 'latin-1')
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head[: len(head) - 4 if len(head) >= 1 << 16 else len(head)].decode("utf-8")
    except UnicodeDecodeError as fault:
        return "utf-8-sig" if fault.start >= len(head) - 8 and len(head) >= 1 << 16 else "latin-1"
    return "utf-8-sig"


def delimiter_of(head: str) -> str:
    r"""Choose the delimiter that the first line has most of.

    Example:
        >>> delimiter_of("a;b;c\n1,5;2;3"), delimiter_of("a")
        (';', ',')
    """
    line = next((line for line in head.splitlines() if line.strip()), "")
    return max(",;\t|", key=line.count)


def _audit_rows(rows: Iterable[Sequence[Any]], *, source: str) -> Counter[str]:
    watch: CellWatch | None = None
    for row in rows:
        if watch is None:
            watch = CellWatch(["" if cell is None else str(cell) for cell in row], source=source)
            for cell in row:  # a table without a head has data in its first line
                watch.found.update({f"{source}/looks like {name}": count for name, count in looks_like(str(cell or "")).items()})
        else:
            watch.row(row)
    return watch.close() if watch else Counter()


@guarded("workbook")
def audit_workbook(path: Path, *, sample_id: str = "") -> Counter[str]:
    """Audit every sheet of an XLSX or XLS workbook, hidden ones too, with the names of its authors.

    Args:
        path: The file.
        sample_id: Named in errors.

    Returns:
        Rule -> count.

    Raises:
        DataError: The workbook cannot be read, or would unpack to more than 1 GiB.
    """
    del sample_id  # used by the guard
    if path.suffix.lower() == ".xls":
        return _audit_legacy(path)
    with zipfile.ZipFile(path) as archive:
        comments = sum(bool(_COMMENTS.search(part.filename)) for part in archive.infolist())
    with open_book(path) as book:
        authors = [book.properties.creator, book.properties.lastModifiedBy]
        found = Counter({"sheet/comment": comments, "sheet/author": sum(bool(name) and name != "openpyxl" for name in authors)})
        for sheet in book.worksheets:
            found["sheet/hidden"] += int(sheet.sheet_state != "visible")
            found += _audit_rows(book_rows(sheet), source="sheet")
    return +found


def _audit_legacy(path: Path) -> Counter[str]:
    book = read_legacy(path)
    found = Counter({"sheet/author": int(bool(book.author))})
    for sheet in book.sheets:
        found.update({"sheet/comment": sheet.comments, "sheet/hidden": int(sheet.hidden)})
        found += _audit_rows(iter(sheet.rows), source="sheet")
    return +found


@guarded("JSON")
def audit_json(path: Path, *, sample_id: str = "") -> Counter[str]:
    """Audit a JSON file: keys like columns, values like cells.

    Args:
        path: The file, at most 256 MiB.
        sample_id: Named in errors.

    Returns:
        Rule -> count.

    Raises:
        DataError: The file is no JSON, or too large.
    """
    del sample_id  # used by the guard
    if path.stat().st_size > LARGEST_JSON:
        raise Unreadable(expected="JSON of at most 256 MiB", found="a larger file")
    found: Counter[str] = Counter()
    columns: set[str] = set()
    for key, value in _leaves(json.loads(path.read_text(encoding="utf-8-sig", errors="replace"))):
        rule = column_rule(key)
        if rule and str(value).strip():
            columns.add(f"{rule}\0{key}")
        if rule in ("", "patient key"):
            found.update({f"json/looks like {name}": count for name, count in looks_like(str(value)).items()})
    found.update(f"sheet/{column.split(chr(0))[0]}" for column in columns)
    return +found


def _leaves(node: Any, key: str = "", depth: int = 0, *, of_things: bool = False) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    if depth > _DEEPEST:
        raise Unreadable(expected="JSON of at most 100 levels", found="a deeper one")
    if isinstance(node, dict):
        for name, value in node.items():
            plain = "" if of_things and _BARE.match(name) else str(name)
            yield from _leaves(value, plain, depth + 1, of_things=of_things or name in _VOCABULARY)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, key, depth + 1, of_things=of_things)
    elif node is not None and not isinstance(node, bool | float):
        yield key, node


def audit_text(path: Path) -> Counter[str]:
    """Audit a text file, line by line.

    Args:
        path: The file.

    Returns:
        Rule -> count.
    """
    found: Counter[str] = Counter()
    with path.open("rb") as stream:
        encoding = encoding_of(stream.read(1 << 16))
    with path.open(encoding=encoding, errors="replace") as text:
        while line := text.readline(_FIELD):
            found.update({f"text/looks like {name}": count for name, count in looks_like(line).items()})
    return found
