# SPDX-License-Identifier: Apache-2.0
"""What a report is told."""

import pandas as pd
import pytest

from medsetu.experiment.document import SHOWN_SIDE, Comparison, gather_report, write_report
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.prepare import manifest_folder
from medsetu.experiment.seal import Standing
from medsetu.manifest.frozen import load
from medsetu.recipe.recipe import build_recipe


@pytest.fixture
def told(finished, tmp_path):
    """The Report of a finished study."""
    recipe = build_recipe(finished.config)
    predictions = pd.read_parquet(finished.study / "predictions.parquet")
    results, ladder = (pd.read_csv(finished.study / name) for name in ("results.csv", "ladder.csv"))
    found = Comparison(
        tmp_path, results, [], ladder, ["A sentence"], Standing(3, ["Sealed."], [("seeds", "[0]", "[1]")]), {"global-only": 0}
    )
    return gather_report(
        found,
        recipe=recipe,
        prepared=load(manifest_folder(recipe)),
        runs=finished_runs([finished.runs / "demo"]),
        cards=[],
        predictions=predictions,
        made_on="2026-11-27",
    )


def test_a_report_is_written_with_its_checklists(told, tmp_path):
    assert write_report(told, tmp_path) == tmp_path / "report.html"
    assert "2026-11-27" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "checklists.csv").is_file()


def test_weights_are_told_once_with_their_hash(told, finished):
    files = {path.read_text().split()[0] for path in finished.runs.glob("stages/*/best.safetensors.sha256")}
    assert len(told.weights) == 3
    assert {line["sha256"] for line in told.weights} == files


def test_each_trained_stage_has_one_history_with_a_row_per_epoch(told):
    lengths = {name.rpartition("/")[2]: len(history) for name, history in told.histories.items()}
    assert lengths == {"pretrain": 2, "finetune": 1}
    assert len(told.histories) == 3
    for history in told.histories.values():
        assert any(name.startswith("val/local") for name in history.columns)
        assert any(name.startswith("train/") for name in history.columns)


def test_labels_compute_and_recipe_are_told(told):
    assert told.labels_used["global-only"] == 0
    assert (told.compute["runs"], told.compute["stages trained"]) == (3, 3)
    assert "test_resnet" in told.recipe_yaml


def test_openings_seal_and_deviations_are_told(told):
    assert (told.openings, told.seal, told.deviations) == (3, ["Sealed."], [("seeds", "[0]", "[1]")])


def test_films_are_shown_small(told):
    assert told.examples
    for example in told.examples:
        assert max(example.pixels.shape) <= SHOWN_SIDE
        assert 0 <= example.pixels.min() <= example.pixels.max() <= 1


def test_the_page_itself_names_arms_and_question(finished):
    page = (finished.study / "report.html").read_text()
    assert finished.config["question"] in page
    assert all(arm in page for arm in ("global-only", "local-only", "transfer"))
