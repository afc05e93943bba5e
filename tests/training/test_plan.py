# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.core.errors import ConfigError
from medsetu.training.plan import StagePlan

GOOD = {"side": "local", "findings": ["tuberculosis"]}


def test_the_side_that_learns_selects_unless_another_is_named() -> None:
    assert StagePlan(**GOOD).monitor_key == "val/local/loss"
    assert StagePlan(**GOOD, select_on="global", monitor="auroc").monitor_key == "val/global/auroc"
    assert StagePlan(**GOOD, watch=["global", "local"]).sides_watched == ("local", "global")


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        *[("side", "target"), ("select_on", "test"), ("findings", []), ("findings", ["a", "a"]), ("epochs", 0), ("lr", 0.0)],
        *[("weight_decay", -1.0), ("warmup", 1.5), ("batch_size", 1), ("accumulate", 0), ("clip", -0.1), ("ema", 1.0)],
        *[("patience", -1), ("monitor", "f1"), ("prevalence_limit", 0.5)],
    ],
)
def test_validators_fire(key: str, bad: object) -> None:
    with pytest.raises(ConfigError, match=rf"stages\.\*\.{key}"):
        StagePlan(**{**GOOD, key: bad})


@pytest.mark.parametrize(("key", "zero"), [("weight_decay", 0.0), ("warmup", 0.0), ("clip", 0.0), ("ema", 0.0), ("patience", 0)])
def test_zero_is_a_value(key: str, zero: float) -> None:
    assert getattr(StagePlan(**{**GOOD, key: zero}), key) == 0
