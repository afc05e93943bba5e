# SPDX-License-Identifier: Apache-2.0
import csv
from datetime import date

import pytest

from fakes.identified import AADHAAR, MOBILE, SENTINEL
from medsetu.core.errors import ConfigError
from medsetu.privacy.column import check_columns, clean_table
from medsetu.privacy.pseudonym import Pseudonyms
from medsetu.privacy.sheet import audit_delimited

KEY = Pseudonyms(bytes(32))
HEAD = ["image", "Patient Name", "Mobile", "patient_id", "StudyDate", "age", "finding", "remark"]
ROWS = [
    ["a.png", SENTINEL, MOBILE, "17", "2024-03-01", "93", "TB", "mild"],
    ["b.png", SENTINEL, MOBILE, "17", "2024-03-15", "45", "", f"aadhaar {AADHAAR}"],
    ["c.png", SENTINEL, MOBILE, "18", "01/03/2024", "090Y", "TB", "a, b"],
]


def cleaned(tmp_path, *, columns=(), encoding="utf-8", delimiter=","):
    path = tmp_path / "list.csv"
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([HEAD, *ROWS])
    data = clean_table(path, columns=dict(columns), pseudonyms=KEY)
    return list(csv.DictReader(data.decode().splitlines(), delimiter=delimiter)), data


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8", ","), ("utf-16", ";"), ("utf-8-sig", "\t")])
def test_identifying_columns_go_and_the_rest_stays(tmp_path, encoding, delimiter):
    rows, data = cleaned(tmp_path, encoding=encoding, delimiter=delimiter)
    assert list(rows[0]) == ["image", "patient_id", "age", "finding", "remark"]
    assert [row["patient_id"] for row in rows] == [KEY.name("17"), KEY.name("17"), KEY.name("18")]
    assert [row["age"] for row in rows] == ["90", "45", "090Y"]
    assert [row["remark"] for row in rows] == ["mild", "", "a, b"]
    assert b"SENTINEL" not in data
    (tmp_path / "out.csv").write_bytes(data)
    assert audit_delimited(tmp_path / "out.csv") == {"sheet/patient key": 1}


def test_dates_move_with_their_patient(tmp_path):
    rows, _ = cleaned(tmp_path, columns={"StudyDate": "date", "finding": "drop"})
    first, second = (date.fromisoformat(row["StudyDate"]) for row in rows[:2])
    assert (second - first).days == 14
    assert (date(2024, 3, 1) - first).days == KEY.shift_days("17")
    assert (date(2024, 3, 1) - date.fromisoformat(rows[2]["StudyDate"])).days == KEY.shift_days("18")
    assert "finding" not in rows[0]


def test_a_name_may_become_a_pseudonym(tmp_path):
    rows, _ = cleaned(tmp_path, columns={"Patient Name": "pseudonym", "patient_id": "drop"})
    assert {row["Patient Name"] for row in rows} == {KEY.name(SENTINEL)}


def test_actions_are_checked():
    assert check_columns({"a": "keep"}) == {"a": "keep"}
    with pytest.raises(ConfigError, match="Did you mean 'drop'"):
        check_columns({"a": "drp"})


def test_an_empty_table_stays_empty(tmp_path):
    (tmp_path / "a.csv").write_text("\n")
    assert clean_table(tmp_path / "a.csv", columns={}, pseudonyms=KEY).strip() == b""
