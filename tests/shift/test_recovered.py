# SPDX-License-Identifier: Apache-2.0
"""Fieller's set against its definition, and how often it is honest."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from fakes.study import binormal, side
from medsetu.shift.recovered import fieller, recovered_share


def test_ends_solve_the_defining_equation() -> None:
    covariance = np.array([[0.0025, 0.0008], [0.0008, 0.0016]])
    found = fieller(0.10, 0.20, covariance=covariance, quantile=1.96)
    for end in (found.low, found.high):
        contrast = np.array([1.0, -end])
        assert abs(0.10 - end * 0.20) == pytest.approx(1.96 * math.sqrt(contrast @ covariance @ contrast))
    assert found.low < found.value < found.high


def test_unbounded_set_has_no_ends() -> None:
    found = fieller(0.05, 0.05, covariance=[[0.0016, 0.0], [0.0, 0.0016]], quantile=1.96)
    assert not found.bounded
    assert found.value == pytest.approx(1.0)


def test_no_gap_has_no_ratio() -> None:
    found = fieller(0.05, 0.0, covariance=np.eye(2) * 1e-4, quantile=1.96)
    assert math.isnan(found.value)
    assert not found.bounded


def test_ratio_is_never_clipped() -> None:
    assert fieller(0.3, 0.2, covariance=np.eye(2) * 1e-6, quantile=1.96).value == pytest.approx(1.5)
    assert fieller(-0.1, 0.2, covariance=np.eye(2) * 1e-6, quantile=1.96).value == pytest.approx(-0.5)


def _shares(generator: np.random.Generator, *, aurocs: tuple[float, float, float], per_class: int, number: int) -> list:
    reference, before, after = aurocs
    found = []
    for _ in range(number):
        label, scores = binormal(generator, per_class=per_class, aurocs={"global-only": reference})
        far = side("global", label, scores).arms["global-only"]
        label, scores = binormal(generator, per_class=per_class, aurocs={"global-only": before, "transfer": after})
        near = side("local", label, scores).arms
        found.append(recovered_share(far, before=near["global-only"], after=near["transfer"]))
    return found


def test_small_studies_are_unbounded_nine_times_in_ten() -> None:
    found = _shares(np.random.default_rng(0), aurocs=(0.90, 0.85, 0.88), per_class=26, number=200)
    assert np.mean([not share.bounded for share in found]) == pytest.approx(0.91, abs=0.05)
    assert np.mean([not 0 <= share.value <= 1 for share in found]) == pytest.approx(0.53, abs=0.12)


def test_set_covers_the_planted_share() -> None:
    found = _shares(np.random.default_rng(1), aurocs=(0.95, 0.75, 0.85), per_class=100, number=250)
    covered = [not share.bounded or share.low <= 0.5 <= share.high for share in found]
    assert np.mean([share.bounded for share in found]) > 0.95
    assert 0.91 <= np.mean(covered) <= 0.99


def test_seeds_that_move_together_are_taken_in() -> None:
    generator = np.random.default_rng(5)
    label, scores = binormal(generator, per_class=100, aurocs={"global-only": 0.75, "transfer": 0.85})
    level = np.array([[0.5], [0.0], [-0.5]])
    wobble = {arm: norm.cdf(table + level * label) for arm, table in scores.items()}
    calm = {arm: np.repeat(norm.cdf(table)[None], 3, axis=0) for arm, table in scores.items()}
    label_far, far = binormal(generator, per_class=100, aurocs={"global-only": 0.95})
    reference = side("global", label_far, {"global-only": np.repeat(norm.cdf(far["global-only"])[None], 3, axis=0)}).arms["global-only"]
    widths = []
    for table in (calm, wobble):
        near = side("local", label, table).arms
        share = recovered_share(reference, before=near["global-only"], after=near["transfer"])
        widths.append(share.high - share.low if share.bounded else math.inf)
    assert widths[1] > widths[0]
