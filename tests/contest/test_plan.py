# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.contest.plan import ContestPlan, contest_plan
from medsetu.core.errors import ConfigError
from medsetu.evaluation.decision import Rule
from medsetu.evaluation.plan import EvaluationPlan


def test_the_plan_of_a_recipe_counts_unless_something_else_is_given():
    evaluation = EvaluationPlan(primary="edema", margin=0.04, level=0.9, sensitivity_targets=(0.8,), bootstrap=7)
    plan = contest_plan(evaluation, power=0.9, reference=None)
    assert (plan.finding, plan.margin, plan.smallest, plan.level, plan.bootstrap) == ("edema", 0.04, 0.04, 0.9, 7)
    assert (plan.rule, plan.power, plan.reference) == (Rule("sensitivity", 0.8), 0.9, "")
    assert contest_plan(evaluation, smallest=0.02).smallest == 0.02
    assert contest_plan(EvaluationPlan(primary="edema", sensitivity_targets=(), specificity_targets=())).rule is None


@pytest.mark.parametrize(
    "wrong", [{"margin": 0.0}, {"smallest": 1.0}, {"level": 1.0}, {"power": -0.1}, {"films": "some"}, {"kind": "given"}, {"bootstrap": -1}]
)
def test_what_is_impossible_is_refused(wrong):
    with pytest.raises(ConfigError):
        ContestPlan(finding="edema", **wrong)


def test_alpha_belongs_to_the_level():
    assert ContestPlan(finding="edema", level=0.9).alpha == pytest.approx(0.1)
