# SPDX-License-Identifier: Apache-2.0
"""The store of stages: what its key knows, and that damaged weights are never used."""

import dataclasses

import pandas as pd
import pytest
import torch

from experiment.conftest import run_study
from medsetu.backbone.stored import read_stored
from medsetu.catalog.weights import load_weight_card, read_sidecar, write_sidecar
from medsetu.core.errors import ConfigError
from medsetu.core.run import sha256_file
from medsetu.experiment import stage
from medsetu.experiment.design import Cell, assignment_of
from medsetu.experiment.prepare import manifest_folder
from medsetu.manifest.frozen import load
from medsetu.recipe.recipe import build_recipe
from medsetu.training.hardware import Hardware

CPU = Hardware("cpu", "32-true")


class Reached(Exception):  # noqa: N818 - no error: the stage would be trained now
    """Carries the name of the folder in which the stage would be trained."""


@pytest.fixture(scope="module")
def prepared(finished):
    return load(manifest_folder(build_recipe(finished.config)))


@pytest.fixture
def key(compose, prepared, tmp_path, monkeypatch):
    """The key under which a stage would be trained."""

    def fit(*_, folder, **__):
        raise Reached(folder.name.rpartition("-")[2])

    monkeypatch.setattr(stage, "complete_stage", fit)

    def found(*words, name="pretrain", seed=0, manifest=None, hardware=CPU):
        recipe = build_recipe(compose("train", tmp_path / "runs", *words))
        rows = prepared.manifest if manifest is None else manifest
        assignment = assignment_of(prepared, Cell("transfer", seed))
        with pytest.raises(Reached) as reached:
            stage.run_stage(recipe, name, manifest=rows, assignment=assignment, seed=seed, previous=None, hardware=hardware)
        return str(reached.value)

    return found


def changed(prepared, column, value, *, domain, split):
    rows = prepared.manifest.copy()
    first = rows.index[(rows["domain"] == domain) & (rows["split"] == split)][0]
    rows.loc[first, column] = value(rows.loc[first, column])
    return rows


def test_the_key_knows_everything_that_could_change_the_weights(key, prepared):
    flip = {"value": lambda label: 1 - label, "column": "tuberculosis", "domain": "global"}
    keys = [
        key(),
        key("stages.pretrain.lr=0.0001"),
        key("stages.pretrain.findings=[effusion,tuberculosis,cardiomegaly]"),
        key("data.augment.rotation=3"),
        key("data.fit=crop"),
        key("backbone.size=40"),
        key("trainer.limit_batches=1"),
        key(seed=1),
        key(hardware=Hardware("cuda", "bf16-mixed")),
        key(manifest=changed(prepared, split="train", **flip)),
        key(manifest=changed(prepared, split="val", **flip)),
        key(manifest=changed(prepared, "sha256", lambda _: "0" * 64, domain="global", split="train")),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_knows_the_bytes_of_weights_that_keep_their_name(key, finished, tmp_path):
    keys, weights = [], tmp_path / "mine.safetensors"
    for arm, name in (("global-only", "pretrain"), ("local-only", "finetune")):
        weights.write_bytes((finished.run(arm) / "checkpoints" / f"{name}.safetensors").read_bytes())
        keys.append(key(f"backbone.weights=file:{weights}", name="finetune"))
    assert keys[0] != keys[1]


def test_the_key_ignores_what_cannot_change_the_weights(key, prepared):
    base = key()
    assert key("data.workers=2", "data.progress=true", "trainer.progress=true", "data.eval_batch_size=7") == base
    assert key("data.cache=elsewhere", "data.memory_limit_gib=1") == base
    assert key("evaluation.bootstrap=99", "stages.finetune.lr=0.1") == base
    assert key(manifest=changed(prepared, "root", lambda _: "elsewhere", domain="global", split="train")) == base
    assert key(manifest=prepared.manifest.sample(frac=1, random_state=1)) == base


def test_a_side_that_is_only_watched_neither_changes_the_key_nor_spends_labels(key, prepared, finished):
    flipped = changed(prepared, "tuberculosis", lambda label: 1 - label, domain="local", split="val")
    assert key(manifest=flipped) == key()
    assert key(name="finetune", manifest=flipped) != key(name="finetune")


def test_damaged_weights_are_trained_again(copied, finished):
    (weights,) = copied.runs.glob("stages/pretrain-*/best.safetensors")
    good = weights.read_bytes()
    weights.write_bytes(good[:-4] + b"\0\0\0\1")
    again = run_study(copied.config)
    assert "missing or damaged; it is trained again" in again.err
    assert again.err.count("Training stage") == 1
    assert weights.read_bytes() == good
    assert (copied.study / "results.csv").read_bytes() == (finished.study / "results.csv").read_bytes()


SSL = (
    "+training@stages.films=simclr",
    "stages.pretrain.epochs=1",
    "stages.films.epochs=1",
    "stages.films.batch_size=8",
    "stages.films.pretext.width=8",
)


def test_a_stage_without_labels_feeds_one_with_findings(compose, prepared, tmp_path):
    config = compose("train", tmp_path / "runs", *SSL)
    config["arms"] = {"transfer": ["films", "pretrain", "finetune"], "global-only": ["films", "pretrain"]}
    recipe = build_recipe(config)
    assignment = assignment_of(prepared, Cell("transfer", 0))
    rows = prepared.manifest.copy()
    rows.loc[rows["domain"] == "global", ["tuberculosis", "effusion", "cardiomegaly"]] = float("nan")  # no label is needed

    def run(name, previous, manifest):
        return stage.run_stage(recipe, name, manifest=manifest, assignment=assignment, seed=0, previous=previous, hardware=CPU)

    films = run("films", None, rows)
    trained = int(((rows["domain"] == "global") & (rows["sample_id"].map(assignment) == "train")).sum())
    assert (films.findings, films.facts["labels_spent"], films.facts["n_train"]) == ((), {}, trained)
    assert films.facts["monitor"] == "val/global/loss"
    card = read_sidecar(films.weights)
    assert card.training.startswith("Self-supervised (SimCLR) on the global side")
    assert card.trained_on == ("phantom",)
    assert run("films", None, prepared.manifest).key == films.key, "labels decide nothing"
    start = stage.trained_network(recipe, films, seed=0)
    after = run("pretrain", films, prepared.manifest)
    assert after.findings == ("tuberculosis", "effusion", "cardiomegaly")
    assert after.facts["previous"] == films.key
    plain = stage.starting_network(recipe, recipe.stages["pretrain"], seed=0, previous=films)
    assert all(torch.equal(one, two) for one, two in zip(plain.trunk.parameters(), start.trunk.parameters(), strict=True))


def test_views_that_are_all_alike_are_refused(compose, prepared, tmp_path):
    config = compose("train", tmp_path / "runs", *SSL, "data.augment=null")
    config["stages"]["films"]["pretext"]["augment"] = None
    recipe = build_recipe(config)
    assignment = assignment_of(prepared, Cell("transfer", 0))
    with pytest.raises(ConfigError, match="views of SimCLR are all alike"):
        stage.run_stage(recipe, "films", manifest=prepared.manifest, assignment=assignment, seed=0, previous=None, hardware=CPU)


def test_an_arm_cannot_end_without_findings(compose, tmp_path):
    config = compose("train", tmp_path / "runs", *SSL)
    config["arms"] = {"global-only": ["pretrain", "films"]}
    with pytest.raises(ConfigError, match="ends with the stage 'films'"):
        build_recipe(config)


def test_releases_with_different_findings_are_learned_together(compose, prepared, tmp_path):
    """Half of the films stand for a release that labels effusion only, half for one that labels tuberculosis only."""
    recipe = build_recipe(
        compose("train", tmp_path / "runs", "stages.pretrain.epochs=1", "stages.pretrain.findings=[tuberculosis,effusion]")
    )
    assignment = assignment_of(prepared, Cell("transfer", 0))
    rows = prepared.manifest.copy()
    other = (rows["domain"] == "global") & (pd.util.hash_array(rows["sample_id"].to_numpy(dtype=object)) % 2 == 0)
    rows.loc[other, ["release", "tuberculosis"]] = ["other_release", float("nan")]
    rows.loc[~other & (rows["domain"] == "global"), "effusion"] = float("nan")
    record = stage.run_stage(recipe, "pretrain", manifest=rows, assignment=assignment, seed=0, previous=None, hardware=CPU)
    used = rows[(rows["domain"] == "global") & rows["sample_id"].map(assignment).isin(["train", "val"])]
    assert {"phantom", "other_release"} == set(used["release"])
    assert not used[["tuberculosis", "effusion"]].notna().all(axis=1).any(), "no film has both labels"
    assert record.facts["labels_spent"] == {"global": len(used)}
    network = stage.trained_network(recipe, record, seed=0)
    assert network.trained == ("tuberculosis", "effusion")
    assert set(network.weights.trained_on) == {"phantom", "other_release"}
    fresh = stage.starting_network(recipe, recipe.stages["pretrain"], seed=0, previous=None)
    assert all(not torch.equal(network.head.weight[row], fresh.head.weight[row]) for row in (0, 1)), "each release teaches its own row"


def test_pretraining_goes_on_from_weights_of_others_and_their_terms_follow(finished, compose, prepared, tmp_path):
    weights = tmp_path / "theirs.safetensors"
    weights.write_bytes((finished.run("global-only") / "checkpoints" / "pretrain.safetensors").read_bytes())
    terms = {"sha256": sha256_file(weights), "fingerprint": None, "trained_on": ("vindr_mammo",), "name": "theirs"}
    write_sidecar(dataclasses.replace(load_weight_card("mammo_clip_b5"), **terms), weights)
    recipe = build_recipe(compose("train", tmp_path / "runs", f"backbone.weights=file:{weights}", "stages.pretrain.epochs=1"))
    start = stage.starting_network(recipe, recipe.stages["pretrain"], seed=0, previous=None)
    theirs = read_stored(weights).state
    assert all(torch.equal(value, theirs[f"trunk.{name}"]) for name, value in start.trunk.state_dict().items())
    assignment = assignment_of(prepared, Cell("transfer", 0))
    record = stage.run_stage(recipe, "pretrain", manifest=prepared.manifest, assignment=assignment, seed=0, previous=None, hardware=CPU)
    card = read_sidecar(record.weights)
    assert (card.commercial_use, card.research_use) == ("no", "yes")
    assert "Begun with the weights theirs (CC-BY-NC-SA-4.0)" in card.licence_note
    assert card.weights_licence == "CC-BY-NC-SA-4.0"
    assert set(card.trained_on) == {"vindr_mammo", "phantom"}
    assert card.sha256 == sha256_file(record.weights) != terms["sha256"]


MANY = ("training@stages.pretrain=multitask", "stages.pretrain.epochs=1")


def test_facts_beside_the_findings_teach_the_trunk_and_are_dropped(compose, prepared, tmp_path):
    recipe = build_recipe(compose("train", tmp_path / "runs", *MANY))
    assignment = assignment_of(prepared, Cell("transfer", 0))
    record = stage.run_stage(recipe, "pretrain", manifest=prepared.manifest, assignment=assignment, seed=0, previous=None, hardware=CPU)
    assert {name.partition(".")[0] for name in read_stored(record.weights).state} == {"trunk", "head"}
    assert "auxiliary heads (age_years, sex, view)" in read_sidecar(record.weights).training
    assert stage.trained_network(recipe, record, seed=0).findings == ("tuberculosis", "effusion", "cardiomegaly")


def test_the_key_knows_the_facts_of_training_films_and_of_no_others(key, prepared):
    older = {"column": "age_years", "value": lambda age: age + 1, "domain": "global"}
    plain = key(*MANY)
    assert key(*MANY, manifest=changed(prepared, split="train", **older)) != plain
    assert key(*MANY, manifest=changed(prepared, split="test", **older)) == plain
    assert key(*MANY, manifest=changed(prepared, split="val", **older)) == plain
    assert key(*MANY, "stages.pretrain.auxiliary.sex=0.2") != plain
    assert key("stages.pretrain.epochs=1", manifest=changed(prepared, split="train", **older)) == key("stages.pretrain.epochs=1")
