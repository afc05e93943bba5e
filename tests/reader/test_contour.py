# SPDX-License-Identifier: Apache-2.0
"""Contours of property lists: read by name, refused when broken, and never a bomb."""

import plistlib

import pytest

from medsetu.core.errors import DataError
from medsetu.reader.contour import read_contours


def listed(*regions):
    return plistlib.dumps({"Images": [{"ROIs": [{"Name": name, "Point_px": points} for name, points in regions]}]})


def test_points_by_name():
    found = read_contours(listed(("Mass", ["(1.5, 2)", "(3,4)"]), ("Unnamed", [])))
    assert found == [("Mass", [(1.5, 2.0), (3.0, 4.0)])]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<plist>",
        plistlib.dumps({"Images": [{}]}),
        plistlib.dumps([1]),
        listed(("Mass", ["(1.5)"])),
        listed(("Mass", ["(1, x)"])),
        listed(("Mass", ["(1, inf)"])),
        plistlib.dumps({"Images": []}, fmt=plistlib.FMT_BINARY),
        b'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "b">]><plist><dict><key>Images</key><array/></dict></plist>',
    ],
)
def test_broken_lists_are_refused(data):
    with pytest.raises(DataError, match="contour"):
        read_contours(data, sample_id="inbreast/1.xml")
