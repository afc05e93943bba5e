# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.core.errors import ConfigError
from medsetu.core.number import whole


@pytest.mark.parametrize("value", ["abc", -1, 1.5, True, None, [2]])
def test_what_is_no_number_is_named(value):
    with pytest.raises(ConfigError, match=r"not possible.*Key workers.*0 or more"):
        whole({"workers": value}, "workers")


def test_zero_is_a_value():
    assert whole({"workers": 0}, "workers") == 0
    with pytest.raises(ConfigError, match="1 or more"):
        whole({"films": 0}, "films", least=1)
