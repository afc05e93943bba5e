# SPDX-License-Identifier: Apache-2.0
"""The range test of a stage, said on the command line."""

import pytest

from medsetu.core.errors import ConfigError
from medsetu.experiment import train


def test_the_rate_of_a_stage_is_looked_for_without_training_it(say, tmp_path):
    code, text = say("train", "arm=local-only", "find_rate=finetune", "logger=csv")
    assert code == 0
    assert "Suggested learning rate of stage finetune: " in text
    folder = tmp_path / "runs" / "demo" / "local-only-s0"
    assert sorted(path.name for path in folder.glob("rate-finetune.*")) == [f"rate-finetune.{kind}" for kind in ("csv", "json", "svg")]
    assert not (tmp_path / "runs" / "stages").exists()
    assert not (tmp_path / "runs" / "work" / "ledger").exists()
    assert "ZZ^SENTINEL" not in text


def test_a_stage_of_another_arm_is_refused(compose, tmp_path):
    with pytest.raises(ConfigError, match="no stage 'pretrain'"):
        train.main(compose("train", tmp_path / "runs", "arm=local-only", "find_rate=pretrain"))
