# SPDX-License-Identifier: Apache-2.0
"""The verb: PASS on what was just made, FAIL with the cause and exit code 9 on what was changed since."""

import json
import shutil

import pandas as pd
import pytest
import yaml

from experiment.conftest import run_study
from experiment.test_verify import edit
from fakes.film import SENTINEL
from medsetu import cli
from medsetu.core.errors import ConfigError
from medsetu.experiment import reproduce
from medsetu.experiment.reproduce import REPORT
from medsetu.manifest.frozen import SUMMARY


@pytest.fixture
def verb(capfd):
    """Say ``medsetu reproduce``: (exit code, what stood in the terminal)."""

    def run(*words):
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(["reproduce", *map(str, words)])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        assert SENTINEL not in out + err
        return left.value.code, " ".join((out + err).split())

    return run


def test_a_run_just_made_passes_trained_again_and_all(copied, verb):
    run = copied.run("transfer")
    code, said = verb(run)
    assert code == 0
    assert "PASS: " in said
    record = json.loads((run / REPORT).read_text())
    assert (record["verdict"], record["mode"]) == ("PASS", "retrain")
    assert {"training", "hardware", "numbers", "weights"} <= {check["area"] for check in record["checks"]}
    assert SENTINEL not in (run / REPORT).read_text()


@pytest.mark.parametrize("which", ["study", "transfer"])
def test_a_replay_of_a_study_of_all_runs_or_of_one_passes(copied, verb, which, tmp_path):
    place = copied.run("transfer") if which == "transfer" else copied.runs / "demo" / which
    code, said = verb(place, "replay=true", f"output={tmp_path / 'said'}")
    assert (code, "FAIL" in said) == (0, False)
    record = json.loads((tmp_path / "said" / REPORT).read_text())
    tables = [check["item"] for check in record["checks"] if check["area"] == "numbers"]
    assert "study/report.html" in tables
    assert not (place / REPORT).exists()


def _flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def _prediction(done):
    path = done.run("transfer") / "predictions.parquet"
    table = pd.read_parquet(path)
    table.loc[0, "score"] = 1 - table.loc[0, "score"]
    table.to_parquet(path, index=False)


def _split(done):
    """Freeze the manifest anew with another seed of the splits."""
    shutil.rmtree(done.runs / "work" / "manifest")
    other = {**done.config, "split_seed": 5, "paths": {**done.config["paths"], "runs": str(done.runs.parent / "other")}}
    run_study({**other, "arms": {"local-only": ["finetune"]}})


CHANGES = {
    "predictions.parquet": _prediction,
    "checkpoints/finetune.safetensors": lambda done: _flip(done.run("transfer") / "checkpoints" / "finetune.safetensors"),
    "split samples of this run": _split,
    "seed arm, seed and fold": lambda done: edit(
        done.run("transfer"), "recipe.yaml", lambda text: text.replace("\nseed: 0\n", "\nseed: 1\n")
    ),
    "library torch (recorded 1.0, found": lambda done: edit(
        done.run("transfer"), "provenance.json", lambda text: text.replace(f'"torch": "{_torch(text)}"', '"torch": "1.0"')
    ),
}


def _torch(text):
    return json.loads(text)["packages"]["torch"]


@pytest.mark.parametrize("cause", CHANGES)
def test_what_was_changed_is_the_cause_that_is_named(copied, verb, cause):
    CHANGES[cause](copied)
    code, said = verb(copied.run("transfer"), "replay=true")
    assert code == 9
    assert "FAIL: " in said
    assert cause in said.partition("Not reproduced: ")[2]
    assert json.loads((copied.run("transfer") / REPORT).read_text())["verdict"] == "FAIL"


def test_a_reader_may_accept_another_library_but_no_other_number(copied, verb):
    CHANGES["library torch (recorded 1.0, found"](copied)
    code, said = verb(copied.run("transfer"), "replay=true", "accept=[library]")
    assert (code, "accepted as different" in said) == (0, True)
    assert verb(copied.run("transfer"), "replay=true", "accept=[numbers]")[0] == ConfigError.exit_code


def test_a_recipe_finds_the_runs_of_its_content(copied, compose, tmp_path):
    words = ["replay=true", f"output={tmp_path / 'said'}"]
    reproduce.main(compose("reproduce", copied.runs, *words))
    assert json.loads((tmp_path / "said" / REPORT).read_text())["verdict"] == "PASS"
    with pytest.raises(ConfigError, match=r"the nearest differs in stages\.finetune\.lr"):
        reproduce.main(compose("reproduce", copied.runs, *words, "stages.finetune.lr=0.5"))


def test_a_saved_recipe_is_a_recipe(copied, verb, tmp_path):
    raw = yaml.safe_load((copied.run("transfer") / "recipe.yaml").read_text())
    raw["paths"] |= {"runs": str(copied.runs), "work": str(copied.runs / "work")}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(raw))
    assert verb(tmp_path / "mine.yaml", "replay=true")[0] == 0
    (tmp_path / "mine.yaml").write_text("name: demo\n")
    assert verb(tmp_path / "mine.yaml", "replay=true")[0] == ConfigError.exit_code


def test_nothing_to_reproduce_is_said(verb, tmp_path):
    code, said = verb(tmp_path, "replay=true")
    assert (code, "No finished run was found" in said) == (ConfigError.exit_code, True)


def test_a_manifest_that_is_gone_fails_nothing_and_is_told(copied, verb):
    run = copied.run("local-only")
    edit(run, "recipe.yaml", lambda text: text.replace("name: demo\n", "name: gone\n"))
    assert (copied.runs / "work" / "manifest" / "demo" / SUMMARY).is_file()
    code, said = verb(run, "replay=true", "images=0")
    assert code == 0
    assert "the frozen manifest is not here" in said
