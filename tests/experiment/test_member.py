# SPDX-License-Identifier: Apache-2.0
"""Two processes train a stage together: one run per cell, whoever starts them, and they end with the one that did."""

import json
import os
import time

from medsetu.experiment import member, team


def test_a_multirun_on_two_devices_makes_one_run_per_cell(say, tmp_path):
    """Lightning would run the whole command line again for the second device, and Hydra would make a second folder."""
    code, said = say("train", "seed=0,1", "arm=local-only", "trainer.devices=2", "logger=csv", "--multirun")
    assert code == 0, said
    runs = tmp_path / "runs"
    assert sorted(path.name.rpartition("-")[0] for path in (runs / "demo").glob("local-only-s*-*")) == ["local-only-s0", "local-only-s1"]
    stages = sorted((runs / "stages").iterdir())
    assert len(stages) == 2
    for folder in stages:
        assert json.loads((folder / "stage.json").read_text())["hardware"]["devices"] == 2
        kept = {path.name for path in folder.iterdir()}
        assert kept >= {"best.safetensors", "best.safetensors.sha256", "metrics.csv", "stage.json"}
        assert not [name for name in kept if name.startswith(("job", "resum")) or name.endswith("tmp")]
    hashes = {json.loads((folder / "stage.json").read_text())["sha256"] for folder in stages}
    assert len(hashes) == 2, "each seed has its own weights"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"], "no folder of Hydra's"
    done = json.loads(next((runs / "demo").glob("local-only-s0-*/provenance.json")).read_text())
    assert done["hardware"]["devices"] == 2


def test_a_process_ends_when_the_one_that_started_it_is_gone():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(reading, 0)
        os.close(writing)
        member._end_with_parent()
        time.sleep(60)
        os._exit(0)
    os.close(reading)
    time.sleep(0.3)
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "it lives while the pipe is open"
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_lock_dies_with_its_process(tmp_path):
    """And does not live on in a process that it forked, as a loader does."""
    grandchild = tmp_path / "grandchild"
    child = os.fork()
    if child == 0:
        with team.only_one(tmp_path / "lock"):
            if os.fork() == 0:
                grandchild.write_text(str(os.getpid()))
                time.sleep(30)
                os._exit(0)
            while not grandchild.is_file() or not grandchild.read_text():
                time.sleep(0.01)
            os._exit(0)
    os.waitpid(child, 0)
    began = time.monotonic()
    with team.only_one(tmp_path / "lock"):
        assert time.monotonic() - began < 5
    os.kill(int(grandchild.read_text()), 9)
