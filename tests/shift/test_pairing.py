# SPDX-License-Identifier: Apache-2.0
"""The same films for every arm: who leaves, who is refused, and what is said about it."""

import math

import numpy as np
import pandas as pd
import pytest

from fakes.study import FINDING, predictions
from medsetu.core.errors import ConfigError, DataError
from medsetu.shift.pairing import paired_sides, within_fold_auroc


@pytest.fixture
def study() -> pd.DataFrame:
    return predictions(np.random.default_rng(0), seeds=2, folds=5, per_class={"global": 20, "local": 20})


def test_sides_hold_the_same_films_in_every_arm(study: pd.DataFrame) -> None:
    sides = paired_sides(study.sample(frac=1, random_state=1), finding=FINDING)
    assert list(sides) == ["global", "local"]
    local = sides["local"]
    assert set(local.arms) == {"global-only", "local-only", "transfer"}
    assert all(np.array_equal(arm.matrix.sample_id, local.sample_id) for arm in local.arms.values())
    assert local.arms["transfer"].matrix.scores.shape == (2, 40)
    assert local.notes == ()


def test_film_missing_in_one_seed_of_one_arm_leaves_all_arms_and_is_counted(study: pd.DataFrame) -> None:
    lost = (study["arm"] == "transfer") & (study["seed"] == 1) & (study["sample_id"] == "nitrd/0003.png")
    local = paired_sides(study[~lost], finding=FINDING)["local"]
    assert "nitrd/0003.png" not in local.sample_id
    assert all(arm.matrix.label.size == 39 for arm in local.arms.values())
    assert local.notes == ("1 films left all arms of the local side: not every arm and seed scored them",)


def test_scores_follow_the_film_and_not_the_row(study: pd.DataFrame) -> None:
    expected = study[(study["arm"] == "transfer") & (study["seed"] == 0) & (study["domain"] == "local")].set_index("sample_id")["score"]
    local = paired_sides(study.sample(frac=1, random_state=2), finding=FINDING)["local"]
    assert local.arms["transfer"].matrix.scores[0].tolist() == expected.loc[local.sample_id.tolist()].tolist()


def test_seeds_that_one_arm_lacks_are_left_out_and_named(study: pd.DataFrame) -> None:
    local = paired_sides(study[(study["arm"] != "transfer") | (study["seed"] == 0)], finding=FINDING)["local"]
    assert all(arm.seeds == 1 for arm in local.arms.values())
    assert local.notes == ("seeds 1 left out: not every arm has them",)


def test_every_folds_network_on_the_global_side_keeps_its_seed() -> None:
    study = predictions(np.random.default_rng(0), seeds=2, per_class={"global": 20, "local": 20})
    transfer = study[(study["arm"] == "transfer") & (study["domain"] == "global")]
    rest = study.drop(transfer.index)
    crossed = pd.concat([rest, *(transfer.assign(fold=fold, score=transfer["score"] * (0.9 + fold / 100)) for fold in range(5))])
    forgetful = paired_sides(crossed, finding=FINDING)["global"].arms["transfer"]
    assert forgetful.matrix.scores.shape == (10, 40)
    assert forgetful.seeds == 2
    assert math.isnan(forgetful.within_fold)


def test_arms_without_a_common_seed_are_refused(study: pd.DataFrame) -> None:
    shifted = study.assign(seed=study["seed"] + (study["arm"] == "transfer") * 10)
    with pytest.raises(DataError, match="share no training seed"):
        paired_sides(shifted, finding=FINDING)


def test_head_is_named_in_recipe(study: pd.DataFrame) -> None:
    """T08: the finding is named; another head on test changes nothing, and a misspelt one is not guessed."""
    other = study.assign(finding="effusion", score=1 - study["score"])
    alone = paired_sides(study, finding=FINDING)["local"].arms["transfer"].matrix.scores
    beside = paired_sides(pd.concat([study, other]), finding=FINDING)["local"].arms["transfer"].matrix.scores
    assert np.array_equal(alone, beside)
    with pytest.raises(ConfigError, match="Did you mean 'tuberculosis'"):
        paired_sides(study, finding="tuberculosys")


def test_nothing_but_test_is_read(study: pd.DataFrame) -> None:
    wrong = study.assign(split="val", label=1 - study["label"], score=0.5)
    sides = paired_sides(pd.concat([study, wrong]), finding=FINDING)
    assert np.array_equal(
        sides["local"].arms["transfer"].parts.auroc, paired_sides(study, finding=FINDING)["local"].arms["transfer"].parts.auroc
    )


def test_unlabelled_films_leave_and_are_counted(study: pd.DataFrame) -> None:
    label = study["label"].where(study["sample_id"] != "nitrd/0001.png")
    local = paired_sides(study.assign(label=label), finding=FINDING)["local"]
    assert local.sample_id.size == 39
    assert local.notes == ("1 films of the local side have no label for this finding",)


@pytest.mark.parametrize("arm", ["transfer", "global-only"])
def test_film_with_two_labels_is_refused(study: pd.DataFrame, arm: str) -> None:
    flipped = (study["arm"] == arm) & (study["sample_id"] == "nitrd/0001.png")
    with pytest.raises(DataError, match="label"):
        paired_sides(study.assign(label=study["label"].where(~flipped, 0.0)), finding=FINDING)


def test_two_runs_of_one_seed_are_refused(study: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="twice"):
        paired_sides(pd.concat([study, study.assign(run="again")]), finding=FINDING)


def test_unit_says_where_patient_ids_are_missing(study: pd.DataFrame) -> None:
    local = study["domain"] == "local"
    none = study.assign(patient_id=study["patient_id"].where(~local))
    some = study.assign(patient_id=study["patient_id"].where(~local | (study["sample_id"] != "nitrd/0001.png"), ""))
    assert paired_sides(none, finding=FINDING)["local"].unit == "by image (no patient ids)"
    assert paired_sides(some, finding=FINDING)["local"].unit == "by patient (by image for 1 of 40 without patient id)"
    assert paired_sides(none, finding=FINDING)["global"].unit == "by patient"


def test_titles_come_from_site_and_machine(study: pd.DataFrame) -> None:
    assert paired_sides(study, finding=FINDING)["local"].title == "NITRD New Delhi (DA)"
    machine = study.assign(site="NITRD New Delhi", device=np.where(study["domain"] == "local", "DA", ""))
    assert paired_sides(machine, finding=FINDING)["local"].title == "NITRD New Delhi (DA)"
    bare = study.assign(site="", device="")
    assert paired_sides(bare, finding=FINDING)["local"].title == "nitrd"
    many = study.assign(site=[f"site {row % 5}" for row in range(len(study))])
    assert paired_sides(many, finding=FINDING)["global"].title == "tb_chest_radiography_database"


def test_external_sites_are_sides_of_their_own() -> None:
    aurocs = {("global-only", "global"): 0.9, ("global-only", "local"): 0.8, ("global-only", "external"): 0.8}
    study = predictions(np.random.default_rng(0), aurocs=aurocs, per_class={"external": 15})
    half = (study["domain"] == "external") & (study["label"] == 1)
    assert list(paired_sides(study, finding=FINDING)) == ["global", "local", "external: Shenzhen"]
    split = paired_sides(study.assign(site=study["site"].where(~half, "Montgomery")), finding=FINDING)
    assert list(split) == ["global", "local", "external: Montgomery", "external: Shenzhen"]


def test_films_possibly_seen_can_be_left_out(study: pd.DataFrame) -> None:
    seen = study.assign(seen=np.where((study["domain"] == "global") & (study["label"] == 0), "RSNA", ""))
    side = paired_sides(seen, finding=FINDING)["global"]
    assert side.unseen().sample_id.size == 20
    assert side.unseen().arms["global-only"].parts.n_positive == 20


def test_level_of_a_folds_network_hides_skill_only_in_the_pooled_value() -> None:
    label = np.tile([0.0, 1.0], 50)
    fold = np.repeat(np.arange(5), 20)
    score = label * 0.1 + fold * 0.15
    assert within_fold_auroc(label, score, fold=fold) == 1.0
    assert math.isnan(within_fold_auroc(np.ones(4), np.arange(4.0), fold=np.array([0, 0, 1, 1])))
