# SPDX-License-Identifier: Apache-2.0
"""Power and sample size against our own simulations (reference/coverage.md, reference/estimands.md)."""

import math

import pytest

from medsetu.core.errors import ConfigError
from medsetu.evaluation.interval import Estimate
from medsetu.shift import power


@pytest.mark.parametrize(
    ("aurocs", "per_class", "simulated"),
    [
        ((0.93, 0.90), 25, 0.08),
        ((0.93, 0.90), 50, 0.16),
        ((0.93, 0.90), 100, 0.34),
        ((0.93, 0.90), 200, 0.59),
        ((0.90, 0.75), 25, 0.66),
        ((0.90, 0.75), 50, 0.95),
    ],
)
def test_detection_power_agrees_with_simulation(aurocs: tuple[float, float], per_class: int, simulated: float) -> None:
    error = power.planned_error(*aurocs, n_positive=per_class, n_negative=per_class, correlation=0.55)
    found = power.detection_power(aurocs[0] - aurocs[1], standard_error=error)
    assert found == pytest.approx(simulated, abs=0.08 if per_class < 50 else 0.03)


@pytest.mark.parametrize(("films", "simulated"), [(52, 0.42), (104, 0.69), (208, 0.93)])
def test_noninferiority_power_agrees_with_simulation(films: int, simulated: float) -> None:
    error = power.planned_error(0.93, 0.93, n_positive=films // 2, n_negative=films // 2, correlation=0.7)
    assert power.noninferiority_power(0.05, standard_error=error) == pytest.approx(simulated, abs=0.03)


@pytest.mark.parametrize(("difference", "per_class"), [(0.03, 252), (0.05, 91)])
def test_sample_size_agrees_with_the_reference(difference: float, per_class: int) -> None:
    found = power.sample_size(difference, auroc=0.907, correlation=0.7)
    assert found == pytest.approx(per_class, rel=0.02)


def test_sample_size_is_the_smallest_that_is_enough() -> None:
    needed = power.sample_size(0.05, auroc=0.9, correlation=0.6)

    def reached(per_class: int) -> float:
        error = power.planned_error(0.9, 0.9, n_positive=per_class, n_negative=per_class, correlation=0.6)
        return power.detection_power(0.05, standard_error=error)

    assert reached(needed) >= 0.8 > reached(needed - 1)


def test_equal_arms_are_found_different_at_the_nominal_rate() -> None:
    assert power.detection_power(0.0, standard_error=0.02) == pytest.approx(0.05)


def test_truth_at_the_margin_is_accepted_at_the_one_sided_rate() -> None:
    assert power.noninferiority_power(0.05, standard_error=0.02, truth=-0.05) == pytest.approx(0.025)


def test_unknown_error_gives_unknown_power() -> None:
    assert math.isnan(power.detection_power(0.05, standard_error=math.nan))
    assert math.isnan(power.noninferiority_power(0.05, standard_error=math.nan))


def test_no_error_decides_by_the_truth_alone() -> None:
    assert power.detection_power(0.05, standard_error=0.0) == 1.0
    assert power.noninferiority_power(0.05, standard_error=0.0, truth=-0.06) == 0.0


def test_interval_error_reads_the_printed_interval() -> None:
    estimate = Estimate(value=0.0, low=-0.0392, high=0.0392, n_patients=1, n_samples=1, n_positive=1, method="")
    assert power.interval_error(estimate) == pytest.approx(0.02, abs=1e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: power.planned_error(1.0, 0.9, n_positive=5, n_negative=5, correlation=0.5),
        lambda: power.planned_error(0.9, 0.9, n_positive=0, n_negative=5, correlation=0.5),
        lambda: power.planned_error(0.9, 0.9, n_positive=5, n_negative=5, correlation=1.0),
        lambda: power.sample_size(0.0, auroc=0.9, correlation=0.5),
        lambda: power.sample_size(0.05, auroc=0.9, correlation=0.5, power=1.0),
    ],
)
def test_impossible_questions_are_refused(call) -> None:
    with pytest.raises(ConfigError):
        call()
