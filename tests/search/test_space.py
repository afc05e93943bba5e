# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.core.errors import ConfigError
from medsetu.search.space import Knob, apply, nested, read_space

CONFIG = {
    "stages": {
        "pretrain": {"lr": 0.1},
        "finetune": {"lr": 0.01, "batch_size": 16, "patience": None, "monitor": "loss", "tuning": {"decay": 0.5}, "seed": 1, "swa": 0.0},
    },
    "backbone": {"name": "a"},
    "data": {"fit": "pad", "workers": 0, "augment": {"rotation": 10}},
    "manifest": {"val": 0.2},
    "seed": 0,
}
LR = {"low": 0.001, "high": 0.1, "log": True}


def read(space):
    return read_space(space, CONFIG, stages=["finetune"], idle=("workers",))


def test_a_space_is_nested_or_dotted():
    knobs = read({"stages": {"finetune": {"lr": LR, "tuning": {"decay": {"low": 0, "high": 1}}}}, "data.fit": ["pad", "crop"]})
    assert [knob.key for knob in knobs] == ["data.fit", "stages.finetune.lr", "stages.finetune.tuning.decay"]
    assert knobs[0].choices == ("pad", "crop")
    assert (knobs[1].low, knobs[1].high, knobs[1].log, knobs[1].whole) == (0.001, 0.1, True, False)
    assert not knobs[2].whole, "the recipe has a fraction there"
    assert read({"stages.finetune.lr": LR}) == read({"stages": {"finetune": {"lr": LR}}})


def test_whole_numbers_stay_whole():
    knobs = read({"stages.finetune": {"batch_size": {"low": 4, "high": 64, "log": True}, "patience": {"low": 0, "high": 5}}})
    assert [knob.whole for knob in knobs] == [True, True]
    assert read({"stages.finetune.batch_size": {"choices": [8, 16]}})[0].choices == (8, 16)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("stages.finetune.lrr", "no key 'stages.finetune.lrr'.*Did you mean 'lr'"),
        ("stages.finetune.lr.low_", "no key"),
        ("stages.finetun.lr", "no stage 'finetun'.*Did you mean 'finetune'"),
        ("stages.pretrain.lr", "no stage 'pretrain'"),
        ("stage.finetune.lr", "cannot be searched.*Did you mean 'stages'"),
        ("seed", "luck"),
        ("split_seed", "luck"),
        ("stages.finetune.seed", "luck"),
        ("manifest.test", "who is tested"),
        ("evaluation.margin", "who is tested"),
        ("sides.local.nitrd.root", "who is tested"),
        ("stages.finetune.monitor", "could not be compared"),
        ("stages.finetune.select_on", "could not be compared"),
        ("data.workers", "cannot change what is learned"),
    ],
)
def test_what_no_search_may_touch(key, says):
    with pytest.raises(ConfigError, match=says):
        read({key: [1, 2]})


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"low": 1, "high": 1}, "larger high"),
        ({"low": 0.0, "high": 1.0, "log": True}, "above 0"),
        ({"low": 0.1}, "larger high"),
        ({"low": "a", "high": "b"}, "larger high"),
        ({"low": 0.1, "high": float("inf")}, "larger high"),
        ({"low": 0.1, "high": 1.0, "logg": True}, "no 'logg'.*Did you mean 'log'"),
        ({"choices": [1, 2], "low": 1}, "no 'low'"),
        ([], "at least two different"),
        ([0.1], "at least two different"),
        ([0.1, 0.1], "at least two different"),
        (0.1, "at least two different"),
        ([{"a": 1}, {"a": 2}], "whole section"),
    ],
)
def test_what_is_no_range_and_no_choice(node, says):
    with pytest.raises(ConfigError, match=says):
        read({"stages.finetune.lr": node})


def test_a_range_is_for_numbers():
    with pytest.raises(ConfigError, match="for a number"):
        read({"data.fit": {"low": 0.1, "high": 1.0}})
    with pytest.raises(ConfigError, match="whole number"):
        read({"stages.finetune.batch_size": {"low": 0.1, "high": 1.0}})


@pytest.mark.parametrize("space", [{}, {"stages": {}}, {"stages": {"finetune": {}}}])
def test_an_empty_space_is_refused(space):
    with pytest.raises(ConfigError, match="nothing to search"):
        read(space)


def test_values_are_set_in_a_copy():
    changed = apply(CONFIG, {"stages.finetune.lr": 0.5, "data.fit": "crop"})
    assert (changed["stages"]["finetune"]["lr"], changed["data"]["fit"]) == (0.5, "crop")
    assert (CONFIG["stages"]["finetune"]["lr"], CONFIG["data"]["fit"]) == (0.01, "pad")
    assert nested({"a.b": 1, "a.c": 2}) == {"a": {"b": 1, "c": 2}}


def test_drawn_numbers_are_short_and_inside_the_range():
    knob = Knob("lr", 0.000123443, 0.1)
    assert knob.tidy(0.0123456) == 0.01235
    assert knob.tidy(0.000123443) == 0.000123443
    assert Knob("epochs", 1, 20000, whole=True).tidy(12345) == 12345
