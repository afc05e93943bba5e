# SPDX-License-Identifier: Apache-2.0
"""What is asked of which fact, and what cannot be told."""

import numpy as np
import pandas as pd

from fakes.cluster import films
from medsetu.shift.acquisition import STATISTICS
from medsetu.shift.question import CATEGORY, FACT, FEATURES, IMAGE, Question, fact_questions, feature_questions, score_question
from medsetu.shift.row import ShiftRow


def _asked(items) -> dict[str, str]:
    return {item.subject: item.measure for item in items if isinstance(item, Question)}


def _untold(items) -> dict[str, str]:
    return {item.subject: item.verdict for item in items if isinstance(item, ShiftRow)}


def test_numbers_categories_and_image_statistics_have_their_tests() -> None:
    facts = {"age_years": 40.0, "sex": "F", "bits": 8, "release": "toy", "site": "here"}
    sides = films("global", 12, facts=facts), films("local", 12, facts=facts)
    image_facts = pd.DataFrame({"sample_id": np.r_[sides[0].sample_id, sides[1].sample_id]}).assign(**dict.fromkeys(STATISTICS, 0.5))
    items = list(fact_questions(sides, image_facts, least=10))
    assert _asked(items) == {"age_years": FACT, "bits": FACT, "sex": CATEGORY, **dict.fromkeys(STATISTICS, IMAGE)}
    assert set(_untold(items)) == {"spacing_mm", "height", "width", "file_bytes", "view", "device", "color_mode"}
    assert all(item.declared > 0 for item in items if isinstance(item, Question))


def test_a_fact_known_of_too_few_patients_cannot_be_told() -> None:
    sides = films("global", 12, facts={"age_years": 40.0}), films("local", 12, facts={"age_years": np.nan})
    items = list(fact_questions(sides, None, least=10))
    assert _untold(items)["age_years"] == "cannot tell: recorded for 0 of 12 patients on the local side, 10 are needed"
    assert _untold(items)["image statistics"] == "cannot tell: the films were not read"


def test_unknown_values_leave_and_whether_a_fact_is_recorded_is_a_question_of_its_own() -> None:
    sides = films("global", 30, facts={"age_years": 40.0, "device": "x"}), films("local", 30, facts={"age_years": 40.0, "device": "x"})
    sides[1].facts.loc[sides[1].cluster < 12, ["age_years"]] = [np.nan]
    sides[1].facts.loc[sides[1].cluster < 12, ["device"]] = [""]
    items = {item.subject: item for item in fact_questions(sides, None, least=10) if isinstance(item, Question)}
    assert set(items) == {"age_years", "age_years is recorded", "device", "device is recorded"}
    assert np.unique(items["age_years"].cluster[1]).size == 18
    assert np.isfinite(items["age_years"].y).all()
    assert set(items["device"].y) == {"x"}
    assert len(items["device is recorded"].y) == len(sides[1])


def test_image_statistics_come_by_name_not_by_position() -> None:
    sides = films("global", 12), films("local", 12)
    names = np.r_[sides[0].sample_id, sides[1].sample_id]
    table = pd.DataFrame({"sample_id": names, "exposure": np.arange(names.size) / names.size}).sample(frac=1, random_state=0)
    [asked] = [item for item in fact_questions(sides, table, least=10) if isinstance(item, Question)]
    assert asked.x.tolist() == (np.arange(len(asked.x)) / names.size).tolist()


def test_score_is_the_mean_over_seeds() -> None:
    sides = films("global", 12, seeds=3), films("local", 12, seeds=3)
    question = score_question(sides)
    assert question.x.tolist() == sides[0].scores.mean(axis=0).tolist()


def test_features_need_both_sides() -> None:
    columns = films("global", 12, features=5), films("local", 12, features=5)
    assert list(_asked(feature_questions(columns)).items()) == [(FEATURES, "largest KS")]
    assert [item.measure for item in feature_questions(columns)] == ["MMD²", "C2ST", "largest KS"]
    assert _untold(feature_questions((columns[0], films("local", 12)))) == {FEATURES: "cannot tell: there are no features of both sides"}
