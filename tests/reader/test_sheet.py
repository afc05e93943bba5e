# SPDX-License-Identifier: Apache-2.0
"""Sheets as they come: marks, encodings, packing, notes above the header, blanks in names; damage is named."""

import gzip

import openpyxl
import pytest

from medsetu.core.errors import DataError
from medsetu.reader.sheet import keyed, read_cells, read_sheet, word_list

TEXT = 'Image, Edema ,Note\na.png,1,"one, two"\nb.png,,ü\n'
ROWS = [{"Image": "a.png", "Edema": "1", "Note": "one, two"}, {"Image": "b.png", "Edema": "", "Note": "ü"}]
COLUMNS = ("Image", "Edema", "Note")


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_every_encoding_and_packing_gives_the_same_rows(tmp_path, coding, ending):
    data = TEXT.encode(coding)
    path = tmp_path / f"labels{ending}"
    path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    assert read_sheet(path, columns=COLUMNS) == ROWS


def test_notes_above_the_header_do_no_harm_in_text_and_book(tmp_path):
    text = tmp_path / "labels.csv"
    text.write_text("made on Monday\n\n" + TEXT)
    assert read_sheet(text, columns=COLUMNS) == ROWS
    book = openpyxl.Workbook()
    for cells in (["made on Monday"], [], ["Image", " Edema ", "Note"], ["a.png", 1, "one, two"], ["b.png", None, "ü"]):
        book.active.append(cells)
    book.save(tmp_path / "labels.xlsx")
    assert read_sheet(tmp_path / "labels.xlsx", columns=COLUMNS) == ROWS


def test_only_named_columns_are_kept_and_optional_ones_may_be_absent(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("Image;Name;;\na;ZZ^SENTINEL;;\n;;;\n")
    assert read_sheet(path, columns=["Image"], optional=["Age"], separator=";") == [{"Image": "a", "Age": ""}]


def test_text_in_a_column_without_name_is_left_out(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("Image,Edema,\na,1,a note\nb,0\n")
    assert read_sheet(path, columns=["Image", "Edema"]) == [{"Image": "a", "Edema": "1"}, {"Image": "b", "Edema": "0"}]


def test_a_missing_column_names_the_nearest(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(TEXT)
    with pytest.raises(DataError, match=r"'Oedema' is missing.*nearest column is 'Edema'"):
        read_sheet(path, columns=["Image", "Oedema"])
    path.write_text("")
    with pytest.raises(DataError, match="'Image' is missing"):
        read_sheet(path, columns=["Image"])


@pytest.mark.parametrize("line", ["a.png,1,one, two\n", "a.png,1\n"])
def test_a_row_of_another_length_is_refused(tmp_path, line):
    path = tmp_path / "labels.csv"
    path.write_text(TEXT + line)
    with pytest.raises(DataError, match="1 rows have another number of fields"):
        read_sheet(path, columns=COLUMNS)


@pytest.mark.parametrize("name", ["labels.csv.gz", "labels.xlsx"])
def test_damage_is_named_without_its_text(tmp_path, name):
    (tmp_path / name).write_bytes(b"ZZ^SENTINEL, no archive")
    with pytest.raises(DataError, match="cannot be read") as caught:
        read_cells(tmp_path / name)
    assert "SENTINEL" not in str(caught.value)


def test_an_unclosed_quote_is_damage(tmp_path):
    (tmp_path / "labels.csv").write_text('Image,Note\na,"open\n')
    with pytest.raises(DataError, match="cannot be read"):
        read_cells(tmp_path / "labels.csv")


def test_a_name_has_one_row(tmp_path):
    assert keyed(["a", "b"], str.upper, path=tmp_path) == {"A": "a", "B": "b"}
    with pytest.raises(DataError, match="1 rows name a film"):
        keyed(["a", "A"], str.upper, path=tmp_path)


@pytest.mark.parametrize("cell", ["", "nan", "Mass", "['Mass'", "[['Mass']]", "{'Mass'}", "{[]: 1}", "__import__('os')", "[" * 500])
def test_what_is_no_list_of_words_is_none(cell):
    assert word_list(cell) is None
