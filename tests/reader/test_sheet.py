# SPDX-License-Identifier: Apache-2.0
"""Sheets as they come: marks, encodings, packing, notes above the header, blanks in names; damage is named."""

import gzip

import openpyxl
import pytest

from medsetu.core.errors import DataError, ResourceError
from medsetu.reader.sheet import MissingColumnError, keyed, read_cells, read_columns, read_sheet, word_list

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


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_is_the_one_with_which_the_names_are_found(tmp_path, separator):
    path = tmp_path / "labels.csv"
    path.write_text("\n".join([f"sep={separator}", "exported, on Monday", *(separator.join(row) for row in _cells())]) + "\n")
    assert read_sheet(path, columns=COLUMNS) == ROWS
    with pytest.raises(DataError, match="'Image' is missing"):
        read_sheet(path, columns=COLUMNS, separator=",")


def _cells():
    return [list(COLUMNS), *(list(row.values()) for row in ROWS)]


def test_the_worksheet_is_the_first_with_the_columns(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["what this is"])
    for sheet in ("labels", "older labels"):
        rows = book.create_sheet(sheet)
        for cells in _cells():
            rows.append(cells if sheet == "labels" else [*cells[:1], "0", ""] if cells[0] != "Image" else cells)
    book.save(tmp_path / "labels.xlsx")
    assert read_sheet(tmp_path / "labels.xlsx", columns=COLUMNS) == ROWS
    assert read_columns(tmp_path / "labels.xlsx", columns=["Note", "Image"]) == [["one, two", "a.png"], ["ü", "b.png"]]
    assert read_cells(tmp_path / "labels.xlsx") == [["what this is"]]


def test_a_name_that_stands_twice_is_refused_where_it_is_wanted(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("Image,Edema,Edema\na,1,0\n")
    assert read_sheet(path, columns=["Image"]) == [{"Image": "a"}]
    with pytest.raises(DataError, match="Two columns bear the name 'Edema'"):
        read_sheet(path, columns=["Image", "Edema"])


@pytest.mark.parametrize("text", ["a.png,ZZ^SENTINEL,1\nb.png,Rao^Asha,0\n", "Films of ZZ^SENTINEL\n1,2\n3,4\n"])
def test_where_no_row_looks_like_names_no_cell_is_repeated(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(MissingColumnError, match="no row of the sheet looks like names") as caught:
        read_sheet(path, columns=["ZZ^SENTINE"])
    assert "SENTINEL" not in str(caught.value)
    assert caught.value.header == ()


def test_a_sheet_without_permission_is_said_to_be_that(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("ZZ^SENTINEL")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ResourceError, match="permission") as caught:
        read_sheet(tmp_path / "labels.csv", columns=["Image"])
    assert "SENTINEL" not in str(caught.value)


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
    with pytest.raises(DataError, match="is empty"):
        read_sheet(path, columns=["Image"])


@pytest.mark.parametrize("line", ["a.png,1,one, two\n", "a.png,1\n"])
def test_a_row_of_another_length_is_refused(tmp_path, line):
    path = tmp_path / "labels.csv"
    path.write_text(TEXT + line)
    with pytest.raises(DataError, match="1 rows have another number of fields than the header; the first is row 3"):
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
