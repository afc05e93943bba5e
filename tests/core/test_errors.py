# SPDX-License-Identifier: Apache-2.0
"""Three sentences, a documented exit code, and a way home from worker processes."""

import pickle

import pytest

from medsetu.core import errors
from medsetu.core.errors import EXIT_CODES, ConfigError, DataError, LeakageError, MedsetuError, missing_extra, nearest

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MedsetuError)]


def test_three_sentences():
    assert str(DataError(what="A file is empty.", where="a.png", remedy="Copy it again. ")) == "A file is empty. a.png. Copy it again."


def test_exit_codes_are_documented_and_distinct():
    own = [kind for kind in KINDS if kind.__base__ in (Exception, MedsetuError)]  # a narrower kind leaves with the code of its base
    codes = [kind.exit_code for kind in own]
    assert len(own) == 10
    assert all(kind.exit_code in codes for kind in KINDS)
    assert sorted(codes) == list(range(1, 11))
    for kind in own[1:]:
        assert EXIT_CODES[kind.exit_code].startswith(kind.__name__)


def test_a_config_error_offers_the_nearest_name_first():
    error = ConfigError(
        what="No such backbone", where="Key backbone", remedy="Choose one", value="denset121", allowed=["densenet121", "resnet18"]
    )
    assert error.remedy == "Did you mean 'densenet121'? Choose one Allowed: densenet121, resnet18"
    assert ConfigError(what="a", where="b").remedy == "Correct the value"
    assert "Did you mean" not in str(ConfigError(what="a", where="b", value="zzz", allowed=["resnet18"]))


def test_nearest_is_close_or_none():
    assert nearest("tuberclosis", ["tuberculosis", "effusion"]) == "tuberculosis"
    assert nearest("xyz", ["tuberculosis"]) is None
    assert nearest("a", []) is None


def test_a_leakage_error_names_three_samples():
    error = LeakageError(rule="A patient stands on two sides", splits=["train", "test"], count=9, sample_ids=["a", "b", "c", "d"])
    assert "(9 affected). Between train and test, first: a, b, c. Remove" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        DataError(what="a", where="b", remedy="c"),
        ConfigError(what="a", where="b", value="x", allowed=["y"]),
        LeakageError(rule="r", splits=["train", "test"], count=1, sample_ids=["s"]),
    ],
)
def test_errors_come_home_from_workers(error):
    home = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(home), str(home), home.remedy, home.exit_code) == (type(error), str(error), error.remedy, error.exit_code)


def test_a_missing_extra_names_the_install_line():
    assert "pip install 'medsetu[xrv]'" in str(missing_extra("torchxrayvision", "xrv", needed_for="backbone densenet121_xrv"))
