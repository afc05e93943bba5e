# SPDX-License-Identifier: Apache-2.0
"""The shipped profile names its edition; a profile that nothing could prove is refused."""

import pytest
from omegaconf import OmegaConf

from medsetu.core.errors import ConfigError
from medsetu.core.place import config_folder
from medsetu.shift.profile import Profile, read_profile

FILE = config_folder() / "profile" / "who_tpp_2014_tb_screening.yaml"


@pytest.fixture
def node():
    return OmegaConf.to_container(OmegaConf.load(FILE))


def test_the_shipped_profile_is_that_of_2014_and_says_that_it_was_replaced(node):
    profile = read_profile(node)
    assert (profile.sensitivity, profile.specificity) == (0.90, 0.70)
    assert profile.edition == "2014"
    assert "2014" in profile.name
    assert "replaced by WHO on 2025-08-11" in profile.note
    assert isinstance(profile, Profile)


def test_a_misspelt_key_is_named_with_the_nearest(node):
    with pytest.raises(ConfigError, match="sensitivity"):
        read_profile({**node, "sensitivty": 0.9})


def test_a_profile_without_edition_is_refused(node):
    del node["edition"]
    with pytest.raises(ConfigError, match="edition"):
        read_profile(node)


@pytest.mark.parametrize(("key", "value"), [("assumed_sensitivity", 0.9), ("specificity", 0.0), ("assumed_specificity", 1.0)])
def test_a_target_that_nothing_can_prove_is_refused(node, key, value):
    with pytest.raises(ConfigError, match="cannot be proved"):
        read_profile({**node, key: value})
