# SPDX-License-Identifier: Apache-2.0
"""Weights made here say what they were made from, and films seen in pretraining are marked."""

import json

import pandas as pd
import pytest
from torch import nn

from medsetu.backbone.header import read_header
from medsetu.backbone.spec import SCRATCH
from medsetu.backbone.weights import save_weights
from medsetu.backbone.zoo import TimmBackbone
from medsetu.catalog.licence import require
from medsetu.catalog.weights import read_sidecar
from medsetu.core.errors import LicenceError, WeightError
from medsetu.core.run import RunFolder, sha256_file
from medsetu.core.table import read_table
from medsetu.experiment.probe import network_of
from medsetu.experiment.weight_card import mark_seen, with_terms, write_card
from medsetu.recipe.recipe import build_recipe

TABLE = {
    "_target_": "medsetu.release.table.Table",
    "root": "films",
    "labels": "labels.csv",
    "name": "tbx11k",
    "finding_columns": {"tuberculosis": "tb"},
}


def test_every_stage_and_every_copy_of_its_weights_has_a_card(finished):
    weights = [*finished.runs.glob("stages/*/best.safetensors"), *finished.run("transfer").glob("checkpoints/*.safetensors")]
    assert len(weights) == 5
    for path in weights:
        card = read_sidecar(path)
        assert card.sha256 == sha256_file(path)
        assert card.library == "medsetu"
        assert card.weights_licence == "Apache-2.0"
        assert card.size == (32, 32)
        require([], "research", weights=card)


def test_the_card_names_data_start_and_choice(finished):
    card = read_sidecar(finished.run("transfer") / "checkpoints" / "finetune.safetensors")
    assert card.trained_on == ("phantom",)
    assert "weights drawn at random" in card.licence_note
    assert "phantom: " in card.data_terms
    assert card.training.startswith("Supervised on the local side, ")
    assert "chosen by val/local/loss" in card.training
    facts = json.loads((finished.run("transfer") / "provenance.json").read_text())["stages"][-1]
    assert card.fingerprint == facts["fingerprint"]
    assert set(card.fingerprint["logits"]) == {"tuberculosis"}


def test_terms_stand_in_the_header_the_card_the_provenance_and_the_report(finished):
    path = finished.run("transfer") / "checkpoints" / "finetune.safetensors"
    weights = read_header(path)[1]["weights"]
    free = {"research": "yes", "commercial": "yes", "release_weights": "yes"}
    assert (weights["permits"], weights["clauses"], weights["licence"]) == (free, [], "Apache-2.0")
    facts = json.loads((finished.run("transfer") / "provenance.json").read_text())
    assert facts["use"] == "research"
    assert facts["stages"][-1]["terms"] == {"permits": free, "clauses": []}
    assert "No clause is known that stays with them" in read_sidecar(path).licence_note
    assert "made here: research yes, commercial yes, release weights yes" in " ".join((finished.study / "report.html").read_text().split())


def test_a_model_of_non_commercial_data_keeps_the_clause_and_loses_its_licence(compose, tmp_path):
    config = compose("train", tmp_path)
    config["sides"]["external"] = {"tbx11k": TABLE}
    recipe = build_recipe(config)
    spec = with_terms(recipe, SCRATCH, met=["tbx11k"])
    assert (spec.licence, spec.trained_on) == ("", ("tbx11k",))
    assert (spec.permits["research"], spec.permits["commercial"]) == ("yes", "no")
    assert any(text.startswith("ShareAlike, section 3(b) of CC-BY-NC-SA-4.0") for text in spec.clauses)
    after = with_terms(recipe, spec, met=["phantom_local"])
    assert after.permits["commercial"] == "no", "what was learned first stays"
    network = recipe.backbone.build(["tuberculosis"], seed=0)
    network.weights = after
    path = tmp_path / "mine.safetensors"
    facts = {"sha256": save_weights(network, path), "fingerprint": None, "kind": "Supervised", "side": "global", "n_train": 1}
    write_card(recipe, network, name="mine", facts={**facts, "best_epoch": 1, "epochs_run": 1, "monitor": "loss"}, weights=path)
    for _ in range(2):  # with its card, and with its header alone
        start = TimmBackbone("test_resnet", size=32, weights=f"file:{path}").card()
        with pytest.raises(LicenceError, match="NonCommercial, section 2"):
            require([], "commercial", weights=start)
        assert require([], "research", weights=start).allowed
        path.with_name("mine.card.yaml").unlink(missing_ok=True)


def test_a_run_whose_network_answers_differently_is_refused(finished, monkeypatch):
    recipe, run = build_recipe(finished.config), RunFolder(finished.run("transfer"))
    network_of(recipe, run)
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: nn.functional.leaky_relu(x, 0.05))
    with pytest.raises(WeightError, match="Stage finetune-"):
        network_of(recipe, run)


def test_films_of_releases_the_weights_were_taught_on_are_marked(compose, tmp_path):
    rows = pd.DataFrame({"release": ["nih_chestxray14", "nitrd", "nih_chestxray14"], "seen": ["", None, "in the pretraining list x"]})
    scratch = build_recipe(compose("train", tmp_path))
    assert mark_seen(rows, scratch)["seen"].tolist() == ["", "", "in the pretraining list x"]
    config = compose("train", tmp_path)
    config["backbone"] = {"_target_": "medsetu.backbone.xrv.XrvBackbone", "weights": "densenet121-res224-nih"}
    reason = "densenet121_xrv_nih was taught on nih_chestxray14"
    assert mark_seen(rows, build_recipe(config))["seen"].tolist() == [reason, "", f"in the pretraining list x; {reason}"]


def test_weights_of_a_run_mark_the_films_of_another_study(finished, compose, tmp_path):
    start = finished.run("transfer") / "checkpoints" / "finetune.safetensors"
    recipe = build_recipe(compose("train", tmp_path, f"backbone.weights=file:{start}"))
    predictions = read_table(finished.run("transfer") / "predictions.parquet")
    assert set(predictions["seen"]) == {""}
    marked = mark_seen(predictions, recipe)["seen"]
    assert marked.str.contains("was taught on phantom").all()
