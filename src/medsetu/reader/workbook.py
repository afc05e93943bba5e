# SPDX-License-Identifier: Apache-2.0
"""XLSX workbooks row by row: archives that unpack too far, declared entities and cells beyond the sheet are refused early."""

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final
from xml.parsers import expat

import openpyxl

from medsetu.reader.guard import Unreadable

MAX_ROWS, MAX_COLUMNS = 1 << 20, 1 << 14
"""The largest sheet of the format (ECMA-376)."""

MAX_UNPACKED = 1 << 30  # bytes of a workbook
_MAX_WHOLE: Final = 1 << 26  # bytes of the parts that are parsed as a whole: styles, relations, properties
_STREAMED: Final = ("worksheets/", "sharedStrings", "media/")
_CHUNK: Final = 1 << 16


class _Begun(Exception):  # noqa: N818  (no error: the first element of a document)
    pass


def _begin(*_: object) -> None:
    raise _Begun


def refuse_declaration(*_: object) -> int:
    """Refuse a document type or an entity: handler for expat.

    Raises:
        Unreadable: Always.
    """
    raise Unreadable(expected="XML without a document type or entities", found="a declaration of one", remedy="Remove the declaration")


@contextlib.contextmanager
def open_book(path: Path) -> Iterator[Any]:
    """Open a workbook whose parts were looked at first.

    Args:
        path: The ``.xlsx`` file.

    Yields:
        The workbook of openpyxl, read-only.

    Raises:
        Unreadable: It would unpack to too much, or its XML declares a document type or entities. Faults of zipfile and openpyxl
            pass through.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        whole = sum(part.file_size for part in parts if not any(name in part.filename for name in _STREAMED))
        if sum(part.file_size for part in parts) > MAX_UNPACKED or whole > _MAX_WHOLE:
            raise Unreadable(expected=f"a workbook of at most {MAX_UNPACKED} bytes", found="an archive that unpacks to more")
        for part in parts:
            if part.filename.lower().endswith((".xml", ".rels")):
                with archive.open(part) as stream:
                    _refuse_declarations(stream)
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        yield book
    finally:
        book.close()


def _refuse_declarations(stream: IO[bytes]) -> None:
    """Read a document up to its first element, before which alone a type can be declared."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = refuse_declaration, _begin
    with contextlib.suppress(_Begun, expat.ExpatError):  # broken XML is for openpyxl to refuse
        while part := stream.read(_CHUNK):
            parser.Parse(part)


def book_rows(sheet: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - openpyxl is not typed
    """Read the rows of a sheet as far as its own cells go; the size it declares is not believed.

    Args:
        sheet: Of an open workbook.

    Yields:
        Values of a row; empty for rows without cells.

    Raises:
        Unreadable: For more rows or columns than the format has.
    """
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(values_only=True)):
        if number >= MAX_ROWS or len(row) > MAX_COLUMNS:
            raise Unreadable(expected=f"at most {MAX_ROWS} rows of {MAX_COLUMNS} cells", found="a cell beyond them")
        yield row
