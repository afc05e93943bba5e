# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from fakes.report import film
from medsetu.core.errors import DataError
from medsetu.report.content import Example, Report


def empty(**parts):
    return Report(title="t", question="q", recipe_yaml="", made_on="2026-11-24", **parts)


@pytest.mark.parametrize("pixels", [np.zeros((3, 4, 4), np.float32), np.zeros((0, 4), np.float32), np.full((2, 2), np.nan, np.float32)])
def test_example_that_is_no_picture_is_refused(pixels):
    with pytest.raises(DataError, match="not a finite picture"):
        Example("a/1.png", pixels, "tuberculosis", 1.0, 0.5, "")


def test_plain_tuples_become_examples():
    found = empty(examples=[("a/1.png", film(0), "tuberculosis", 1.0, 0.5, "false negative")]).films
    assert found[0].why == "false negative"


def test_primary_finding_comes_from_the_matrix_unless_named(study_report):
    assert study_report.primary == "tuberculosis"
    assert empty(finding="effusion").primary == "effusion"
    assert empty(predictions=study_report.predictions).primary == "tuberculosis"
    assert empty().primary == ""
    assert empty().ladder.empty
