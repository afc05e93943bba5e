# SPDX-License-Identifier: Apache-2.0
"""The transfer matrix as a whole: cells, contrasts, what is refused and what is said."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from fakes.study import CELLS, FINDING, predictions
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.shift import contrast as room
from medsetu.shift.matrix import (
    ALL_FILMS,
    CELL_COLUMNS,
    CONTRAST_COLUMNS,
    UNSEEN_FILMS,
    TransferMatrix,
    _won_back,
    transfer_matrices,
    transfer_matrix,
)
from medsetu.shift.recovered import FiellerSet

PLAN = EvaluationPlan(primary=FINDING)


def _study(seed: int = 0, **settings) -> pd.DataFrame:
    return predictions(np.random.default_rng(seed), **settings)


def _contrast(matrix: TransferMatrix, name: str) -> pd.Series:
    return matrix.contrasts.set_index("name").loc[name]


def _cell(matrix: TransferMatrix, arm: str, side: str) -> pd.Series:
    return matrix.cells.set_index(["arm", "side"]).loc[(arm, side)]


def test_tables_have_the_promised_columns_and_rows() -> None:
    matrix = transfer_matrix(_study(), finding=FINDING, plan=PLAN)
    assert list(matrix.cells) == list(CELL_COLUMNS)
    assert list(matrix.contrasts) == list(CONTRAST_COLUMNS)
    assert len(matrix.cells) == 6
    assert matrix.contrasts["name"].tolist() == [
        room.GAP,
        room.LOCAL_DEFICIT,
        room.GAIN_OVER_LOCAL,
        room.GAIN_OVER_AS_IS,
        room.FORGETTING,
        room.RECOVERED,
    ]


def test_cells_agree_with_scikit_learn_and_contrasts_with_cells() -> None:
    study = _study(seeds=3, folds=5, seed_sd=0.1)
    matrix = transfer_matrix(study, finding=FINDING, plan=PLAN)
    for arm, side in CELLS:
        rows = study[(study["arm"] == arm) & (study["domain"] == side)]
        expected = np.mean([roc_auc_score(part["label"], part["score"]) for _, part in rows.groupby("seed")])
        assert _cell(matrix, arm, side)["value"] == pytest.approx(expected)
    gain = _cell(matrix, "transfer", "local")["value"] - _cell(matrix, "local-only", "local")["value"]
    assert _contrast(matrix, room.GAIN_OVER_LOCAL)["value"] == pytest.approx(gain)


def test_arm_that_was_not_tested_on_a_side_is_an_empty_cell_with_the_reason() -> None:
    cell = _cell(transfer_matrix(_study(), finding=FINDING, plan=PLAN), "local-only", "global")
    assert math.isnan(cell["value"])
    assert (cell["n_samples"], cell["seeds"]) == (0, 0)
    assert cell["note"] == "local-only was not tested on global"


def test_untrained_head_is_refused() -> None:
    """T07: a constant score column is an untrained head, not an AUROC of one half."""
    study = _study()
    constant = study["score"].where(study["arm"] != "local-only", 0.5)
    matrix = transfer_matrix(study.assign(score=constant), finding=FINDING, plan=PLAN)
    assert math.isnan(_cell(matrix, "local-only", "local")["value"])
    gain = _contrast(matrix, room.GAIN_OVER_LOCAL)
    assert math.isnan(gain["value"])
    assert gain["verdict"] == "not estimable"
    assert "untrained head" in gain["note"]


def test_one_class_side_is_refused_with_the_reason() -> None:
    study = _study()
    matrix = transfer_matrix(study[(study["domain"] != "local") | (study["label"] == 1)], finding=FINDING, plan=PLAN)
    assert matrix.cells.loc[matrix.cells["side"] == "local", "value"].isna().all()
    assert "local side refused: one class only: no negatives" in matrix.notes
    assert math.isfinite(_contrast(matrix, room.FORGETTING)["low"])
    assert math.isnan(_contrast(matrix, room.GAP)["value"])


def test_local_labels_spent_stand_in_the_cells() -> None:
    matrix = transfer_matrix(_study(), finding=FINDING, plan=PLAN, labels_used={"global-only": 0, "transfer": 83})
    assert _cell(matrix, "transfer", "local")["labels_used"] == 83
    assert _cell(matrix, "global-only", "local")["labels_used"] == 0
    assert math.isnan(_cell(matrix, "local-only", "local")["labels_used"])


def test_headline_moves_to_the_local_deficit_where_the_reference_is_inflated() -> None:
    plain = transfer_matrix(_study(), finding=FINDING, plan=PLAN)
    warned = transfer_matrix(_study(), finding=FINDING, plan=PLAN, inflated={"global"})
    assert plain.contrasts.loc[plain.contrasts["headline"], "name"].tolist() == [room.GAP]
    assert warned.contrasts.loc[warned.contrasts["headline"], "name"].tolist() == [room.LOCAL_DEFICIT]
    noted = warned.contrasts.loc[warned.contrasts["note"].str.contains(room.SHORTCUT_NOTE), "name"].tolist()
    assert noted == [room.GAP, room.FORGETTING, room.RECOVERED]
    assert not plain.contrasts["note"].str.contains(room.SHORTCUT_NOTE).any()
    inflated_elsewhere = transfer_matrix(_study(), finding=FINDING, plan=PLAN, inflated={"local"})
    assert inflated_elsewhere.contrasts.equals(plain.contrasts)


def test_recovered_is_printed_only_above_a_sure_gap() -> None:
    large = transfer_matrix(_study(per_class={"global": 300, "local": 300}), finding=FINDING, plan=PLAN)
    share = _contrast(large, room.RECOVERED)
    expected = _contrast(large, room.GAIN_OVER_AS_IS)["value"] / _contrast(large, room.GAP)["value"]
    assert share["value"] == pytest.approx(expected)
    assert share["low"] < share["value"] < share["high"]
    assert share["method"] == "fieller"
    small = transfer_matrix(_study(per_class={"global": 26, "local": 26}), finding=FINDING, plan=PLAN)
    refused = _contrast(small, room.RECOVERED)
    assert _contrast(small, room.GAP)["low"] <= 0.05
    assert math.isnan(refused["value"])
    assert refused["note"].startswith("not estimable: the lower bound of G - L is")


def test_recovered_is_refused_where_fiellers_set_is_unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    unbounded = FiellerSet(0.4, math.nan, math.nan)
    monkeypatch.setattr("medsetu.shift.matrix.recovered_share", lambda *_, **__: unbounded)
    share = _contrast(transfer_matrix(_study(per_class={"global": 300, "local": 300}), finding=FINDING, plan=PLAN), room.RECOVERED)
    assert math.isnan(share["value"])
    assert share["note"].startswith("not estimable: the Fieller set is unbounded")


def test_recovered_needs_the_transfer_arm() -> None:
    study = _study(per_class={"global": 300, "local": 300})
    matrix = transfer_matrix(study[study["arm"] != "transfer"], finding=FINDING, plan=PLAN)
    assert "transfer was not tested on local" in _contrast(matrix, room.RECOVERED)["note"]


def test_one_side_alone_still_gives_its_contrasts() -> None:
    study = _study()
    matrix = transfer_matrix(study[study["domain"] == "local"], finding=FINDING, plan=PLAN)
    assert math.isfinite(_contrast(matrix, room.GAIN_OVER_LOCAL)["low"])
    for name in (room.GAP, room.FORGETTING, room.RECOVERED):
        assert math.isnan(_contrast(matrix, name)["value"])
        assert _contrast(matrix, name)["verdict"] == "not estimable"


def test_without_seen_films_a_vanished_class_is_refused() -> None:
    study = _study(seeds=3)
    study["seen"] = np.where((study["domain"] == "global") & (study["label"] == 0), "normals are mostly RSNA films", "")
    everything, unseen = transfer_matrices(study, finding=FINDING, plan=PLAN)
    assert (everything.population, unseen.population) == (ALL_FILMS, UNSEEN_FILMS)
    assert math.isfinite(_contrast(everything, room.GAP)["low"])
    assert math.isnan(_contrast(unseen, room.GAP)["value"])
    assert "global side refused: one class only: no negatives" in unseen.notes
    assert _contrast(unseen, room.GAIN_OVER_LOCAL)["value"] == _contrast(everything, room.GAIN_OVER_LOCAL)["value"]


def test_without_seen_films_nothing_may_be_left() -> None:
    study = _study()
    study["seen"] = np.where(study["domain"] == "global", "in the pretraining list", "")
    unseen = transfer_matrices(study, finding=FINDING, plan=PLAN)[1]
    assert "global side refused: no samples" in unseen.notes


def test_one_matrix_where_nothing_was_seen() -> None:
    assert len(transfer_matrices(_study(), finding=FINDING, plan=PLAN)) == 1


def test_three_seeds_are_called_descriptive_and_five_are_not() -> None:
    three = transfer_matrix(_study(seeds=3, seed_sd=0.1), finding=FINDING, plan=PLAN)
    five = transfer_matrix(_study(seeds=5, seed_sd=0.1), finding=FINDING, plan=PLAN)
    assert "3 seeds: descriptive, a claim about the recipe needs at least 5" in three.notes
    assert not any("descriptive" in note for note in five.notes)
    assert _contrast(five, room.GAP)["claim"] == "this recipe on these films, 5 seeds"


def test_level_differences_between_folds_are_told() -> None:
    study = _study(folds=5)
    moved = study["score"].where(study["arm"] != "local-only", study["score"] * 0.3 + study["fold"] * 0.1)
    matrix = transfer_matrix(study.assign(score=moved), finding=FINDING, plan=PLAN)
    cell = _cell(matrix, "local-only", "local")
    assert cell["within_fold"] > cell["value"] + 0.05
    assert any(note.startswith("local-only on local: ") and "within folds" in note for note in matrix.notes)
    assert math.isnan(_cell(matrix, "global-only", "local")["within_fold"])


def test_image_level_counting_is_said() -> None:
    study = _study()
    study["patient_id"] = study["patient_id"].where(study["domain"] != "local")
    matrix = transfer_matrix(study, finding=FINDING, plan=PLAN)
    assert "local side is tested by image (no patient ids)" in matrix.notes
    assert _contrast(matrix, room.GAIN_OVER_LOCAL)["unit"] == "100 films by image (no patient ids)"
    assert _contrast(matrix, room.GAP)["unit"] == "100 global films by patient and 100 local films by image (no patient ids)"


def test_copies_of_a_patients_film_buy_no_precision() -> None:
    study = _study(per_class={"local": 60})
    number = study["sample_id"].str.extract(r"(\d+)\.png")[0].astype(int)
    once = study.assign(patient_id="p" + number.astype(str))
    copies = [once.assign(sample_id=once["sample_id"] + f"-{copy}") for copy in range(4)]
    single, fourfold = (transfer_matrix(table, finding=FINDING, plan=PLAN) for table in (once, pd.concat(copies)))
    for name in (room.GAIN_OVER_LOCAL, room.LOCAL_DEFICIT):
        assert _contrast(fourfold, name)["high"] == pytest.approx(_contrast(single, name)["high"], abs=0.01)


def test_external_sites_get_a_gap_and_a_gain() -> None:
    aurocs = {**CELLS, ("global-only", "external"): 0.85, ("transfer", "external"): 0.85}
    matrix = transfer_matrix(_study(aurocs=aurocs), finding=FINDING, plan=PLAN)
    assert {"gap to external: Shenzhen", "gain over as-is on external: Shenzhen"} <= set(matrix.contrasts["name"])
    assert _cell(matrix, "transfer", "external: Shenzhen")["title"] == "Shenzhen"


def test_further_arms_stand_below_the_three() -> None:
    study = _study()
    probe = study[study["arm"] == "transfer"].assign(arm="linear-probe")
    matrix = transfer_matrix(pd.concat([study, probe]), finding=FINDING, plan=PLAN)
    assert list(dict.fromkeys(matrix.cells["arm"])) == ["global-only", "local-only", "transfer", "linear-probe"]


@pytest.mark.parametrize(("ends", "said"), [((0.1, 0.9), "makes up 50%"), ((-0.1, 0.9), "cannot tell"), ((-0.9, -0.1), "widens")])
def test_the_share_won_back_is_told_only_where_its_set_excludes_zero(ends: tuple[float, float], said: str) -> None:
    assert said in _won_back(FiellerSet(0.5, *ends))
