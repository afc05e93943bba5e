# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.core.errors import ConfigError
from medsetu.privacy.plan import audit_plan


def test_settings_are_checked():
    plan = audit_plan(retain=["uids", "device_identity"], safe_private=["GEMS_PARM_01/27"])
    assert plan.retain == ("device_identity", "uids")
    assert plan.safe_private == {("GEMS_PARM_01", 0x27)}


@pytest.mark.parametrize("text", ["GEMS_PARM_01", "/27", "GEMS_PARM_01/zz", "GEMS_PARM_01/127"])
def test_a_private_element_has_a_creator_and_a_number(text):
    with pytest.raises(ConfigError, match="CREATOR/ee"):
        audit_plan(safe_private=[text])


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigError):
        audit_plan(retain=["everything"])


def test_settings_are_stated_in_one_order():
    plan = audit_plan(safe_private=["B MAKER/01", "A MAKER/ff"], retain=["uids"])
    assert plan.stated == [["uids"], True, [["A MAKER", 255], ["B MAKER", 1]], True]
