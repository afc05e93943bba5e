# SPDX-License-Identifier: Apache-2.0
import math

import pandas as pd
import pytest

from contest.cohort import field
from medsetu.contest.critical import critical_difference

SKILL = {"a": 2.5, "b": 1.0, "c": 1.0}


def releases(number, *, per_class=20):
    parts = []
    for one in range(number):
        table = field(SKILL, per_class=per_class, seed=one)
        parts.append(table.assign(release=f"release{one}", sample_id=f"r{one}/" + table["sample_id"]))
    return pd.concat(parts, ignore_index=True)


def test_four_releases_are_refused_with_the_number():
    found = critical_difference(releases(4), finding="tuberculosis", alpha=0.05)
    assert found.refused == "critical differences need at least 5 independent releases, and there are 4"
    assert (found.ranks, math.isnan(found.difference)) == ((), True)


def test_six_releases_have_average_ranks_and_nemenyis_difference():
    found = critical_difference(releases(6), finding="tuberculosis", alpha=0.05)
    assert found.refused == ""
    assert found.ranks[0] == ("a", 1.0)
    assert sum(rank for _, rank in found.ranks) == pytest.approx(6.0)
    assert found.difference == pytest.approx(2.343 * math.sqrt(3 * 4 / (6 * 6)), abs=1e-3)  # q of Demšar's table 5 for three
    assert found.p < 0.05


def test_releases_that_share_images_or_are_small_do_not_count():
    shared = {frozenset((f"release{one}", f"release{one + 1}")) for one in (0, 2)}
    found = critical_difference(releases(6), finding="tuberculosis", alpha=0.05, overlapping=shared)
    assert found.releases == ("release0", "release2", "release4", "release5")
    assert "there are 4" in found.refused
    small = critical_difference(releases(6, per_class=9), finding="tuberculosis", alpha=0.05)
    assert "there are 0" in small.refused
