# SPDX-License-Identifier: Apache-2.0
"""A plan is sealed before the test; what is done later is held against it."""

import json
import shutil

import pytest

from experiment.conftest import run_study
from fakes.film import SENTINEL
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.table import read_table
from medsetu.experiment import seal
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.outcome import write_outcome
from medsetu.experiment.prepare import manifest_folder
from medsetu.experiment.seal import UNSEALED, open_test, require_sound
from medsetu.manifest.frozen import load
from medsetu.recipe.recipe import build_recipe
from medsetu.recipe.sealed import read_seal, seal_path

WORDS = ("seeds=[0]",)


@pytest.fixture
def unopened(copied):
    """A finished study whose test nobody has looked at yet: its ledger and tables are gone."""
    shutil.rmtree(copied.runs / "work" / "ledger")
    shutil.rmtree(copied.study)
    return copied


@pytest.fixture
def sealed(unopened, compose, capsys):
    """The same, with its plan sealed."""
    seal.main(compose("seal", unopened.runs, *WORDS))
    assert "Sealed in" in capsys.readouterr().out
    return unopened


def look(study, *words, compose=None):
    """Look at the test of a study; the recipe may have other words than the sealed one."""
    recipe = build_recipe(compose("study", study.runs, *words) if compose else study.config)
    runs = finished_runs([study.runs / "demo"])
    predictions = read_table(runs[0].predictions)
    return open_test(recipe, load(manifest_folder(recipe)), runs, predictions=predictions, verb="study")


def test_a_study_under_its_seal_says_so(sealed):
    again = run_study(sealed.config)
    written = read_seal(seal_path(sealed.runs, "demo"))
    assert f"Done under the plan sealed on {written.date}, hash {written.sha256[:12]}." in " ".join(again.out.split())
    page = (sealed.study / "report.html").read_text()
    assert written.sha256 in page
    assert "gain over local" in page
    assert "Deviations from the sealed plan" not in page
    ledger = next((sealed.runs / "work" / "ledger").glob("*.json"))
    assert [entry["seal"] for entry in json.loads(ledger.read_text())["openings"]] == [written.sha256]
    files = [seal_path(sealed.runs, "demo"), ledger, *(path for path in sealed.study.iterdir() if path.is_file())]
    assert "checklists.csv" in {path.name for path in files}
    assert [path for path in files if SENTINEL.encode() in path.read_bytes()] == []  # T44


def test_a_study_without_a_seal_says_so(finished):
    assert UNSEALED in (finished.study / "report.html").read_text()


def test_the_plan_is_in_the_seal(sealed):
    written = read_seal(seal_path(sealed.runs, "demo"))
    plan = written.plan
    manifest = load(manifest_folder(build_recipe(sealed.config)))
    assert (written.openings, plan["manifest"], plan["seeds"]) == (0, manifest.fingerprint, [0])
    assert plan["primary"] == {
        "finding": "tuberculosis",
        "metric": "AUROC",
        "contrast": "gain over local",
        "formula": "T - C",
        "hypothesis": "non-inferiority",
        "margin": 0.05,
        "level": 0.95,
    }
    tested = manifest.splits[manifest.splits["split"] == "test"]
    assert {side: part["samples"] for side, part in plan["test"].items()} == tested.groupby("domain")["sample_id"].nunique().to_dict()
    assert 0 < plan["power"]["non-inferiority"] < 0.9
    assert plan["settings"]["stages"]["finetune"]["epochs"] == 1
    assert "never on test" in plan["thresholds"]


def test_no_patient_and_no_film_is_named_in_the_seal(sealed, films):
    """T44: counts and hashes only."""
    text = seal_path(sealed.runs, "demo").read_text()
    manifest = load(manifest_folder(build_recipe(sealed.config))).manifest
    assert any(SENTINEL.encode() in path.read_bytes() for path in films.rglob("*.dcm"))
    assert SENTINEL not in text
    assert str(films) not in text
    for column in ("sample_id", "patient_id", "study_id", "path"):
        assert [value for value in manifest[column].dropna() if value and str(value) in text] == []


def test_a_deviation_is_named_with_both_values(sealed, compose):
    found = look(sealed, "evaluation.margin=0.2", "stages.finetune.epochs=2", compose=compose)
    assert sorted(found.deviations) == [("evaluation.margin", "0.05", "0.2"), ("stages.finetune.epochs", "1", "2")]
    assert "in 2 fields" in found.sentences[-1]


def test_a_deviation_stands_in_the_report(sealed, compose, tmp_path):
    recipe = build_recipe(compose("study", sealed.runs, "evaluation.margin=0.2"))
    runs = [run for run in finished_runs([sealed.runs / "demo"]) if "transfer" in run.path.name]
    page = write_outcome(recipe, load(manifest_folder(recipe)), runs, cards=[], folder=tmp_path / "out").report.read_text()
    assert "Deviations from the sealed plan" in page
    assert all(f"<code>{value}</code>" in page for value in ("0.05", "0.2"))
    assert "evaluation.margin" in page
    assert ">arms<" in page  # one arm of three was looked at


def test_speed_and_folders_are_no_deviation(sealed, compose):
    assert look(sealed, "data.workers=2", "trainer.progress=true", "logger=csv", compose=compose).deviations == []


def test_a_tampered_seal_is_refused_before_training(sealed):
    path = seal_path(sealed.runs, "demo")
    path.write_text(path.read_text().replace('"margin": 0.05', '"margin": 0.15'))
    recipe = build_recipe(sealed.config)
    with pytest.raises(DataError, match="seal is damaged or was changed"):
        require_sound(recipe, load(manifest_folder(recipe)))
    with pytest.raises(DataError, match="seal is damaged or was changed"):
        run_study(sealed.config)


def test_a_test_that_was_opened_is_sealed_late_or_not_at_all(copied, compose, capsys):
    with pytest.raises(ConfigError, match=r"was opened before, 1 time: .* late=true"):
        seal.main(compose("seal", copied.runs, *WORDS))
    assert not seal_path(copied.runs, "demo").exists()
    seal.main(compose("seal", copied.runs, *WORDS, "late=true"))
    assert "sealed after 1 opening of the test, not before" in capsys.readouterr().out
    assert read_seal(seal_path(copied.runs, "demo")).openings == 1
    assert any("sealed after 1 opening" in sentence for sentence in look(copied).sentences)


def test_a_ledger_that_lost_entries_is_refused(copied, compose):
    seal.main(compose("seal", copied.runs, *WORDS, "late=true"))
    shutil.rmtree(copied.runs / "work" / "ledger")
    with pytest.raises(DataError, match="lost entries"):
        look(copied)


def test_sealing_twice_changes_nothing_and_another_plan_is_refused(sealed, compose):
    path = seal_path(sealed.runs, "demo")
    before = path.read_bytes()
    seal.main(compose("seal", sealed.runs, *WORDS))
    with pytest.raises(ConfigError, match=r"differs in stages\.finetune\.lr, primary, power"):
        seal.main(compose("seal", sealed.runs, *WORDS, "contrast=forgetting", "stages.finetune.lr=0.01"))
    assert path.read_bytes() == before
