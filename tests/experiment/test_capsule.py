# SPDX-License-Identifier: Apache-2.0
"""What leaves the house: enough to find the numbers again, and no name, no film, no folder."""

import io
import json
import shutil
import zipfile

import pandas as pd
import pytest

from fakes.film import SENTINEL
from medsetu import cli
from medsetu.backbone import header
from medsetu.catalog.card import load_card
from medsetu.core.errors import LicenceError, PrivacyError
from medsetu.core.run import sha256_bytes
from medsetu.experiment import capsule
from medsetu.experiment.archive import LISTING
from medsetu.experiment.capsule import write_capsule
from medsetu.experiment.reproduce import REPORT
from medsetu.manifest.frozen import load


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    path = tmp_path_factory.mktemp("capsule") / "demo.zip"
    write_capsule(finished.runs / "demo", path)
    return path


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def words(files):
    tables = [pd.read_parquet(io.BytesIO(content)).to_csv() for name, content in files.items() if name.endswith(".parquet")]
    return "\n".join([*tables, *(content.decode("latin-1") for content in files.values())])


def reproduced(path, *others):
    with pytest.raises(SystemExit) as left:
        cli.main(["reproduce", str(path), *others])
    return left.value.code


def test_a_capsule_passes_far_from_where_it_was_made(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy = shutil.copy(packed, tmp_path / "theirs.zip")
    assert reproduced(copy, "replay=true") == 0
    record = json.loads((tmp_path / "theirs-reproduction" / REPORT).read_text())
    tables = {check["item"]: check["status"] for check in record["checks"] if check["area"] == "numbers"}
    assert {tables[f"study/{name}"] for name in ("results.parquet", "matrix.csv", "contrasts.csv")} == {"same"}


def test_who_has_the_films_trains_it_again_to_the_same_bits(packed, films, tmp_path):
    roots = [f"+roots.phantom_{country}={films / country}" for country in ("global", "local")]
    assert reproduced(packed, *roots, f"output={tmp_path}") == 0
    record = json.loads((tmp_path / REPORT).read_text())
    training = [check for check in record["checks"] if check["area"] == "training"]
    assert len(training) == 3
    assert all("all to the last bit" in check["note"] for check in training)


def test_nobody_is_named_and_no_place(packed, finished, films):
    text = words(contents(packed))
    manifest = load(finished.runs / "work" / "manifest" / "demo").manifest
    for name in (SENTINEL, SENTINEL.replace("^", "_"), str(films), str(finished.runs)):
        assert name not in text
    for column in ("sample_id", "patient_id", "group_id", "study_id", "path", "phash"):
        assert [value for value in manifest[column].dropna().unique() if len(value) > 5 and value in text] == []


def test_the_same_folder_is_the_same_bytes_and_every_file_is_listed(packed, finished, tmp_path):
    write_capsule(finished.runs / "demo", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    files = contents(packed)
    listed = dict(line.split("  ")[::-1] for line in files.pop(LISTING).decode().splitlines())
    assert listed == {name: sha256_bytes(content) for name, content in files.items()}
    assert not [name for name in files if name.endswith((".html", ".npz", ".dcm", ".png", "log.txt"))]
    assert sum(name.endswith(".safetensors") for name in files) == 4


def test_weights_stay_where_a_licence_does_not_let_them_go(finished, tmp_path, monkeypatch):
    def taught(path):
        sha256, note, tensors = header.read_header(path)
        return sha256, {**note, "weights": {**note["weights"], "trained_on": ["nitrd"]}}, tensors

    monkeypatch.setattr(capsule, "read_header", taught)
    _, left_out = write_capsule(finished.run("local-only"), tmp_path / "run.zip")
    assert "does not permit publishing weights" in left_out[f"{finished.run('local-only').name}/checkpoints/finetune.safetensors"]
    assert not [name for name in contents(tmp_path / "run.zip") if name.endswith(".safetensors")]
    assert reproduced(tmp_path / "run.zip", "replay=true") == 0


def test_weights_stay_where_their_header_does_not_clearly_let_them_go(finished, tmp_path, monkeypatch):
    def made(path):
        sha256, note, tensors = header.read_header(path)
        said = {"permits": {"release_weights": "ask"}, "clauses": ["ShareAlike of X: the same licence"]}
        return sha256, {**note, "weights": {**note["weights"], **said}}, tensors

    monkeypatch.setattr(capsule, "read_header", made)
    _, left_out = write_capsule(finished.run("local-only"), tmp_path / "run.zip")
    assert all("ShareAlike of X" in reason for name, reason in left_out.items() if name.endswith(".safetensors"))
    assert not [name for name in contents(tmp_path / "run.zip") if name.endswith(".safetensors")]


def test_terms_of_the_tables_are_told_and_a_release_that_forbids_them_stops_all(packed, finished, tmp_path, monkeypatch):
    assert "- phantom (Apache-2.0): permitted: Made by medsetu itself" in contents(packed)["README.md"].decode()
    monkeypatch.setattr(capsule, "cards_of", lambda recipe: [load_card("nitrd"), load_card("padchest")])
    with pytest.raises(LicenceError, match=r"'padchest'.*no redistribution"):
        write_capsule(finished.run("local-only"), tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(capsule, "cards_of", lambda recipe: [load_card("nitrd")])
    write_capsule(finished.run("local-only"), tmp_path / "x.zip")
    assert "- nitrd (no licence text known): ask first: No licence text" in contents(tmp_path / "x.zip")["README.md"].decode()


def test_a_name_that_would_leave_stops_everything(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(capsule, "renamed", lambda table, code: table)
    with pytest.raises(PrivacyError, match="would leave"):
        write_capsule(finished.runs / "demo", tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_is_no_zip_file_is_refused(finished, tmp_path, capfd):
    with pytest.raises(SystemExit) as left:
        cli.main(["capsule", str(finished.study), f"output={tmp_path / 'x.tar'}"])
    assert left.value.code == 2
    assert "A capsule is a zip file" in capfd.readouterr().err
