# SPDX-License-Identifier: Apache-2.0
"""Names that stay in their folder, and names that do not."""

import pytest

from medsetu.core.inside import alike, inner, strays


@pytest.mark.parametrize("name", ["a.png", "./images/a.png", "images//a b (1).png", "dossier/é.png", "a..b/c...png", "12:30/a.dcm"])
def test_honest_names_stay_inside(name):
    assert strays(name) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("../a", "steps out"),
        ("a/../../b", "steps out"),
        ("a/..", "steps out"),
        ("C:/a", "drive"),
        ("c:a", "drive"),
        ("a\\..\\b", "backslash"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("", "empty"),
        ("./", "empty"),
    ],
)
def test_other_names_do_not(name, why):
    assert why in strays(name)


def test_names_that_some_disks_take_for_one_are_alike():
    assert alike("A/b.PNG") == alike("a/B.png")
    assert alike("é") == alike("e\u0301")
    assert alike("a") != alike("b")
    assert inner("./a/./b/") == "a/b"
