# SPDX-License-Identifier: Apache-2.0
"""XLS workbooks, as Excel wrote them until 2003 and hospitals still do: every sheet as rows of text."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import xlrd

from medsetu.reader.guard import Unreadable

MAX_BYTES: Final = 1 << 28
"""A sheet of the format has at most 65,536 rows of 256 cells."""

_BLANK: Final = (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK, xlrd.XL_CELL_ERROR)


@dataclass(frozen=True)
class LegacySheet:
    """One sheet.

    Attributes:
        rows: Cells as text: whole numbers without a point, dates as ISO 8601, errors and blanks empty.
        hidden: Whether Excel does not show it.
        comments: Cells with a note.
    """

    rows: Sequence[Sequence[str]]
    hidden: bool
    comments: int


@dataclass(frozen=True)
class LegacyBook:
    """A workbook.

    Attributes:
        author: Who saved it last, as the file says.
        sheets: In the order of the file.
    """

    author: str
    sheets: Sequence[LegacySheet]


def read_legacy(path: Path) -> LegacyBook:
    """Read a workbook as a whole.

    Args:
        path: The ``.xls`` file.

    Returns:
        Its sheets.

    Raises:
        Unreadable: It is encrypted, no workbook of this format, or too large. Faults of xlrd on damaged bytes pass through.
    """
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(expected=f"a workbook of at most {MAX_BYTES} bytes", found="a larger file")
    try:
        with xlrd.open_workbook(str(path), logfile=io.StringIO(), ragged_rows=True) as book:
            sheets = [_sheet(sheet, book.datemode) for sheet in book.sheets()]
            return LegacyBook(str(book.user_name or "").strip(), sheets)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError) as error:
        locked = "encrypted" in str(error).lower()
        raise Unreadable(
            expected="a workbook of Excel 97 to 2003",
            found="an encrypted one" if locked else "another format, or damage",
            remedy="Save it without a password" if locked else "Save it as .xlsx or as UTF-8 CSV",
        ) from error


def _sheet(sheet: Any, datemode: int) -> LegacySheet:  # noqa: ANN401 - xlrd is not typed
    rows = [[_text(cell, datemode) for cell in sheet.row(number)] for number in range(sheet.nrows)]
    return LegacySheet(rows, bool(sheet.visibility), len(sheet.cell_note_map))


def _text(cell: Any, datemode: int) -> str:  # noqa: ANN401 - xlrd is not typed
    if cell.ctype in _BLANK:
        return ""
    if cell.ctype == xlrd.XL_CELL_DATE:
        return _date(float(cell.value), datemode)
    if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_BOOLEAN):
        number = float(cell.value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(cell.value)


def _date(number: float, datemode: int) -> str:
    try:
        moment = xlrd.xldate_as_datetime(number, datemode)
    except (xlrd.XLDateError, OverflowError):
        return repr(number)
    return str(moment.date().isoformat() if number.is_integer() else moment.isoformat(sep=" ", timespec="seconds"))
