# SPDX-License-Identifier: Apache-2.0
"""Workbooks that would cost memory or time are refused before they do."""

import io
import zipfile

import openpyxl
import pytest

from medsetu.core.errors import DataError
from medsetu.reader.sheet import read_cells, read_sheet
from medsetu.reader.workbook import book_rows, open_book


def book(tmp_path, **changes):
    """Write a workbook; ``old=new`` pairs change the bytes of its sheet."""
    buffer = io.BytesIO()
    made = openpyxl.Workbook()
    for row in (["id", "finding"], ["film-1", "mass"]):
        made.worksheets[0].append(row)
    made.save(buffer)
    path = tmp_path / "labels.xlsx"
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                for before, after in changes.get("sheet", ()):
                    assert before in content
                    content = content.replace(before, after)
            new.writestr(name, content)
    return path


def test_rows_go_as_far_as_their_cells_whatever_the_size_that_is_declared(tmp_path):
    path = book(tmp_path, sheet=[(b'ref="A1:B2"', b'ref="A1:XFD1048576"')])
    with open_book(path) as found:
        assert list(book_rows(found.worksheets[0])) == [("id", "finding"), ("film-1", "mass")]
    assert read_sheet(path, columns=["id"]) == [{"id": "film-1"}]


@pytest.mark.parametrize(
    "change",
    [
        (b"<worksheet", b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet'),
        (b'<row r="2"', b'<row r="1000000000"'),
        (b'r="B2"', b'r="ZZZ2"'),
        (b"</worksheet>", b"<torn"),
    ],
)
def test_entities_far_cells_and_torn_xml_are_refused_by_name(tmp_path, change):
    with pytest.raises(DataError, match=r"cannot be read.*labels\.xlsx"):
        read_cells(book(tmp_path, sheet=[change]))
