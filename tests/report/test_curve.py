# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from fakes import study
from medsetu.report.curve import RATES, curve_sides, learning_panels, reliability_panel, roc_band, roc_panel


def side(per_class=60, auroc=0.85, seeds=1):
    label, scores = study.binormal(np.random.default_rng(5), per_class=per_class, aurocs={f"arm{k}": auroc for k in range(seeds)})
    table = 1 / (1 + np.exp(-np.stack(list(scores.values()))))
    return study.side("local", label, {"transfer": table})


def test_roc_of_one_model_is_that_of_scikit_learn():
    matrix = side().arms["transfer"].matrix
    false, true, _ = roc_curve(matrix.label, matrix.scores[0], drop_intermediate=False)
    expected = [max(true[false <= rate + 1e-9]) for rate in (0.0, 0.25, 0.5, 1.0)]
    assert roc_band(matrix, replicates=20).sensitivity[[0, 25, 50, 100]] == pytest.approx(expected, abs=1 / 60)


def test_roc_band_holds_the_curve_and_shrinks_with_more_films():
    small, large = (roc_band(side(per_class=n).arms["transfer"].matrix) for n in (20, 400))
    inside = (small.low <= small.sensitivity + 1e-9) & (small.sensitivity <= small.high + 1e-9)
    assert inside.mean() > 0.95
    assert np.mean(large.high - large.low) < 0.5 * np.mean(small.high - small.low)


def test_no_band_is_drawn_for_a_class_of_nine():
    band = roc_band(side(per_class=9).arms["transfer"].matrix)
    assert np.isnan(band.low).all()
    assert np.isfinite(band.sensitivity).all()
    assert band.sensitivity.shape == RATES.shape


def test_panels_tell_in_words_what_they_show():
    one = side(seeds=3)
    assert "transfer AUROC 0." in roc_panel(one, level=0.95, name="roc")
    assert "have it" in reliability_panel(one, "transfer", level=0.95, name="reliability")


def test_a_side_of_one_class_has_no_curve():
    one = side()
    single = one.take(one.arms["transfer"].matrix.label == 1)
    assert [kept.name for kept in curve_sides({"a": one, "b": single})] == ["local"]


def test_learning_curves_of_other_findings_are_left_out():
    table = pd.DataFrame(
        {"epoch": [0, 1], "val/local/tuberculosis/auroc": [0.6, 0.7], "val/local/effusion/auroc": [0.6, 0.7], "lr": [1.0, 0.5]}
    )
    panels = learning_panels({"a/finetune": table, "b/finetune": table}, finding="tuberculosis")
    assert [caption for caption, _ in panels] == ["finetune: tuberculosis AUROC"]
    assert "val/local, mean of 2 runs: 0.600 to 0.700" in panels[0][1]


def test_learning_curve_rows_of_a_logger_that_writes_train_and_val_apart_are_joined():
    table = pd.DataFrame({"epoch": [0, 0, 1, 1], "train/loss": [0.6, np.nan, 0.5, np.nan], "val/local/loss": [np.nan, 0.7, np.nan, 0.6]})
    ((caption, drawing),) = learning_panels({"a/finetune": table}, finding="tuberculosis")
    assert caption == "finetune: loss"
    assert "train, mean of 1 runs: 0.600 to 0.500" in drawing


def test_learning_curves_of_nothing_are_nothing():
    empty = pd.DataFrame({"epoch": [0], "val/local/loss": [np.nan]})
    assert learning_panels({"a/finetune": empty}, finding="tuberculosis") == []
