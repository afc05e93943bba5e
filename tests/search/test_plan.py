# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.core.errors import ConfigError
from medsetu.search.plan import SearchPlan


@pytest.mark.parametrize("key", ["trials", "startup", "warmup"])
def test_nothing_is_no_number_of_trials_or_epochs(key):
    with pytest.raises(ConfigError, match=f"cannot have {key}=0"):
        SearchPlan({}, **{key: 0})


@pytest.mark.parametrize(("key", "value"), [("sampler", "grid"), ("pruner", "all"), ("seed", -1), ("resamples", -1)])
def test_unknown_ways_are_refused(key, value):
    with pytest.raises(ConfigError, match=f"{key}={value}"):
        SearchPlan({}, **{key: value})
