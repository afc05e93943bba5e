# SPDX-License-Identifier: Apache-2.0
"""The verdict: PASS only where nothing differs, and an error that names the causes."""

import io

import pytest
from rich.console import Console

from medsetu.core.errors import ConfigError, ReproductionError
from medsetu.experiment.verdict import (
    ACCEPTED,
    DIFFERS,
    SAME,
    UNCHECKED,
    Check,
    accept,
    compared,
    merged,
    passed,
    require_passed,
    verdict_line,
    verdict_record,
    verdict_table,
)

TORCH = Check("library", "torch", DIFFERS, "2.14", "2.15")
SPLIT = Check("split", "samples of this run", DIFFERS, note="another split")


def shown(checks):
    console = Console(file=io.StringIO(), width=120)
    console.print(verdict_table(checks, title="demo"))
    return console.file.getvalue()


def test_what_could_not_be_checked_does_not_count_as_holding():
    checks = [Check("seed", "seed", SAME), Check("data", "films", UNCHECKED, note="none is here")]
    assert passed(checks)
    assert verdict_line(checks) == "PASS: 1 check holds, 1 could not be made"


def test_the_error_names_the_causes():
    require_passed([Check("seed", "seed", SAME)], where="demo")
    with pytest.raises(ReproductionError, match=r"library torch \(recorded 2\.14, found 2\.15\); split samples of this run: another split"):
        require_passed([TORCH, SPLIT], where="demo")
    with pytest.raises(ReproductionError, match="and 2 more"):
        require_passed([TORCH] * 5, where="demo")


def test_a_library_may_be_accepted_and_a_number_may_not():
    (found,) = accept([TORCH], ["library"])
    assert found.status == ACCEPTED
    assert verdict_line([found]) == "PASS: 0 checks hold, 1 accepted as different"
    assert accept([SPLIT], ["library"]) == [SPLIT]
    with pytest.raises(ConfigError, match="'numbers' cannot be accepted"):
        accept([], ["numbers"])


def test_equal_checks_are_counted_and_others_kept():
    assert [check.note for check in merged([TORCH, SPLIT, TORCH])] == ["2 times", "another split"]


def test_the_table_ends_with_what_fails():
    text = shown([TORCH, Check("numbers", "results.csv", SAME, note="12 numbers"), Check("seed", "a", SAME), Check("seed", "b", SAME)])
    assert text.index("2 checks") < text.index("12 numbers") < text.index("torch") < text.index("FAIL: 3 checks hold, 1 fails")


def test_hashes_are_shown_short_and_recorded_whole_in_words():
    check = compared("data", "manifest", recorded="a" * 64, found="b" * 64)
    assert (check.status, check.recorded, check.found) == (DIFFERS, "a" * 12, "b" * 12)
    assert verdict_record([check])["verdict"] == "FAIL"
