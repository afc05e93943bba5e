# SPDX-License-Identifier: Apache-2.0
"""Label sheets as releases publish them: CSV in several encodings, packed or not, and XLSX, with notes above the header."""

import ast
import codecs
import csv
import gzip
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TypeVar, cast

from medsetu.core.errors import DataError, nearest
from medsetu.reader.guard import FAULTS, Unreadable
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


def read_sheet(path: Path, *, columns: Sequence[str], optional: Sequence[str] = (), separator: str = ",") -> list[dict[str, str]]:
    """Read the named columns of a label sheet; other columns are not kept.

    The header is the first row that holds all wanted names, so notes above it do no harm. Names and cells lose blanks at their ends, and
    columns without a name are left out. A sheet that is not UTF-8 is read as Latin-1, in which every byte is a letter.

    Args:
        path: ``.xlsx``, or text, packed when it ends in ``.gz``.
        columns: Names that must be there.
        optional: Names that may be there; their cells are empty where they are not.
        separator: Field separator of a text.

    Returns:
        One mapping per row that is not blank, in the order of the sheet.

    Raises:
        DataError: The sheet cannot be read, a column is missing (the nearest one is named), or a row has more fields than the header, or
            fewer in a text.
    """
    try:
        return _named(_rows(path, separator), columns=columns, optional=optional, path=path)
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
        path: ``.xlsx`` (its first sheet), or text, packed when it ends in ``.gz``.
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
    book = path.suffix.lower() in (".xlsx", ".xlsm")
    yield from (row for row in (_of_book(path) if book else _of_text(path, separator)) if any(row))


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        what=f"The sheet cannot be read ({type(error).__name__})", where=str(path), remedy="Download it again, or save it as UTF-8 CSV"
    )


def _of_book(path: Path) -> list[list[str]]:
    with open_book(path) as book:
        told = [["" if cell is None else str(cell) for cell in row] for row in book_rows(book.worksheets[0]) if any(row)]
    width = max(map(len, told), default=0)
    if width * len(told) > MAX_CELLS:
        raise ValueError
    return [row + [""] * (width - len(row)) for row in told]


def _of_text(path: Path, separator: str) -> Iterator[list[str]]:
    coding = _coding(path)
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


def _named(rows: Iterator[list[str]], *, columns: Sequence[str], optional: Sequence[str], path: Path) -> list[dict[str, str]]:
    header, below = _header(rows, columns, path)
    at = {name: header.index(name) for name in (*columns, *optional) if name in header}
    absent = dict.fromkeys([name for name in optional if name not in header], "")
    table: Iterator[dict[str, str]] = ({name: row[place].strip() for name, place in at.items()} for row in _whole(header, below, path))
    return [cells | absent for cells in table] if absent else list(table)


def _header(rows: Iterator[list[str]], columns: Sequence[str], path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """Find the first row that holds all names, and what stands below it."""
    head = [[cell.strip() for cell in row] for row in itertools.islice(rows, PREAMBLE)]
    place = next((number for number, row in enumerate(head) if set(columns) <= set(row)), None)
    if place is None:
        likeliest = max(head, key=lambda row: len(set(columns) & set(row)), default=[])
        raise _missing(next(name for name in columns if name not in likeliest), likeliest, path)
    return head[place], itertools.chain(head[place + 1 :], rows)


def _whole(header: list[str], rows: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """Keep rows that are as long as their header and not blank: one by one, so that a large sheet is never in memory as a whole."""
    full = width = len(header)
    while not header[width - 1]:
        width -= 1  # columns without a name stand at the end
    ragged = 0
    for row in rows:
        filled = bool("".join(row).strip())
        if len(row) < width or (len(row) > full and any(row[full:])):
            ragged += filled
        elif filled:
            yield row
    if ragged:
        raise DataError(
            what=f"{ragged} rows have another number of fields than the header",
            where=str(path),
            remedy="Use the sheet as published: a comma inside a field stands in quotes",
        )


def _missing(name: str, header: Iterable[str], path: Path) -> DataError:
    near = nearest(name, [other for other in header if other])
    return DataError(
        what=f"Column '{name}' is missing",
        where=str(path),
        remedy=f"Use the sheet as published; its nearest column is '{near}'" if near else "Use the sheet as published",
    )
