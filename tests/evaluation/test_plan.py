# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import yaml

from medsetu.core.errors import ConfigError
from medsetu.evaluation.plan import EvaluationPlan

CONFIG = Path(__file__).parents[2] / "configs" / "evaluation" / "default.yaml"


def test_the_default_config_is_the_signature_and_its_defaults():
    written = yaml.safe_load(CONFIG.read_text())
    assert written.pop("_target_") == "medsetu.evaluation.plan.EvaluationPlan"
    assert written.pop("primary") == "???"
    plan = EvaluationPlan(primary="tuberculosis")
    for key, value in written.items():
        default = getattr(plan, key)
        assert (list(default) if isinstance(default, tuple) else default) == value, key


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("margin", 0.0, 1.0),
        ("level", 0.5, 1.0),
        ("prevalences", [0.0, 1.0], [1.2]),
        ("sensitivity_targets", [0.0], [-0.1]),
        ("specificity_targets", [1.0], [95]),
        ("decision_thresholds", [0.0], [1.0]),
        ("partial_fpr", 1.0, 0.0),
        ("minimum_group", 0, -1),
        ("bins", 1, 0),
        ("bootstrap", 0, -5),
        ("seed", 0, -1),
        ("age_bands", [], [40, 18]),
        ("score_kind", "rescaled", "scaled"),
        ("primary", "effusion", ""),
        ("margin", 0.1, float("nan")),
    ],
)
def test_validators_fire_and_zero_is_a_value(key, good, bad):
    accepted = EvaluationPlan(**({"primary": "tuberculosis"} | {key: good}))
    assert getattr(accepted, key) == good
    with pytest.raises(ConfigError):
        EvaluationPlan(**({"primary": "tuberculosis"} | {key: bad}))
