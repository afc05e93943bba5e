# SPDX-License-Identifier: Apache-2.0
"""What a plan holds: counts and hashes of the test, the primary comparison, and the power it can have."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.plan import Primary, plan_of, primary_of

ARMS = {"global-only": ["a"], "local-only": ["b"], "transfer": ["a", "b"]}
RAW = {key: {} for key in ("question", "split_seed", "manifest", "backbone", "stages", "evaluation", "trainer")} | {
    "data": {"fit": "pad", "workers": 3, "cache": "/somewhere"}
}


def prepared(*, positives=26, negatives=26, films=2):
    """A local test with some patients per class and films per patient, and a training part that must not count."""
    patients = [f"patient-{number}" for number in range(positives + negatives)]
    rows = [(f"nitrd/{name}-{film}.png", name, float(place < positives)) for place, name in enumerate(patients) for film in range(films)]
    tested = pd.DataFrame(rows, columns=["sample_id", "group_id", "tuberculosis"])
    trained = pd.DataFrame([(f"nitrd/t{n}.png", f"t{n}", 1.0) for n in range(40)], columns=tested.columns)
    manifest = pd.concat([tested, trained], ignore_index=True)
    splits = manifest[["sample_id"]].assign(domain="local", split=np.where(manifest["group_id"].str.startswith("t"), "train", "test"))
    empty = pd.DataFrame()
    return Prepared(manifest, splits, empty, empty, empty, fingerprint="ab" * 32)


def recipe(**changes):
    values = {"name": "demo", "raw": RAW, "arms": ARMS, "sides": {"local": {"x": SimpleNamespace(name="nitrd")}, "external": {}}}
    values["evaluation"] = EvaluationPlan(primary="tuberculosis", margin=0.05)
    return SimpleNamespace(**values | changes)


def primary(**changes):
    return Primary(**{"contrast": "gain over local", "hypothesis": "non-inferiority", **changes})


def test_the_test_is_counted_and_hashed_and_nobody_is_named():
    plan = plan_of(recipe(), prepared(), seeds=[2, 0])
    assert (plan["seeds"], plan["arms"], plan["sides"]) == ([0, 2], sorted(ARMS), {"local": ["nitrd"]})
    assert plan["test"]["local"]["samples"] == 104
    assert plan["test"] != plan_of(recipe(), prepared(positives=25), seeds=[0])["test"]
    assert "patient-" not in str(plan)
    assert plan["settings"]["data"] == {"fit": "pad"}


def test_the_hash_of_the_test_does_not_know_the_order_of_rows():
    one = prepared()
    other = Prepared(one.manifest, one.splits.iloc[::-1], one.quarantine, one.excluded, one.duplicates, one.fingerprint)
    assert plan_of(recipe(), one, seeds=[0]) == plan_of(recipe(), other, seeds=[0])


def test_power_counts_patients_and_not_films():
    once, twice = (primary_of(recipe(), prepared(films=films), primary=primary())["power"] for films in (1, 2))
    assert once == twice
    assert once["patients"] == {"local": {"present": 26, "absent": 26}}


def test_power_agrees_with_the_planned_figures():
    """By hand: Hanley-McNeil variance 0.002012 at 26 + 26 and AUROC 0.9, so se 0.03475 at r = 0.7, and Phi(0.05 / se - 1.96) = 0.301."""
    power = primary_of(recipe(), prepared(), primary=primary())["power"]
    assert power["non-inferiority"] == pytest.approx(0.301, abs=0.001)
    assert power["needed_per_class"] == pytest.approx(91, abs=10)  # estimands: about 91 for 0.05 at 80 % and r = 0.7


def test_more_patients_have_more_power():
    few, many = (primary_of(recipe(), prepared(positives=n, negatives=n), primary=primary())["power"] for n in (26, 104))
    assert many["non-inferiority"] > few["non-inferiority"] + 0.2
    assert many["difference"] > few["difference"] + 0.2


def test_a_contrast_of_different_films_shares_no_correlation():
    both = prepared()
    other = both.splits.assign(domain="global", sample_id="g" + both.splits["sample_id"])
    manifest = pd.concat([both.manifest, both.manifest.assign(sample_id="g" + both.manifest["sample_id"])])
    two = Prepared(manifest, pd.concat([both.splits, other]), both.quarantine, both.excluded, both.duplicates, both.fingerprint)
    assert primary_of(recipe(), two, primary=primary(contrast="gap"))["power"]["correlation"] == 0


def test_a_class_that_is_absent_has_no_power():
    power = primary_of(recipe(), prepared(negatives=0), primary=primary())["power"]
    assert (power["non-inferiority"], power["difference"]) == (None, None)


def test_the_rule_of_the_thresholds_is_told():
    rule = primary_of(recipe(), prepared(), primary=primary())["thresholds"]
    assert "sensitivity at least 0.9, specificity at least 0.7" in rule


def test_a_contrast_without_its_arm_is_refused():
    with pytest.raises(ConfigError, match="needs the arm local-only"):
        primary_of(recipe(arms={"transfer": ["a"]}), prepared(), primary=primary())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"contrast": "gain over locals"}, "Did you mean 'gain over local'"),
        ({"hypothesis": "superiority"}, "no hypothesis"),
        ({"auroc": 1.0}, "No power can be planned"),
    ],
)
def test_a_wrong_word_or_number_is_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        primary(**change)
