# SPDX-License-Identifier: Apache-2.0
"""Names of a table lead to images, or it is said what would make them."""

import time
from pathlib import Path

import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.release.table_path import advice, image_paths, lookup, usage


def paths(*names, **more):
    settings = {"root": Path("/data/films"), "prefix": "", "suffix": "", "where": "Release 'own'"}
    return image_paths(pd.Series(names, dtype=str), **(settings | more)).tolist()


def test_names_of_windows_and_full_paths_below_root_are_relative():
    assert paths("a\\b.png", "./c.png", "/data/films/d/e.png", "") == ["a/b.png", "c.png", "d/e.png", ""]
    assert paths("D:\\Study\\films\\a.png", "D:\\Study\\films\\x\\b.png", prefix="D:\\Study\\films") == ["a.png", "x/b.png"]
    assert paths("7", suffix=".png") == ["7.png"]


@pytest.mark.parametrize("name", ["/etc/passwd", "C:\\films\\ZZ^SENTINEL.png", "a/../../b.png", "/data/films2/a.png"])
def test_what_leads_outside_is_refused_by_row_and_not_by_name(name):
    with pytest.raises(DataError, match="1 rows point outside the image folder, the first is row 2") as caught:
        paths("a.png", name)
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.parametrize(
    ("absent", "orphans", "told"),
    [
        (["a", "b"], ["a.png", "b.jpg"], "With suffix '.jpg' 1"),
        (["a.png", "b.png"], ["films/a.png", "films/b.png"], "With root set to its folder 'films' 2"),
        (["x/a.png"], ["a.png"], "leave them out with prefix"),
        (["a.png", "b.png"], ["x/a.png", "y/b.png"], "lie in 2 folders"),
        (["A.PNG", "b.dcm"], ["a.png", "b.png"], "2 of them differ from a file in folder, ending or capital letters alone"),
        (["12"], ["0012.dcm"], "leading zeros"),
        (["ZZ^SENTINEL"], ["a.png"], ""),
        ([], [], ""),
    ],
)
def test_what_would_help_is_said(absent, orphans, told):
    said = advice(absent, orphans)
    assert told in said
    assert bool(said) == bool(told)


def test_folders_and_members_are_found():
    there = lookup({"s/1.dcm", "v.nii"})
    assert [there(path) for path in ("s", "v.nii/2", "s/2.dcm", "")] == [True, True, False, False]
    assert usage({"s"})("s/1.dcm")
    assert not usage({"v.ni"})("v.nii")


def test_many_images_without_a_row_are_found_at_once():
    used = {f"a/{number}.png" for number in range(20_000)}
    is_used, begun = usage(used), time.process_time()
    assert not any(is_used(f"b/{number}.png") for number in range(20_000))
    assert time.process_time() - begun < 5, "a look at every row for every image would take minutes"
