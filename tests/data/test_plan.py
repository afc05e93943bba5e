# SPDX-License-Identifier: Apache-2.0
import inspect
from pathlib import Path

import pytest
import yaml

from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.data.augment import Augmentation
from medsetu.data.plan import DataPlan


def test_zero_is_a_value(tmp_path: Path) -> None:  # T13
    plan = DataPlan(cache=tmp_path, workers=0, build_workers=0, memory_limit_gib=0)
    assert (plan.workers, plan.build_workers, plan.memory_limit_gib) == (0, 0, 0)


@pytest.mark.parametrize(
    "wrong", [{"sampler": "clas"}, {"eval_batch_size": 0}, {"workers": -1}, {"fit": "pads"}, {"storage": "int8"}, {"memory_limit_gib": -1}]
)
def test_validators_fire(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DataPlan(cache=tmp_path, **wrong)


def test_the_default_file_names_every_setting() -> None:
    written = yaml.safe_load((config_folder() / "data" / "default.yaml").read_text())
    augment = written.pop("augment")
    assert set(written) - {"_target_"} == set(inspect.signature(DataPlan).parameters) - {"augment"}
    assert set(augment) - {"_target_"} == set(inspect.signature(Augmentation).parameters)
    assert Augmentation(**{key: value for key, value in augment.items() if key != "_target_"}) == Augmentation()
