# SPDX-License-Identifier: Apache-2.0
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from medsetu.privacy.dummy import is_dummy, is_empty


@pytest.mark.parametrize("value", [None, "", "  ", "^^", b"", b"\0\0 ", [], [""], Sequence([]), Sequence([Dataset()])])
def test_empty_values(value):
    assert is_empty(value)
    assert is_dummy(value, vr="LO")


@pytest.mark.parametrize(
    ("value", "vr"),
    [
        ("Anonymous", "PN"),
        ("REMOVED", "LO"),
        ("MS-ABCDEFGHIJ234", "LO"),
        ("2.25.12", "UI"),
        ("1.2.840.10008.1.2", "UI"),
        ("19000101", "DA"),
        ("000000", "TM"),
        (0, "US"),
        ("000Y", "AS"),
        (MultiValue(str, ["REMOVED", "NONE"]), "LO"),
    ],
)
def test_dummies(value, vr):
    assert is_dummy(value, vr=vr)


@pytest.mark.parametrize(
    ("value", "vr"),
    [
        ("ZZ^SENTINEL", "PN"),
        ("MS-ABCDEFGHIJ23", "LO"),
        ("1.2.826.0.1", "UI"),
        ("19450312", "DA"),
        ("101112", "TM"),
        (67, "US"),
        (b"ZZ", "UN"),
        (MultiValue(str, ["REMOVED", "ZZ"]), "LO"),
        ("067Y", "AS"),
    ],
)
def test_values_that_tell(value, vr):
    assert not is_dummy(value, vr=vr)
