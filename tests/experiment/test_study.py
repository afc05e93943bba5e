# SPDX-License-Identifier: Apache-2.0
"""A whole study: what it leaves, that it trains nothing twice, that it survives being killed, that it names no patient."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from experiment.conftest import run_study, tiny
from fakes.film import SENTINEL
from medsetu.core.errors import ConfigError
from medsetu.core.run import sha256_file
from medsetu.experiment import stage, study, train
from medsetu.manifest.ledger import count_openings, read_openings

RESULTS = ("results.csv", "matrix.csv", "contrasts.csv", "ladder.csv")


class Killed(BaseException):
    """Stands for a killed process: nothing in medsetu may catch it."""


def stages_of(run):
    return json.loads((run / "provenance.json").read_text())["stages"]


def predictions(finished):
    table = pd.read_parquet(finished.study / "predictions.parquet")
    return table.sort_values(["run", "sample_id", "finding"], ignore_index=True)


def holds_sentinel(path):
    content = path.read_bytes()
    if path.suffix == ".parquet":  # compressed pages hide text
        content += pd.read_parquet(path).to_csv().encode()
    return any(word.encode() in content for word in (SENTINEL, SENTINEL.replace("^", "_"), SENTINEL.replace("^", " ")))


def test_a_study_leaves_tables_and_a_report(finished):
    names = {path.name for path in finished.study.iterdir()}
    assert {"results.parquet", *RESULTS, "report.html", "log.txt"} <= names
    results = pd.read_parquet(finished.study / "results.parquet")
    assert set(results["arm"]) == {"global-only", "local-only", "transfer"}
    assert "Report: " in finished.out


def test_every_film_of_a_test_side_is_scored_once_per_arm_and_finding(finished):
    table = predictions(finished)
    tested = table[(table["split"] == "test") & (table["finding"] == "tuberculosis")]
    counts = tested.groupby(["arm", "domain"])["sample_id"].agg(["size", "nunique"])
    assert (counts["size"] == counts["nunique"]).all()
    assert counts["size"].unstack("arm").nunique(axis=1).eq(1).all()  # all arms meet the same films
    assert set(counts.index.get_level_values("domain")) == {"global", "local"}


def test_transfer_starts_from_the_very_weights_of_global_only(finished):
    first, second = stages_of(finished.run("global-only"))[0], stages_of(finished.run("transfer"))[0]
    assert (first["key"], first["sha256"]) == (second["key"], second["sha256"])
    tuned, scratch = stages_of(finished.run("transfer"))[1], stages_of(finished.run("local-only"))[0]
    assert tuned["previous"] == first["key"]
    assert scratch["previous"] is None
    assert tuned["key"] != scratch["key"]


def test_started_again_it_trains_nothing_and_says_the_same(copied, finished, monkeypatch):
    monkeypatch.setattr(stage, "complete_stage", None)
    for name in RESULTS:
        (copied.study / name).unlink()
    again = run_study(copied.config)
    assert again.err.count("is finished already") == 4 + 3  # stages of all arms, then runs
    for name in RESULTS:
        assert (copied.study / name).read_bytes() == (finished.study / name).read_bytes()
    ledgers = [next((runs / "work" / "ledger").glob("*.json")) for runs in (copied.runs, finished.runs)]
    assert count_openings(read_openings(ledgers[0])) == count_openings(read_openings(ledgers[1])) == 1


@pytest.mark.parametrize("survivors", [1, 2])
def test_killed_in_the_middle_it_ends_with_the_same_predictions(compose, finished, tmp_path, monkeypatch, survivors):
    config, whole, left = compose("study", tmp_path / "runs", "logger=csv"), stage.complete_stage, [survivors]

    def until_killed(*args, **kwargs):
        if not left[0]:
            (kwargs["folder"] / "best.safetensors").write_bytes(b"half a fi")
            raise Killed
        left[0] -= 1
        return whole(*args, **kwargs)

    monkeypatch.setattr(stage, "complete_stage", until_killed)
    with pytest.raises(Killed):
        run_study(config)
    monkeypatch.setattr(stage, "complete_stage", whole)
    again = run_study(config)
    assert again.err.count("Training stage") == 3 - survivors
    pd.testing.assert_frame_equal(predictions(again), predictions(finished))


@pytest.mark.slow
def test_a_process_killed_while_it_trains_is_resumed(compose, films, finished, tmp_path):
    shutil.copytree(finished.runs / "work", tmp_path / "runs" / "work")
    changed = ["arm=global-only", "trainer.save_every_s=0", "logger=csv"]
    words = [*tiny("train", films, tmp_path / "runs"), *changed]
    process = subprocess.Popen([sys.executable, "-m", "medsetu", "train", *words], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < limit and not list(tmp_path.glob("runs/stages/*/best.safetensors")):
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL  # it was still at work
    train.main(compose("train", tmp_path / "runs", *changed))
    (run,) = (tmp_path / "runs" / "demo").glob("global-only-s0-*")
    assert (run / "predictions.parquet").read_bytes() == (finished.run("global-only") / "predictions.parquet").read_bytes()


def test_no_file_and_no_message_names_the_patient(finished, films):
    for country in ("global", "local"):
        assert any(SENTINEL.encode() in path.read_bytes() for path in (films / country).rglob("*.dcm"))  # it is there to be found
    files = [path for path in finished.runs.rglob("*") if path.is_file()]
    assert {".wandb", ".parquet", ".html", ".safetensors", ".yaml", ".csv", ".npz"} <= {path.suffix for path in files}
    assert [path for path in files if holds_sentinel(path)] == []
    assert SENTINEL not in finished.out + finished.err


def test_an_unreadable_film_is_refused_without_its_name(say, films, tmp_path):
    shutil.copytree(films / "local", tmp_path / "broken")
    film = next(path for path in sorted((tmp_path / "broken").rglob("*.dcm")) if SENTINEL.encode() in path.read_bytes())
    content = film.read_bytes()
    film.write_bytes(content[: content.index(SENTINEL.encode()) + 600])
    code, said = say("study", f"sides.local.phantom_local.root={tmp_path / 'broken'}", "manifest.max_quarantine=0")
    assert code == 3
    assert SENTINEL not in said
    assert [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and holds_sentinel(path)] == []


@pytest.mark.parametrize("seeds", [[], [0, 0]])
def test_seeds_are_different_numbers(seeds, finished):
    with pytest.raises(ConfigError, match="different numbers"):
        study.main({**finished.config, "seeds": seeds})


def test_weights_beside_a_run_are_those_of_its_stages(finished):
    for arm in ("global-only", "local-only", "transfer"):
        run = finished.run(arm)
        for record in stages_of(run):
            assert sha256_file(run / "checkpoints" / f"{record['name']}.safetensors") == record["sha256"]


@pytest.fixture(scope="module")
def variants(compose, tmp_path_factory):
    """A tournament on two phantom countries: three ways of fine-tuning and a logistic regression, two seeds."""
    words = ["+training@stages.probe=finetune", "tuning@stages.probe.tuning=linear_probe", "stages.probe.findings=[tuberculosis]"]
    words += [
        "+training@stages.logistic=finetune",
        "tuning@stages.logistic.tuning=frozen_logistic",
        "stages.logistic.findings=[tuberculosis]",
    ]
    words += ["+training@stages.lp_ft=finetune", "tuning@stages.lp_ft.tuning=lp_ft", "stages.lp_ft.findings=[tuberculosis]"]
    words += ["stages.probe.epochs=1", "stages.lp_ft.epochs=2", "logger=csv", "seeds=[0,1]"]
    config = compose("study", tmp_path_factory.mktemp("variants") / "runs", *words)
    config["arms"] |= {f"transfer:{name}": ["pretrain", name] for name in ("probe", "logistic", "lp_ft")}
    return run_study(config)


def test_a_study_of_variants_ends_with_a_tournament(variants):
    folder = variants.runs / "demo" / "compare"
    names = {path.name for path in folder.iterdir()}
    assert {"compare.html", "compare.json"} <= names
    text = (folder / "compare.json").read_text()
    assert all(f"transfer:{name}" in text for name in ("probe", "logistic", "lp_ft"))
    assert "global-only" not in json.loads(text).get("contestants", [])
    assert "transfer:lp_ft" in variants.out


def test_variants_share_the_stage_they_start_from(variants):
    starts = {}
    for run in (variants.runs / "demo").glob("transfer*-s0-*"):
        starts.setdefault(stages_of(run)[0]["key"], []).append(run.name)
    assert [len(runs) for runs in starts.values()] == [4]
    assert len(list((variants.runs / "stages").glob("pretrain-*"))) == 2  # one per seed
