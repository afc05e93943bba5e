# SPDX-License-Identifier: Apache-2.0
"""XLS workbooks: text, whole numbers and dates as a person reads them; damage and passwords have names."""

import contextlib
from datetime import date

import pytest

from fakes.xls import write_xls
from medsetu.core.errors import DataError
from medsetu.reader.guard import FAULTS, Unreadable
from medsetu.reader.legacy import read_legacy
from medsetu.reader.sheet import read_cells, read_sheet

ROWS = [["Register 2024"], ["File", "Mass ", "Seen"], [20586908, "X", date(2024, 3, 1)], [20586934, None, 0.5], [None, None]]


def test_cells_are_text_as_a_person_reads_them(tmp_path):
    book = read_legacy(write_xls(tmp_path / "a.xls", {"films": ROWS, "more": [["ä"]]}, author="ZZ^SENTINEL", hidden=["more"], notes=2))
    assert [*map(list, book.sheets[0].rows)][2] == ["20586908", "X", "2024-03-01"]
    assert [*map(list, book.sheets[0].rows)][3] == ["20586934", "", "0.5"]
    assert (book.author, book.sheets[0].comments) == ("ZZ^SENTINEL", 2)
    assert [sheet.hidden for sheet in book.sheets] == [False, True]
    assert book.sheets[1].rows == [["ä"]]


def test_it_is_a_sheet_like_any_other(tmp_path):
    path = write_xls(tmp_path / "a.xls", {"about": [["nothing here"]], "films": ROWS})
    assert read_sheet(path, columns=["File", "Mass"], optional=["Seen"]) == [
        {"File": "20586908", "Mass": "X", "Seen": "2024-03-01"},
        {"File": "20586934", "Mass": "", "Seen": "0.5"},
    ]
    with pytest.raises(DataError, match="nearest"):
        read_sheet(path, columns=["Filee"])
    assert read_cells(path) == [["nothing here"]]


@pytest.mark.parametrize(
    "content", [b"", b"<html><table><tr><td>id</td></tr></table></html>", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)]
)
def test_what_is_no_workbook_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.xls"
    path.write_bytes(content)
    with pytest.raises((Unreadable, *FAULTS)):
        read_legacy(path)
    with pytest.raises(DataError, match=r"cannot be read.*a\.xls"):
        read_cells(path)


def test_a_torn_workbook_is_refused_or_read_and_never_crashes(tmp_path):
    whole = write_xls(tmp_path / "a.xls", {"films": ROWS}).read_bytes()
    path = tmp_path / "b.xls"
    for at in range(0, len(whole), 7):
        for damaged in (whole[:at], whole[:at] + b"\xff\xff" + whole[at + 2 :]):
            path.write_bytes(damaged)
            with contextlib.suppress(DataError):
                read_cells(path)


def test_a_password_is_named(tmp_path):
    locked = write_xls(tmp_path / "a.xls", {"films": ROWS}).read_bytes()
    at = 4 + 16
    path = tmp_path / "b.xls"
    path.write_bytes(locked[:at] + b"\x2f\x00\x06\x00\x00\x00\x12\x34\x56\x78" + locked[at:])
    with pytest.raises(DataError, match="an encrypted one"):
        read_cells(path)
