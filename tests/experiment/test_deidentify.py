# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from fakes.identified import SECRETS, dicom_bytes, identified_folder, image_header
from medsetu import cli
from medsetu.core.run import sha256_file
from medsetu.experiment import deidentify as deidentify_module

DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = (DATA / "dicom").resolve()


@pytest.fixture
def say(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as left:
            cli.main([*words, "workers=1"])
        out, err = capfd.readouterr()
        return left.value.code, out, err

    return run


def hashes(folder):
    return {path: sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_is_cleaned_audited_and_named(say, tmp_path):
    source = identified_folder(tmp_path / "in")
    before = hashes(source)
    code, out, err = say("deidentify", "in=in", "out=out", "key=keys/a.key")
    assert (code, err) == (0, "")
    assert hashes(source) == before
    assert "no findings by these rules" in out
    assert "Renamed, as their path told of a patient: 1. Tables that name such files no longer find them." in " ".join(out.split())
    assert not (tmp_path / "out.partial").exists()
    written = list(hashes(tmp_path / "out"))
    assert len(written) == 2
    told = out + err + "".join(str(path.relative_to(tmp_path)) for path in written)
    told += "".join(path.read_text() for path in (tmp_path / "deidentify_audit").iterdir())
    content = "".join(path.read_bytes().decode("latin-1") for path in written)
    assert not [secret for secret in SECRETS if secret in told + content]
    record = json.loads((tmp_path / "deidentify_audit" / "deidentify.json").read_text())
    assert (record["written"], len(record["held"]), record["renamed"]) == (2, 1, 1)
    assert say("audit", "out", "output=again", "retain=[patient_characteristics,modified_dates,clean_descriptors]")[0] == 0


def test_the_same_key_gives_the_same_pseudonyms(say, tmp_path):
    identified_folder(tmp_path / "in")
    for out in ("one", "two"):
        assert say("deidentify", "in=in", f"out={out}", "key=keys/a.key")[0] == 0
    one, two = (next((tmp_path / name).rglob("*.dcm")) for name in ("one", "two"))
    assert one.relative_to(tmp_path / "one") == two.relative_to(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert say("deidentify", "in=in", "out=three", "key=keys/other.key")[0] == 0
    assert dcmread(next((tmp_path / "three").rglob("*.dcm"))).PatientID != dcmread(one).PatientID


def test_what_is_left_keeps_the_output_from_its_name(say, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("image,Patient Name\na.png,Lakshmi\n")
    code, out, err = say("deidentify", "in=in", "out=out", "key=a.key", "columns={Patient Name: keep}")
    assert code == 6
    assert "Renamed" not in out
    assert "second audit" in err
    assert "Lakshmi" not in err
    assert (tmp_path / "out.partial" / "a.csv").is_file()
    assert not (tmp_path / "out").exists()


def test_a_key_in_the_output_is_refused(say, tmp_path):
    identified_folder(tmp_path / "in")
    code, _, err = say("deidentify", "in=in", "out=out", "key=out/a.key")
    assert code == 6
    assert "key" in err.lower()
    assert not (tmp_path / "out").exists()
    assert say("deidentify", "in=in", "out=in/out", "key=a.key")[0] == 7
    assert say("deidentify", "in=in", "out=out", "key=a.key", "gated=hide")[0] == 2


def test_nothing_written_is_said(say, tmp_path):
    (tmp_path / "in").mkdir()
    header = image_header(modality="US")
    del header.BurnedInAnnotation
    (tmp_path / "in" / "a.dcm").write_bytes(dicom_bytes(header))
    code, _, err = say("deidentify", "in=in", "out=out", "key=a.key")
    assert code == 3
    assert "held back" in err


@pytest.mark.shared
@pytest.mark.skipif(not REAL.is_dir(), reason="the real DICOM files are not here")
def test_real_dicom_is_cleaned(say, tmp_path):
    before = hashes(REAL)
    code, out, err = say("deidentify", f"in={REAL}", "out=out", "key=a.key")
    assert (code, err) == (0, ""), out
    assert hashes(REAL) == before
    assert len(hashes(tmp_path / "out")) >= 4


KILLED = """
import os, sys
from medsetu import cli
from medsetu.privacy import deidentify

write = deidentify.atomic_write
count = 0

def fatal(path, data):
    global count
    count += 1
    if count == 12:
        os.kill(os.getpid(), 9)
    return write(path, data)

deidentify.atomic_write = fatal
cli.main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_and_started_again_it_ends_as_if_it_had_not_been(say, tmp_path, monkeypatch):
    source = tmp_path / "in"
    source.mkdir()
    for number in range(20):
        (source / f"{number:02d}.dcm").write_bytes(dicom_bytes(image_header()))
    before = hashes(source)
    words = ("deidentify", "in=in", "out=out", "key=a.key")
    assert say(*words[:2], "out=whole", words[3], "report=other")[0] == 0
    killed = subprocess.run([sys.executable, "-c", KILLED, *words, "workers=1"], check=False, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert len(hashes(tmp_path / "out.partial")) == 11
    again = []
    clean = deidentify_module.clean_batch
    monkeypatch.setattr(deidentify_module, "clean_batch", lambda jobs: again.extend(jobs) or clean(jobs))
    assert say(*words)[0] == 0
    assert len(again) == 12  # one batch of eight was noted; three files written after it are written anew
    assert hashes(source) == before
    one, two = (
        {path.relative_to(tmp_path / name): digest for path, digest in hashes(tmp_path / name).items()} for name in ("whole", "out")
    )
    assert one == two
    assert len(one) == 20
    assert not (tmp_path / "deidentify_audit" / "cleaned.jsonl").exists()
    assert json.loads((tmp_path / "deidentify_audit" / "deidentify.json").read_text())["written"] == 20


def test_an_output_begun_with_other_settings_is_refused(say, tmp_path):
    identified_folder(tmp_path / "in")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "a").write_text("of another start")
    code, _, err = say("deidentify", "in=in", "out=out", "key=a.key")
    assert code != 0
    assert "not empty" in err
    assert (tmp_path / "out.partial" / "a").read_text() == "of another start"
