# SPDX-License-Identifier: Apache-2.0
import json
import os
from pathlib import Path

import pytest

from fakes.identified import SECRETS, identified_folder
from medsetu import cli
from medsetu.core.errors import DataError
from medsetu.experiment import audit
from medsetu.privacy.audit import reference

DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[3] / "shared" / "data"))

REAL = (DATA / "dicom").resolve()


@pytest.fixture
def say(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as left:
            cli.main(["audit", *map(str, words), "workers=1"])
        out, err = capfd.readouterr()
        return left.value.code, out, err

    return run


def test_findings_are_reported_and_leave_with_code_6(say, tmp_path):
    folder = identified_folder(tmp_path / "in")
    code, out, err = say(folder, "pixels=false")
    assert code == 6
    assert "(0010,0010)" in out
    assert "findings in" in err
    assert "deidentify" in err
    written = "".join(path.read_text() for path in (tmp_path / "audit").iterdir())
    assert not [secret for secret in SECRETS if secret in out + err + written]
    assert json.loads((tmp_path / "audit" / "audit.json").read_text())["files"]["audited"] == 3


def test_rules_beyond_the_last_line_are_told_by_their_kind(say, tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "_SHOWN", 2)
    _, out, _ = say(identified_folder(tmp_path / "in"), "pixels=false")
    told = " ".join(out.partition("more rules: ")[2].split())
    assert "of kind 'private'" in told
    assert "of kind 'uid'" in told


def test_a_file_that_cannot_be_read_is_no_clean_one(say, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("{")
    (tmp_path / "in" / "b.csv").write_text("image,finding\na.png,1\n")
    code, out, err = say("folder=in", "output=report")
    assert code == DataError.exit_code
    assert "1 of 2 files could not be read" in err
    assert "1 could not be read" in out
    assert (tmp_path / "report" / "audit.html").is_file()


def test_a_clean_folder_leaves_with_code_0(say, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("plain words\n")
    code, out, err = say("folder=in", "output=report")
    assert (code, err) == (0, "")
    assert "Audited 1 file: no findings by these rules." in out
    assert (tmp_path / "report" / "audit.html").is_file()


def test_a_reference_is_located(say, tmp_path):
    folder = identified_folder(tmp_path / "in")
    code, out, _ = say(folder, f"locate={reference(Path('list.csv'))}")
    assert (code, out.strip()) == (0, "list.csv")
    assert say(folder, "locate=000000000000")[0] == 3


def test_mistakes_are_named(say, tmp_path):
    assert say(tmp_path / "missing")[0] == 3
    code, _, err = say(identified_folder(tmp_path / "in"), "retain=[uid]")
    assert code == 2
    assert "Did you mean 'uids'" in err


@pytest.mark.shared
@pytest.mark.skipif(not REAL.is_dir(), reason="the real DICOM files are not here")
def test_real_dicom_is_audited(say, tmp_path):
    code, _, _ = say(REAL, "pixels=false")
    found = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert code == 6
    assert found["files"]["audited"] == 6
    assert {"dicom/00100010", "dicom/00100020", "dicom/0020000D"} <= {row["rule"] for row in found["findings"]}
