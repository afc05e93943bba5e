# SPDX-License-Identifier: Apache-2.0
import json
import zipfile

import openpyxl
import pytest
from openpyxl.comments import Comment

from fakes.identified import AADHAAR, MOBILE, SENTINEL
from fakes.xls import write_xls
from medsetu.core.errors import DataError
from medsetu.privacy.sheet import audit_delimited, audit_json, audit_text, audit_workbook, column_rule
from medsetu.reader import workbook

HEAD = ["image", "Patient Name", "Mobile No", "Aadhaar", "UHID", "DOB", "age", "Patient ID", "remark"]
ROW = ["a.png", SENTINEL, MOBILE, AADHAAR, "77", "12/03/1945", "93", "7", "PAN ABCPE1234F"]
WANTED = {
    "sheet/column of names": 1,
    "sheet/column of contacts": 1,
    "sheet/column of numbers": 2,
    "sheet/column of dates": 1,
    "sheet/age above 89": 1,
    "sheet/patient key": 1,
    "sheet/looks like pan": 1,
}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("name", "column of names"),
        ("PatientName", "column of names"),
        ("Father's Name", "column of names"),
        ("S/O", "column of names"),
        ("Contact No.", "column of contacts"),
        ("Email", "column of contacts"),
        ("Address", "column of contacts"),
        ("ABHA", "column of numbers"),
        ("PAN No", "column of numbers"),
        ("MRN", "column of numbers"),
        ("IP No", "column of numbers"),
        ("AccessionNumber", "column of numbers"),
        ("StudyDate", "column of dates"),
        ("date of birth", "column of dates"),
        ("Pincode", "column of places"),
        ("Village", "column of places"),
        ("Hospital", "column of institutions"),
        ("Referred by", "column of institutions"),
        ("patient_id", "patient key"),
        ("Finding Labels", ""),
        ("Image Index", ""),
        ("file_name", ""),
        ("Patient Age", ""),
        ("View Position", ""),
        ("class name", ""),
        ("expand", ""),
        ("OriginalImage[Width", ""),
    ],
)
def test_columns_are_judged_by_name(name, rule):
    assert column_rule(name) == rule


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_in_any_coding(tmp_path, encoding, delimiter):
    path = tmp_path / "list.csv"
    lines = [delimiter.join(HEAD), delimiter.join([*ROW[:-1], f'"{ROW[-1]}{delimiter}é"'])]
    path.write_bytes("\r\n".join(lines).encode(encoding))
    assert audit_delimited(path) == WANTED


def test_empty_columns_and_bare_names_of_things_are_no_findings(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("name,Mobile,Patient Name\nCQ500-CT-42,,\nCQ500-CT-43,, \n")
    assert audit_delimited(path) == {}
    path.write_text("name\nLakshmi\n")
    assert audit_delimited(path) == {"sheet/column of names": 1}


def test_a_table_without_a_head(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"{SENTINEL},1\n{SENTINEL},2\n")
    assert audit_delimited(path) == {"sheet/looks like name": 2}


def test_a_workbook_is_read_with_its_hidden_parts(tmp_path):
    path = tmp_path / "list.xlsx"
    book = openpyxl.Workbook()
    book.active.append(HEAD)
    book.active.append(ROW)
    book.active["A2"].comment = Comment(SENTINEL, "Dr Rao")
    hidden = book.create_sheet("more")
    hidden.sheet_state = "hidden"
    hidden.append(["image"])
    hidden.append([MOBILE])
    book.properties.creator = "Dr Rao"
    book.save(path)
    more = {"sheet/comment": 1, "sheet/author": 1, "sheet/hidden": 1, "sheet/looks like mobile": 1}
    assert audit_workbook(path) == WANTED | more


def test_an_old_workbook_is_audited_like_a_new_one(tmp_path):
    sheets = {"list": [HEAD, ROW], "hidden": [[AADHAAR]]}
    found = audit_workbook(write_xls(tmp_path / "list.xls", sheets, author="A. Person", hidden=["hidden"], notes=1))
    assert WANTED.items() <= found.items()
    assert (found["sheet/author"], found["sheet/hidden"], found["sheet/comment"]) == (1, 1, 1)
    assert found["sheet/looks like aadhaar"] == 1


def test_a_workbook_that_would_unpack_too_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_UNPACKED", 1000)
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", " " * 5000)
    with pytest.raises(DataError, match="unpacks"):
        audit_workbook(path)


def test_json_keys_are_columns_and_values_cells(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"patients": [{"patient_name": SENTINEL, "note": f"call {MOBILE}"}], "categories": [{"name": "Tuberculosis"}]})
    )
    assert audit_json(path) == {"sheet/column of names": 1, "json/looks like mobile": 1}
    path.write_text(json.dumps({"categories": [{"name": "Smt. Devi"}]}))
    assert audit_json(path) == {"json/looks like name": 1}


def test_json_without_end_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 400 + "]" * 400)
    with pytest.raises(DataError, match="100 levels"):
        audit_json(path)
    path.write_text("[" * 200_000)
    with pytest.raises(DataError):
        audit_json(path)


def test_text_is_read_line_by_line(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text(f"Patient: Lakshmi\nborn 12/03/1945\nAadhaar {AADHAAR}\nmild cardiomegaly\n")
    assert audit_text(path) == {"text/looks like name": 1, "text/looks like date": 1, "text/looks like aadhaar": 1}


def test_binary_data_is_no_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n\0\0SENTINEL\n")
    with pytest.raises(DataError) as caught:
        audit_delimited(path)
    assert "SENTINEL" not in str(caught.value)
