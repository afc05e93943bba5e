# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import yaml

from medsetu.core.errors import ConfigError
from medsetu.manifest.plan import Crossfit, Similarity, SplitPlan

DEFAULT = Path(__file__).parents[2] / "configs" / "manifest" / "default.yaml"


@pytest.mark.parametrize("key", ["val", "test", "minimum_test", "max_quarantine"])
def test_zero_is_a_value(key):
    assert getattr(SplitPlan(**{key: 0}), key) == 0


@pytest.mark.parametrize("key", ["distance", "correlation"])
def test_zero_is_a_value_for_similarity(key):
    assert getattr(Similarity(**{key: 0}), key) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"val": -0.1},
        {"val": 1.1},
        {"test": float("nan")},
        {"test": True},
        {"val": "0.1"},
        {"minimum_test": -1},
        {"max_quarantine": 1.01},
        {"val": 0.5, "test": 0.5},
        {"leakage": {"near": "remove"}},
        {"names": "mine"},
        {"proxy": {"malignant": ["suspicious"]}},
        {"crossfit": {"folds": 1}},
        {"crossfit": {"repeats": 0}},
        {"crossfit": {"when": "sometimes"}},
        {"near": {"distance": 32}},
        {"near": {"correlation": 1.5}},
    ],
)
def test_validators_fire(wrong):
    with pytest.raises(ConfigError):
        SplitPlan(**wrong)


def test_nearest_name_is_offered():
    with pytest.raises(ConfigError, match="Did you mean 'drop'"):
        SplitPlan(leakage={"near": "dropp"})


@pytest.mark.parametrize("rule", ["patient", "study", "exact"])
def test_what_is_proven_is_never_only_tagged(rule):
    with pytest.raises(ConfigError, match="Allowed: refuse, drop"):
        SplitPlan(leakage={rule: "tag"})
    with pytest.raises(ConfigError, match="Allowed: refuse, tag"):
        SplitPlan(leakage={"backbone": "drop"})


def test_yaml_and_signature_have_the_same_defaults():
    node = yaml.safe_load(DEFAULT.read_text())
    assert node.pop("_target_") == "medsetu.manifest.plan.SplitPlan"
    assert SplitPlan(**node) == SplitPlan()
    assert SplitPlan(**node).crossfit == Crossfit()


def test_a_proxy_needs_common_names():
    plan = SplitPlan(names="common", proxy={"malignant": ["suspicious"]})
    assert plan.proxy == {"malignant": ("suspicious",)}
    assert SplitPlan().names == "own"
