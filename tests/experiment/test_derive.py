# SPDX-License-Identifier: Apache-2.0
"""From predictions to tables, without torch."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fakes import study
from medsetu.core.table import read_table
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.experiment.derive import LADDER, derive
from medsetu.shift.shortcut import LADDER_COLUMNS

PLAN = EvaluationPlan(primary=study.FINDING, bootstrap=20)
NO_LADDER = pd.DataFrame(columns=list(LADDER_COLUMNS))


@pytest.fixture(scope="module")
def predictions():
    return study.predictions(np.random.default_rng(0))


def test_a_study_has_results_matrix_and_contrasts(predictions):
    derived = derive(predictions, plan=PLAN, labels_used={"transfer": 20}, ladders=NO_LADDER)
    assert set(derived.tables) == {"results.parquet", "results.csv", LADDER, "matrix.csv", "contrasts.csv"}
    assert len(derived.matrices) == 1
    assert derived.sentences


def test_one_arm_has_results_only(predictions):
    derived = derive(predictions[predictions["arm"] == "transfer"], plan=PLAN, labels_used={}, ladders=NO_LADDER)
    assert set(derived.tables) == {"results.parquet", "results.csv", LADDER}
    assert (derived.matrices, derived.sentences) == ([], [])


def test_films_seen_in_pretraining_make_a_second_matrix(predictions):
    seen = predictions.assign(seen=np.where(predictions["sample_id"].str.endswith("0.png"), "in ImageNet", ""))
    assert {"matrix_unseen.csv", "contrasts_unseen.csv"} <= set(derive(seen, plan=PLAN, labels_used={}, ladders=NO_LADDER).tables)


def test_what_a_study_wrote_follows_from_its_predictions(finished):
    plan = EvaluationPlan(**{name: value for name, value in finished.config["evaluation"].items() if name != "_target_"})
    derived = derive(
        read_table(finished.study / "predictions.parquet"),
        plan=plan,
        labels_used={"global-only": 0},
        ladders=read_table(finished.study / LADDER),
    )
    pd.testing.assert_frame_equal(derived.results, read_table(finished.study / "results.parquet"))


def test_no_torch_is_needed():
    code = "import sys, medsetu.experiment.derive, medsetu.experiment.outcome, medsetu.experiment.curve\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
