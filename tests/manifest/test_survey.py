# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from fakes.folder import picture, save
from medsetu.manifest import survey as survey_module
from medsetu.manifest.survey import survey

KILLED = """
import sys
from pathlib import Path
import pandas as pd
from medsetu.manifest import scan, store
from medsetu.manifest.survey import survey

store.SHARD = 8
read = scan.read_shown

def slow(path, *, sample_id):
    Path(sys.argv[2]).open("a").write(sample_id + "\\n")
    if sample_id.endswith("30"):
        import time
        time.sleep(60)
    return read(path, sample_id=sample_id)

scan.read_shown = slow
survey(pd.read_json(sys.argv[1], dtype=False), workers=1, cache=Path(sys.argv[3]))
"""


def rows_of(folder, count, *, root=None):
    for seed in range(count):
        if not (folder / f"{seed:02d}.png").is_file():
            save(picture(seed), folder / f"{seed:02d}.png")
    names = [f"{seed:02d}" for seed in range(count)]
    return pd.DataFrame({"sample_id": [f"r/{name}" for name in names], "root": str(root or folder), "path": [f"{n}.png" for n in names]})


def test_a_second_look_opens_nothing_and_says_the_same(tmp_path):
    samples = rows_of(tmp_path / "films", 10)
    (tmp_path / "films" / "03.png").write_bytes(b"")
    first, second = (survey(samples, workers=0, cache=tmp_path / "scan") for _ in range(2))
    assert (first[2]["files_read"], second[2]["files_read"], second[2]["files_known"]) == (10, 1, 9)  # what is broken is asked again
    pd.testing.assert_frame_equal(first[0], second[0])
    assert first[0].index[first[0]["reason"] != ""].tolist() == [3]
    assert np.array_equal(first[1][np.arange(9)], second[1][np.arange(9)])


def test_one_file_of_two_releases_is_read_once_and_known_twice(tmp_path):
    samples = rows_of(tmp_path / "films", 3)
    survey(samples, workers=0, cache=tmp_path / "scan")
    again = pd.concat([samples, samples.assign(sample_id="other/" + samples["sample_id"])], ignore_index=True)
    table, pictures, speed = survey(again, workers=0, cache=tmp_path / "scan")
    assert (speed["files_known"], len(table), len(pictures)) == (6, 6, 6)
    assert table["sha256"].tolist()[:3] == table["sha256"].tolist()[3:]


def test_results_of_other_studies_are_left_alone(tmp_path):
    survey(rows_of(tmp_path / "films", 6), workers=0, cache=tmp_path / "scan")
    table, _, speed = survey(rows_of(tmp_path / "films", 2), workers=0, cache=tmp_path / "scan")
    assert (len(table), speed["files_known"]) == (2, 2)


def test_two_processes_say_what_one_says(tmp_path):
    samples = rows_of(tmp_path / "films", 40)
    alone, together = (survey(samples, workers=workers, cache=None) for workers in (1, 2))
    pd.testing.assert_frame_equal(alone[0], together[0])
    assert np.array_equal(alone[1][np.arange(40)], together[1][np.arange(40)])


def test_few_paths_are_held_at_a_time(tmp_path, monkeypatch):
    held = []

    def counted(tasks, *, workers):
        held.append(len(tasks))
        assert not isinstance(tasks, list)
        return iter(
            [survey_module.Record(task.key, task.sample_id, reason="no", row=task.row) for task in tasks[n : n + 2]] for n in (0, 2)
        )

    samples = rows_of(tmp_path / "films", 4)
    monkeypatch.setattr(survey_module, "read_files", counted)
    table, _, _ = survey(samples, workers=0, cache=None)
    assert held == [4]
    assert table["reason"].tolist() == ["no"] * 4


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_after_a_kill_only_the_rest_is_opened(tmp_path):
    samples = rows_of(tmp_path / "films", 40)
    samples.to_json(tmp_path / "rows.json")
    log = tmp_path / "log"
    command = [sys.executable, "-c", KILLED, tmp_path / "rows.json", log, tmp_path / "scan"]
    process = subprocess.Popen([str(part) for part in command], env=dict(os.environ))
    until = time.monotonic() + 60
    while time.monotonic() < until and not (log.is_file() and "r/30" in log.read_text()):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert log.read_text().splitlines()[-1] == "r/30"
    before = {path.name for path in (tmp_path / "scan").iterdir()}
    assert all(name.endswith((".parquet", ".sha256")) for name in before)  # thumbnails lay in a file without a name
    table, pictures, speed = survey(samples, workers=0, cache=tmp_path / "scan")
    assert (speed["files_known"], speed["files_read"]) == (24, 16)  # three whole batches of eight
    assert (len(table), len(pictures)) == (40, 40)
