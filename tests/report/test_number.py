# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.report.number import DASH, metric_family, metric_name, number, remarks, times


@pytest.mark.parametrize(("value", "told"), [(0.5, "0.500"), (-0.0001, "0.000"), (-0.02, "−0.020"), (float("nan"), DASH), (None, DASH)])
def test_numbers(value, told):
    assert number(value) == told


def test_positive_sign():
    assert number(0.02, sign=True) == "+0.020"
    assert number(0.0, sign=True) == "0.000"


def test_the_three_kinds_of_threshold_are_never_mixed():
    kinds = {metric_family(name) for name in ("ppv_at_transported_youden", "ppv_at_refitted_youden", "roc_sensitivity_at_specificity_0.95")}
    assert len(kinds) == 3


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("auroc", "AUROC"),
        ("partial_auroc_fpr_0.10", "Partial AUROC (false positives up to 10 %)"),
        ("net_benefit_0.05", "Net benefit at 5 %"),
        ("npv_at_transported_specificity_0.70_prevalence_0.001", "NPV at prevalence 0.1 %"),
        ("something_new", "something new"),
    ],
)
def test_metric_names(metric, told):
    assert metric_name(metric) == told


def test_remarks_leave_the_claim_out():
    assert remarks("claim: this model; by image") == "by image"
    assert remarks(float("nan")) == ""
    assert times(2) == "2 times"
