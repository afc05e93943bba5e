# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from contest.cohort import PLAN
from medsetu.contest.duel import Duel
from medsetu.contest.family import ALL_PAIRS, DECLARED, EXPLORATORY, adjust


def test_verdicts_say_equal_only_within_the_margin():
    made = [
        Duel("a", "b", "auroc", value=0.2, low=0.1, high=0.3, p=0.001, p_equivalent=0.99),
        Duel("a", "c", "auroc", value=0.01, low=-0.01, high=0.03, p=0.3, p_equivalent=0.001),
        Duel("b", "c", "auroc", value=-0.02, low=-0.08, high=0.04, p=0.5, p_equivalent=0.2),
        Duel("a", "d", "auroc", value=-0.02, low=-0.03, high=-0.01, p=0.001, p_equivalent=0.001),
        Duel("b", "d", "auroc", value=0.1, note="fewer than 10 patients"),
        Duel("c", "d", "auroc", note="one class only"),
    ]
    assert adjust(made, PLAN)["verdict"].tolist() == [
        "a is better than b",
        "equal within 0.05",
        "not told apart",
        "d is better than a, by less than 0.05",
        "no verdict without an interval",
        "not estimable",
    ]


def test_holm_counts_only_what_was_declared_and_what_could_be_tested():
    made = [Duel(*pair, "auroc", value=0.1, low=0.0, high=0.2, p=0.02) for pair in (("b", "a"), ("c", "a"), ("b", "c"))]
    made += [Duel("d", "a", "auroc"), Duel("b", "a", "brier", value=0.1, low=0.0, high=0.2, p=0.02)]
    table = adjust(made, replace(PLAN, reference="a"))
    assert table["family"].tolist() == [DECLARED, DECLARED, ALL_PAIRS, DECLARED, EXPLORATORY]
    assert table["p_holm"].tolist() == pytest.approx([0.04, 0.04, np.nan, np.nan, np.nan], nan_ok=True)
    assert table["p_pairs"].tolist() == pytest.approx([0.06, 0.06, 0.06, np.nan, np.nan], nan_ok=True)
    assert table["p_bh"].tolist() == pytest.approx([np.nan] * 4 + [0.02], nan_ok=True)
    assert table["verdict"].tolist() == [
        "b is better than a",
        "c is better than a",
        "not told apart",
        "not estimable",
        "exploratory: higher for b",
    ]
