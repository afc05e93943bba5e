# SPDX-License-Identifier: Apache-2.0
"""Label sheets as releases publish them: CSV in several encodings, packed or not, and XLSX, with notes above the header."""

import ast
import codecs
import csv
import gzip
import io
import itertools
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from medsetu.core.errors import DataError, MedsetuError, ResourceError, nearest
from medsetu.reader.guard import FAULTS, Unreadable
from medsetu.reader.legacy import read_legacy
from medsetu.reader.workbook import book_rows, open_book

MAX_BYTES = 1 << 31
"""No label sheet of a known release comes near two gibibytes unpacked."""
MAX_CELLS = 1 << 26
"""Cells of an XLSX sheet: a million rows of sixty columns."""
PREAMBLE = 60
"""Rows above the header that may be notes."""

_Row = TypeVar("_Row")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_LONGEST = 1 << 22  # letters of a line
_CHUNK = 1 << 20
_SEPARATORS = (",", ";", "\t", "|")
_FOUND: tuple[tuple[type[Exception], str], ...] = (
    (csv.Error, "a quote that is not closed, or text behind one"),
    (zipfile.BadZipFile, "no archive, as a workbook is"),
    (gzip.BadGzipFile, "not packed, though its name says so"),
    (EOFError, "a packed file that ends early"),
    (UnicodeError, "letters of another encoding than its first bytes promise"),
)
_DATUM = re.compile(r"\^|^[-+]?\d[\d.,/: -]*$|^\d{4}-\d\d-\d\d|\.(png|jpe?g|tiff?|dcm|dicom|nii|gz|pgm|npz)$|.{61}", re.IGNORECASE)
"""What stands in no name of a column."""


class MissingColumnError(DataError):
    """A sheet lacks a column.

    Args:
        name: The column.
        header: Names in the row that is most like the header; empty where no row looks like names, for data belong in no message.
        path: The sheet.
    """

    def __init__(self, name: str, header: Sequence[str], *, path: Path) -> None:
        near = nearest(name, header)
        named = f"Use the sheet as published; its nearest column is '{near}'" if near else "Use the sheet as published"
        super().__init__(
            what=f"Column '{name}' is missing",
            where=str(path),
            remedy=named if header else "Write the names of the columns above the rows: no row of the sheet looks like names",
        )
        self.name, self.header = name, tuple(header)


def read_sheet(path: Path, *, columns: Sequence[str], optional: Sequence[str] = (), separator: str = "") -> list[dict[str, str]]:
    """Read the named columns of a label sheet; other columns are not kept.

    The header is the first row that holds all wanted names, so notes above it do no harm. Names and cells lose blanks at their ends, and
    columns without a name are left out. A sheet that is not UTF-8 is read as Latin-1, in which every byte is a letter.

    Args:
        path: ``.xlsx`` or ``.xls`` (its first worksheet with the columns), or text, packed when it ends in ``.gz``.
        columns: Names that must be there.
        optional: Names that may be there; their cells are empty where they are not.
        separator: Field separator of a text; when empty the comma, semicolon, tab or bar with which the names are found.

    Returns:
        One mapping per row that is not blank, in the order of the sheet.

    Raises:
        MissingColumnError: A column is missing; the nearest one is named.
        DataError: The sheet cannot be read, a name stands twice in the header, or a row has more fields than the header, or fewer in
            a text.
    """
    try:
        names, rows = _named(path, columns=columns, optional=optional, separator=separator)
        absent = dict.fromkeys([name for name in optional if name not in names], "")
        return [dict(zip(names, row, strict=True)) | absent for row in rows]
    except (Unreadable, *FAULTS) as error:
        raise _unreadable(path, error) from error


def read_columns(path: Path, *, columns: Sequence[str], separator: str = "") -> list[list[str]]:
    """Read the named columns as ``read_sheet`` does, in less memory.

    Returns:
        The cells of each row, in the order of ``columns``.

    Raises:
        DataError: As ``read_sheet``.
    """
    try:
        return list(_named(path, columns=columns, optional=(), separator=separator)[1])
    except (Unreadable, *FAULTS) as error:
        raise _unreadable(path, error) from error


def keyed(rows: Iterable[_Row], key: Callable[[_Row], str], *, path: Path) -> dict[str, _Row]:
    """Find rows by a name that only one of them may have.

    Args:
        rows: Rows of a sheet.
        key: Name of a row.
        path: The sheet, for the message.

    Returns:
        Row by name.

    Raises:
        DataError: Two rows have one name.
    """
    table = [(key(row), row) for row in rows]
    found = dict(table)
    if len(found) != len(table):
        raise DataError(
            what=f"{len(table) - len(found)} rows name a film that has a row already", where=str(path), remedy="Use the sheet as published"
        )
    return found


def word_list(cell: str) -> list[str] | None:
    """Read a cell that holds a list as Python writes it, as some releases do.

    Args:
        cell: Such as ``['Mass', 'Skin Retraction']``.

    Returns:
        The words without blanks at their ends; None when the cell is no list of words.

    Example:
        >>> word_list("['Mass', ' Skin Retraction']"), word_list("['Mass'"), word_list("[1]")
        (['Mass', 'Skin Retraction'], None, None)
    """
    try:
        words = ast.literal_eval(cell)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    return [word.strip() for word in words]


def read_cells(path: Path, *, separator: str = ",") -> list[list[str]]:
    """Read all cells of a sheet as text without blanks at the ends; blank rows are left out.

    Args:
        path: ``.xlsx`` or ``.xls`` (its first sheet), or text, packed when it ends in ``.gz``.
        separator: Field separator of a text.

    Returns:
        The rows. Those of an XLSX sheet are all as long as the longest.

    Raises:
        DataError: The sheet cannot be read.
    """
    try:
        rows = [[cell.strip() for cell in row] for row in _rows(path, separator)]
    except (Unreadable, *FAULTS) as error:
        raise _unreadable(path, error) from error
    return [row for row in rows if any(row)]


def _rows(path: Path, separator: str) -> Iterator[list[str]]:
    """Cells as they stand, row by row; rows without any are left out."""
    for way in _ways(path, separator):
        yield from way()
        return


def _ways(path: Path, separator: str) -> Iterator[Callable[[], Iterator[list[str]]]]:
    """Ways to read a sheet: each worksheet of a book, each separator of a text; rows without any cell are left out."""
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        with open_book(path) as book:
            for sheet in book.worksheets:
                yield lambda sheet=sheet: iter(_of_book(sheet))  # type: ignore[misc]
        return
    if path.suffix.lower() == ".xls":
        for old in read_legacy(path).sheets:
            yield lambda old=old: iter(_even(old.rows))  # type: ignore[misc]
        return
    coding = _coding(path)
    for mark in [separator] if separator else _SEPARATORS:
        yield lambda mark=mark: filter(any, _of_text(path, mark, coding))  # type: ignore[misc]


def _unreadable(path: Path, error: Exception) -> MedsetuError:
    """Say what is wrong with a sheet, without its text."""
    if isinstance(error, PermissionError):
        return ResourceError(what="The sheet may not be read", where=str(path), remedy="Give yourself permission to read it")
    if isinstance(error, Unreadable):
        return DataError(
            what=f"The sheet cannot be read: {error.expected} was expected and {error.found} found", where=str(path), remedy=error.remedy
        )
    found = next((words for kind, words in _FOUND if isinstance(error, kind)), type(error).__name__)
    return DataError(what=f"The sheet cannot be read ({found})", where=str(path), remedy="Download it again, or save it as UTF-8 CSV")


def _of_book(sheet: Any) -> list[list[str]]:  # noqa: ANN401 - openpyxl is not typed
    return _even([["" if cell is None else str(cell) for cell in row] for row in book_rows(sheet)])


def _even(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Rows with any cell, all as long as the longest."""
    told = [[*row] for row in rows if any(row)]
    width = max(map(len, told), default=0)
    if width * len(told) > MAX_CELLS:
        raise ValueError
    return [row + [""] * (width - len(row)) for row in told]


def _of_text(path: Path, separator: str, coding: str) -> Iterator[list[str]]:
    with _opened(path) as stream, io.TextIOWrapper(stream, encoding=coding, newline="") as text:
        yield from csv.reader(_lines(text), delimiter=separator, strict=True)


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST + 1):
        if len(line) > _LONGEST:
            raise ValueError
        yield line


def _coding(path: Path) -> str:
    """Encoding of a text: by its byte order mark, else UTF-8, else Latin-1; read piece by piece, for a packed one may be long."""
    decoder, size = codecs.getincrementaldecoder("utf-8")(), 0
    coding = "utf-8"
    with _opened(path) as stream:
        while part := stream.read(_CHUNK):
            if not size:
                marked = next((name for mark, name in _MARKS if part.startswith(mark)), "")
            size += len(part)
            if size > MAX_BYTES:
                raise ValueError
            if coding == "utf-8" and not marked:
                try:
                    decoder.decode(part)
                except UnicodeDecodeError:
                    coding = "latin-1"
    return (marked or coding) if size else coding


def decode(data: bytes) -> str:
    r"""Decode text by its byte order mark, else as UTF-8, else as Latin-1.

    Args:
        data: The bytes.

    Returns:
        The text.

    Example:
        >>> decode("é".encode("utf-16")), decode(b"\xef\xbb\xbfa"), decode(b"\xe9")
        ('é', 'a', 'é')
    """
    for mark, coding in _MARKS:
        if data.startswith(mark):
            return data.decode(coding)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _named(path: Path, *, columns: Sequence[str], optional: Sequence[str], separator: str) -> tuple[list[str], Iterator[list[str]]]:
    """The names that are there, and their cells row by row."""
    header, below = _header(path, columns, separator)
    names = [name for name in (*columns, *optional) if name in header]
    for name in names:
        if header.count(name) > 1:
            raise DataError(what=f"Two columns bear the name '{name}'", where=str(path), remedy="Give each column a name of its own")
    places = [header.index(name) for name in names]
    return names, ([row[place].strip() for place in places] for row in _whole(header, below, path))


def _header(path: Path, columns: Sequence[str], separator: str) -> tuple[list[str], Iterator[list[str]]]:
    """Find the first row that holds all names, and what stands below it, in the first way of reading that has one."""
    likeliest: list[str] = []
    fault: Exception | None = None
    for way in _ways(path, separator):
        rows = way()
        try:
            head = [[cell.strip() for cell in row] for row in itertools.islice(rows, PREAMBLE)]
        except csv.Error as error:  # it may be that this is not the separator
            fault = error
            continue
        place = next((number for number, row in enumerate(head) if set(columns) <= set(row)), None)
        if place is not None:
            return head[place], itertools.chain(head[place + 1 :], rows)
        likeliest = max([likeliest, *head], key=lambda row: (len(set(columns) & set(row)), are_names(row), len(row)))
    if fault is not None and not set(columns) & set(likeliest):
        raise fault
    if not likeliest:
        raise DataError(what="The sheet is empty", where=str(path), remedy="Download or save it again")
    missing = next(name for name in columns if name not in likeliest)
    told = are_names(likeliest) or bool(set(columns) & set(likeliest))
    raise MissingColumnError(missing, [name for name in likeliest if name] if told else [], path=path)


def are_names(row: Sequence[str]) -> bool:
    """Tell whether a row may be a header: its cells differ, and none is a number, a date, a file or the name of a patient.

    Example:
        >>> are_names(["id", "Age", ""]), are_names(["a.png", "1"]), are_names(["Rao^Asha", "F"]), are_names(["only a title"])
        (True, False, False, False)
    """
    cells = [cell for cell in row if cell]
    return len(cells) > 1 and len(set(cells)) == len(cells) and not any(_DATUM.search(cell) for cell in cells)


def _whole(header: list[str], rows: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """Keep rows that are as long as their header and not blank: one by one, so that a large sheet is never in memory as a whole."""
    full = width = len(header)
    while not header[width - 1]:
        width -= 1  # columns without a name stand at the end
    ragged = first = 0
    for number, row in enumerate(rows, start=1):
        filled = bool("".join(row).strip())
        if len(row) < width or (len(row) > full and any(row[full:])):
            first = first or number * filled
            ragged += filled
        elif filled:
            yield row
    if ragged:
        raise DataError(
            what=f"{ragged} rows have another number of fields than the header; the first is row {first} below it",
            where=str(path),
            remedy="Use the sheet as published: a comma inside a field stands in quotes, and notes stand above the header",
        )
