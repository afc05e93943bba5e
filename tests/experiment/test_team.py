# SPDX-License-Identifier: Apache-2.0
"""Jobs that cannot change on the way, and what becomes of all processes when one ends."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.table import MANIFEST_COLUMNS, conform
from medsetu.experiment import team
from medsetu.experiment.team import Job, read_job, read_result, train_together, write_error, write_job, write_result
from medsetu.training.fit import StageResult

RESULT = StageResult(
    weights=None,
    sha256="0" * 64,
    best_epoch=1,
    best_value=0.5,
    epochs_run=2,
    seconds=1.0,
    images_per_s=float("nan"),
    parameters_trained=3,
    parameters_total=4,
    peak_memory_bytes=5,
)


@pytest.fixture
def job():
    previous = {
        "name": "pretrain",
        "folder": "runs/stages/pretrain-0",
        "findings": ("tuberculosis",),
        "facts": {"best_value": 1e-05, "seconds": float("nan")},
    }
    return Job({"name": "demo", "lr": 1e-05, "none": None}, "finetune", "0" * 16, 3, previous, {"accelerator": "cpu", "devices": 2})


@pytest.fixture
def tables():
    rows = {name: ["x", "y"] if kind == "str" else [1, 2] for name, kind in MANIFEST_COLUMNS.items()}
    manifest = conform(pd.DataFrame(rows | {"tuberculosis": [1.0, np.nan]}), MANIFEST_COLUMNS, name="manifest")
    return {"manifest": manifest, "assignment": pd.Series(["train", "val"], index=pd.Index(["x", "y"]))}


def test_a_job_comes_back_as_it_was(tmp_path, job, tables):
    write_job(job, tmp_path, **tables)
    found, manifest, assignment = read_job(tmp_path)
    assert found.raw == job.raw
    assert found.previous["facts"]["best_value"] == 1e-05
    assert tuple(found.previous["findings"]) == ("tuberculosis",)
    pd.testing.assert_frame_equal(manifest, tables["manifest"])
    pd.testing.assert_series_equal(assignment, tables["assignment"], check_names=False, check_index_type=False)


@pytest.mark.parametrize("name", ["job.yaml", "manifest.parquet", "assignment.parquet"])
def test_a_job_that_was_changed_is_refused(tmp_path, job, tables, name):
    write_job(job, tmp_path, **tables)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
    with pytest.raises(DataError, match="SHA-256"):
        read_job(tmp_path)


def test_a_result_comes_back_as_it_was(tmp_path):
    result = StageResult(**{**vars(RESULT), "weights": tmp_path / "best.safetensors"})
    write_result(tmp_path, result)
    found = read_result(tmp_path)
    assert np.isnan(found.images_per_s)
    assert {**vars(found), "images_per_s": 0} == {**vars(result), "images_per_s": 0}


@pytest.fixture
def members(tmp_path, job, tables, monkeypatch):
    """Train with two processes that each run a line of Python instead of the member module."""

    def together(*lines):
        def start(folder, rank, count, *, port):
            code = f"import os, signal, sys, time; folder = {str(folder)!r}; {lines[rank]}"
            return subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, start_new_session=True)

        monkeypatch.setattr(team, "_start", start)
        monkeypatch.setattr(team, "_GRACE_S", 5.0)
        return train_together(job, tmp_path / "stage", **tables)

    return together


def test_the_others_are_ended_when_one_dies(members, tmp_path):
    began = time.monotonic()
    with pytest.raises(ResourceError, match="Process 1 of 2") as caught:
        members("time.sleep(60)", "os.kill(os.getpid(), signal.SIGKILL)")
    assert "was killed by SIGKILL" in str(caught.value)
    assert time.monotonic() - began < 20
    assert list((tmp_path / "stage").iterdir()) == [], "the job is gone"


def test_the_refusal_of_a_process_is_that_of_all(members, tmp_path):
    write_error(tmp_path / "stage" / "job", 0, DataError(what="A film is broken", where="Sample x", remedy="Replace it"))
    with pytest.raises(DataError, match=r"A film is broken\. Sample x\. Replace it\."):
        members("sys.exit(3)", "time.sleep(60)")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_a_signal_is_passed_on_and_its_exit_code_comes_back(members, number, code):
    threading.Timer(0.7, os.kill, (os.getpid(), number)).start()
    saves = f"signal.signal({int(number)}, lambda *_: (time.sleep(0.3), os._exit({code}))); time.sleep(60)"
    with pytest.raises(SystemExit) as left:
        members(saves, saves)
    assert left.value.code == code


def test_a_signal_before_a_process_listens_stops_all(members):
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(SystemExit) as left:
        members("time.sleep(60)", "time.sleep(60)")
    assert left.value.code == 143


def test_ctrl_c_lets_all_save_and_is_ctrl_c_again(members, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
    note = tmp_path / "saved"
    saves = f"signal.signal(15, lambda *_: (open({str(note)!r}, 'w').close(), os._exit(143))); time.sleep(60)"
    try:
        with pytest.raises(KeyboardInterrupt):
            members(saves, "time.sleep(60)")
    finally:
        signal.signal(signal.SIGINT, before)
    assert note.is_file()
