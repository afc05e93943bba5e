# SPDX-License-Identifier: Apache-2.0
"""Settings outside their range are refused; a zero that means something is kept (T13, T20)."""

import pytest

from medsetu.core.errors import ConfigError
from medsetu.shift.plan import ShiftPlan


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"level": 1.0},
        {"domain_limit": 0.5},
        {"permutations": 0},
        {"bootstrap": -1},
        {"smallest_side": 1},
        {"minimum_effective": -1.0},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"shift.{next(iter(wrong))}"):
        ShiftPlan(**wrong)


def test_zero_is_a_value():
    plan = ShiftPlan(bootstrap=0, minimum_group=0, minimum_effective=0.0)
    assert (plan.bootstrap, plan.minimum_group, plan.minimum_effective) == (0, 0, 0.0)
