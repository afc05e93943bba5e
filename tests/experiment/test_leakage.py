# SPDX-License-Identifier: Apache-2.0
"""The ledger beside the manifest and in the terminal."""

import dataclasses
import io

import pandas as pd
import pytest
from rich.console import Console

from fakes.folder import write
from medsetu.backbone.zoo import TimmBackbone
from medsetu.catalog.weights import load_weight_card
from medsetu.core.table import read_table
from medsetu.experiment.leakage import LEDGER, ledger_view, write_ledger
from medsetu.experiment.prepare import prepare
from medsetu.manifest.plan import SplitPlan
from medsetu.recipe.recipe import build_recipe

TAUGHT = dataclasses.replace(load_weight_card("densenet121_xrv_nih"), name="mine", trained_on=("siim_acr_ptx",))


@pytest.fixture
def prepared(tmp_path):
    """Films of two made-up releases and of one that bears the name of a real one."""
    world = write(tmp_path / "world", name="tb_chest_radiography_database", patients=40, films=(1, 2))
    india = write(tmp_path / "india", name="india", patients=20, ids=False, seed=1)
    return prepare({"global": [world], "local": [india]}, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)


@pytest.fixture
def recipe(compose, tmp_path, monkeypatch):
    """A recipe whose weights were taught on SIIM films."""
    monkeypatch.setattr(TimmBackbone, "card", lambda self: TAUGHT)
    return build_recipe(compose("prepare", tmp_path))


def shown(view, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(view)
    return console.file.getvalue()


def test_the_ledger_holds_what_the_weights_may_have_seen_and_the_manifest_does_not(prepared, recipe, tmp_path):
    ledger = write_ledger(recipe, prepared, tmp_path / "out")
    pd.testing.assert_frame_equal(read_table(tmp_path / "out" / LEDGER), ledger)
    own = ledger[ledger["rule"] == "backbone"]
    assert set(own["sample_id"]) == set(prepared.manifest.loc[prepared.manifest["domain"] == "global", "sample_id"])
    assert set(own["other"]) == {"mine"}
    assert set(own["certainty"]) == {"possible"}
    assert set(prepared.manifest["seen"]) == {""}


def test_weights_drawn_at_random_add_nothing(prepared, compose, tmp_path):
    ledger = write_ledger(build_recipe(compose("prepare", tmp_path)), prepared, tmp_path / "out")
    pd.testing.assert_frame_equal(ledger, prepared.links)


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_tells_what_was_found_and_what_was_looked_at(prepared, recipe, tmp_path, width):
    text = shown(ledger_view(write_ledger(recipe, prepared, tmp_path / "out"), prepared, weights=TAUGHT), width)
    assert max(map(len, text.splitlines())) <= width
    told = " ".join(text.split())
    tested = prepared.manifest["split"].isin(["test", "crossfit"])
    seen = (tested & (prepared.manifest["domain"] == "global")).sum()
    assert f"{seen} of {tested.sum()} tested samples are tagged" in told
    assert f"No overlap found by equal bytes: {len(prepared.manifest)} files." in told
    assert f"mirror images: {len(prepared.manifest) * (len(prepared.manifest) - 1) // 2} pairs." in told
    assert "Nothing there to compare by: study, pretraining list." in told
    assert "No overlap found by the catalogue: 2 releases." in told
    assert "No overlap found by patient" not in told
    assert "No overlap found by the card of the weights" not in told


def test_where_nothing_was_found_the_weights_are_named(prepared):
    other = dataclasses.replace(prepared, links=prepared.links.iloc[:0])
    told = " ".join(shown(ledger_view(other.links, other, weights=load_weight_card("resnet18_timm"))).split())
    assert "No overlap found by the card of the weights: resnet18_timm, taught on imagenet-1k." in told
    assert "No overlap found by patient: 40 ids." in told
    assert f"0 of {prepared.manifest['split'].isin(['test', 'crossfit']).sum()} tested samples are tagged." in told
    assert "rule" not in told, "no table without a line"
    scratch = " ".join(shown(ledger_view(other.links, other, weights=None)).split())
    assert "Nothing there to compare by: study, pretraining list, the card of the weights." in scratch


def test_one_film_of_one_release_has_nothing_to_be_compared_with(prepared):
    alone = {"files": 1, "patient ids": 1, "study ids": 0, "entries": 0, "releases": 1, "related": 0}
    other = dataclasses.replace(prepared, links=prepared.links.iloc[:0], facts={**prepared.facts, "looked_at": alone})
    told = " ".join(shown(ledger_view(other.links, other, weights=None)).split())
    assert "No overlap found by what the releases say: 1 release." in told
    absent = "pictures alike, also negatives and mirror images, study, pretraining list, the catalogue, the card of the weights"
    assert f"Nothing there to compare by: {absent}." in told


def test_a_long_ledger_is_cut_in_the_terminal_alone(prepared, recipe, tmp_path):
    ledger = write_ledger(recipe, prepared, tmp_path / "out")
    long = pd.concat([ledger.assign(other=f"release {n}") for n in range(20)], ignore_index=True)
    assert f"further lines stand in {LEDGER}" in shown(ledger_view(long, prepared, weights=TAUGHT))
