# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from evaluation import oracle
from medsetu.core.errors import ConfigError
from medsetu.evaluation import interval


@pytest.mark.parametrize(("counts", "expected"), oracle.NEWCOMBE.items())
def test_wilson_and_clopper_pearson_reproduce_newcombe_1998(counts, expected):
    assert np.allclose(interval.wilson(*counts), expected[0], atol=5e-5)
    assert np.allclose(interval.clopper_pearson(*counts), expected[1], atol=5e-5)


@pytest.mark.parametrize(("counts", "expected"), oracle.WILSON_TPP.items())
def test_wilson_of_the_target_product_profile(counts, expected):
    assert np.allclose(interval.wilson(*counts), expected, atol=5e-5)


def test_claim_of_sensitivity_90_needs_its_sample_size():
    assert float(interval.wilson(95, 100)[0]) == pytest.approx(0.8882, abs=5e-5)
    assert float(interval.wilson(133, 140)[0]) == pytest.approx(0.9004, abs=5e-5)


def test_proportion_of_nothing_is_nan():
    assert np.isnan(interval.wilson(0, 0)).all()
    assert np.isnan(interval.clopper_pearson(0, 0)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, float("nan")])
def test_validators_fire_level(level):
    with pytest.raises(ConfigError):
        interval.critical(level)


def test_hanley_mcneil_reproduces_the_exponential_standard_error():
    found = interval.hanley_mcneil(oracle.HM82_AUC, 51, negatives=58) ** 0.5
    assert float(found) == pytest.approx(oracle.HM82_EXPONENTIAL_SE, abs=1e-6)


def test_newcombe_solves_the_variance_on_its_bounds():
    low, high = interval.newcombe_auroc(0.9, 25, negatives=25)
    for end in (low, high):
        assert abs(0.9 - end) == pytest.approx(1.959964 * float(interval.hanley_mcneil(end, 25, negatives=25)) ** 0.5, abs=1e-6)


def test_newcombe_of_a_perfect_sample_has_width_and_ends_at_one():
    low, high = interval.newcombe_auroc([1.0, 0.0], 12, negatives=12)
    assert high[0] == pytest.approx(1.0)
    assert 0.7 < low[0] < 0.95
    assert low[1] == pytest.approx(0.0)
    assert high[1] == pytest.approx(1 - low[0])


def test_logit_interval_stays_inside_and_widens_with_few_degrees():
    normal, student = interval.logit_interval(0.98, 0.0004), interval.logit_interval(0.98, 0.0004, df=5)
    assert 0 < student[0] < normal[0] < 0.98 < normal[1] < student[1] < 1
    assert np.isnan(interval.logit_interval(1.0, 0.0)).all()


def test_mover_without_correlation_is_square_and_add_and_shrinks_with_it():
    free = interval.mover(0.9, (0.8, 0.95), value_b=0.8, interval_b=(0.7, 0.9))
    assert float(free[0]) == pytest.approx(0.1 - np.hypot(0.1, 0.1))
    assert float(free[1]) == pytest.approx(0.1 + np.hypot(0.05, 0.1))
    tied = interval.mover(0.9, (0.8, 0.95), value_b=0.8, interval_b=(0.7, 0.9), correlation=0.8)
    assert free[0] < tied[0] < tied[1] < free[1]


def test_satterthwaite_lies_between_the_smaller_and_the_sum():
    assert 2 < float(interval.satterthwaite(1.0, 20.0, spread=(1.0, 2))) < 22
