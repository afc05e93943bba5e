# SPDX-License-Identifier: Apache-2.0
"""After each verb of the data side and each of its refusals neither terminal nor artefact holds the planted patient (T44).

What `prepare` says of bad input is in test_bad_input.py, under the same rule.
"""

import gzip
import logging

import pandas as pd
import pytest

from fakes import nitrd
from fakes.dicom import SENTINEL
from fakes.identified import SECRETS, dicom_bytes, identified_folder, patient_header
from medsetu import cli

ORIGINAL = "in"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files that name the patient: sound ones, cut ones, and ones that are not what their names say."""
    monkeypatch.chdir(tmp_path)
    root = identified_folder(tmp_path / ORIGINAL)
    data = dicom_bytes(patient_header())
    whole = SENTINEL.encode() * 50
    damaged = {
        "cut in the header.dcm": data[:700],
        "cut in the pixels.dcm": data[:-100],
        "empty.dcm": b"",
        "text.png": whole,
        "text.xlsx": whole,
        "text.zip": b"PK\3\4" + whole,
        "cut.nii.gz": gzip.compress(whole * 9)[:60],
        "cut.json": b'{"name": "' + whole,
        "entity.xml": f'<!DOCTYPE a [<!ENTITY b "{SENTINEL}">]><a>&b;</a>'.encode(),
        "quote.csv": f'name,"{SENTINEL}\n'.encode(),
        "half.csv": f"name\n{SENTINEL}\n".encode("utf-16")[:-1],
    }
    for name, content in damaged.items():
        (root / name).write_bytes(content)
    (root / "self.dcm").symlink_to("self.dcm")
    (root / "loop").symlink_to("..", target_is_directory=True)
    return root


@pytest.fixture
def say(capfd, caplog, tmp_path):
    """Run a verb; whatever it says, logs, raises or writes outside the originals is looked through."""
    caplog.set_level(logging.DEBUG)

    def run(*words):
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
        told = "".join(capfd.readouterr())
        assert "Traceback" not in told
        files = [path for path in tmp_path.rglob("*") if path.is_file() and ORIGINAL not in path.relative_to(tmp_path).parts]
        written = {path.relative_to(tmp_path).as_posix(): path.read_bytes().decode("latin-1") for path in files}
        tables = {path.name: pd.read_parquet(path).to_csv() for path in files if path.suffix == ".parquet"}  # packed inside
        said = told + caplog.text + repr(left.value.__cause__) + repr(left.value.__context__)
        for place, text in {"terminal, log or cause": said, "names of files": "".join(written), **written, **tables}.items():
            assert not [secret for secret in SECRETS if secret in text], place
        return left.value.code, " ".join(told.split())

    return run


def test_audit_says_what_it_found_and_what_it_could_not_read(say, folder):
    code, told = say("audit", str(folder.name), "workers=1", "pixels=false")
    assert code == 6
    assert "findings in" in told
    assert "could not be read" in told
    assert "it is no regular file" in told


@pytest.mark.parametrize(
    ("words", "code"), [(["nowhere"], 3), ([ORIGINAL, "retain=[uid]"], 2), ([ORIGINAL, "locate=000000000000"], 3), ([], 2)]
)
def test_refusals_of_audit(say, folder, words, code):
    assert say("audit", *words)[0] == code


def test_deidentify_holds_back_what_it_cannot_clean(say, folder):
    code, told = say("deidentify", f"in={ORIGINAL}", "out=out", "key=keys/a.key", "workers=1")
    assert code == 0
    assert "held back" in told
    assert "Second audit" in told
    assert say("audit", "out", "output=again", "workers=1", "retain=[patient_characteristics,modified_dates,clean_descriptors]")[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([f"in={ORIGINAL}", f"out={ORIGINAL}/x"], 7),
        (["in=nowhere", "out=out"], 3),
        ([f"in={ORIGINAL}", "out=keys"], 7),
        ([f"in={ORIGINAL}", "out=out", f"key={ORIGINAL}/empty.dcm"], 6),
        ([f"in={ORIGINAL}", "out=out", "retain=[uid]"], 2),
        (["out=out"], 2),
    ],
)
def test_refusals_of_deidentify(say, folder, words, code):
    (folder.parent / "keys").mkdir()
    (folder.parent / "keys" / "old").write_text("x")
    given = [] if any(word.startswith("key=") for word in words) else ["key=keys/a.key"]
    assert say("deidentify", *words, *given)[0] == code
    assert not (folder.parent / "out").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["root=nowhere", "release.labels=list.csv"], 3),
        ([f"root={ORIGINAL}", "release.labels=list.csv"], 3),
        ([f"root={ORIGINAL}", "release.labels=text.xlsx"], 3),
        ([f"root={ORIGINAL}", "release.labels=half.csv"], 3),
        ([f"root={ORIGINAL}", "release.labels=list.csv", "release.columns.image=Mobile"], 3),
        ([f"root={ORIGINAL}", "release.labels=list.csv", "release.columns.image=Patient"], 2),
    ],
)
def test_refusals_of_prepare_that_might_repeat_a_cell(say, folder, words, code):
    labels = ["release.columns.image=Patient Name", "release.finding_columns={mass: remark}"]
    assert say("prepare", "release=table", "name=own", "workers=1", *labels, *words)[0] == code


def test_a_release_whose_files_are_damaged(say, folder):
    for path in nitrd.write(folder / "nitrd", per_class=3).rglob("*.*"):
        path.write_bytes(SENTINEL.encode() * 50)
    code, told = say("prepare", "release=nitrd", f"root={ORIGINAL}/nitrd", "workers=1")
    assert code == 3
    assert "cannot be read" in told


@pytest.mark.parametrize(
    ("words", "code"), [(["region=india"], 0), (["show", "nitrdd"], 2), (["tubercolosis"], 2), (["modality=mamography"], 2)]
)
def test_the_catalogue_offers_the_nearest(say, folder, words, code):
    found, told = say("catalog", *words)
    assert found == code
    assert (code == 0) != ("Did you mean '" in told)
    assert "?." not in told
