# SPDX-License-Identifier: Apache-2.0
"""Facts are told as far as they are known, and nobody is named."""

from dataclasses import replace

import pandas as pd
import pytest

from fakes.report import SENTINEL
from medsetu.catalog.card import load_card
from medsetu.report.content import Report
from medsetu.report.fact import study_facts

RECIPE = """
backbone: {name: resnet18, size: 224, channels: 1}
data: {fit: pad, sampler: natural, intensity: [{_target_: medsetu.data.intensity.Equalise}]}
stages: {finetune: {epochs: 8, side: local, lr: 0.0007, batch_size: 16, monitor: auroc, prevalence_limit: 10}}
evaluation: {sensitivity_targets: [0.9], specificity_targets: [], groups: [sex, age_years], minimum_group: 10}
"""


@pytest.fixture(scope="module")
def facts(study_report):
    return study_facts(replace(study_report, recipe_yaml=RECIPE, seal=["Plan sealed.", "Primary: x.", "Planned power: 0.4."], openings=3))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("thresholds", "sensitivity at least 0.9"),
        ("groups_planned", "sex, age years; smaller than 10 suppressed"),
        ("plan", "opened 3 times"),
        ("primary", "Primary: x."),
        ("planned_power", "0.4"),
        ("model", "resnet18"),
        ("preprocessing", "pad to 224 pixels; intensity: Equalise"),
        ("training", "8 epochs on local"),
        ("collection", "nitrd: case-control; tb_chest_radiography_database: case-control"),
        ("flow", "global: 4\u202f200 eligible, 12 excluded, 3 quarantined, 4\u202f185 analysed; local: 104 eligible, 0 excluded"),
        ("classes", "local nitrd crossfit: 52 with, 52 without"),
        ("partition", "disjoint by image. The cross-fitted side"),
        ("performance", "transfer on local: AUROC 0."),
        ("accuracy", "sensitivities and specificities"),
        ("groups_found", "results by age years, sex, view"),
        ("updating", "83 local labels"),
        ("errors", "at most 3 of each"),
    ],
)
def test_what_is_known_is_told(facts, name, words):
    assert words in facts[name]


@pytest.mark.parametrize("name", ["reference", "acquired", "blinding", "external", "setting"])
def test_what_one_card_or_nobody_knows_stays_empty(facts, name):
    """The reference standard of one release is unknown, so that of the study is."""
    assert facts[name] == ""


def test_a_fact_of_the_cards_needs_every_card(study_report):
    cards = [replace(load_card("nitrd"), blinding="of the diagnosis"), load_card("tb_chest_radiography_database")]
    assert study_facts(replace(study_report, cards=cards))["blinding"] == ""
    assert study_facts(replace(study_report, cards=cards[:1]))["blinding"] == "nitrd: of the diagnosis"
    assert study_facts(replace(study_report, cards=[]))["blinding"] == ""


def test_nobody_is_named(facts):
    """T44: the tables hold the planted name; the facts do not."""
    assert SENTINEL not in str(facts)
    assert "p-local-" not in str(facts)


@pytest.mark.parametrize("recipe", ["", "[", "</pre>text", "- a"])
def test_an_empty_report_has_facts_that_are_empty(recipe):
    facts = study_facts(Report(title="t", question="", recipe_yaml=recipe, made_on="2026-11-24"))
    assert {"question", "flow", "performance", "classes", "plan", "thresholds", "model"} <= {
        name for name, text in facts.items() if not text
    }


def test_external_releases_are_named(study_report):
    table = study_report.predictions
    added = pd.concat([table, table[table["domain"] == "local"].assign(domain="external", release="shenzhen")])
    assert study_facts(replace(study_report, predictions=added))["external"] == "tested on shenzhen, never trained on"
