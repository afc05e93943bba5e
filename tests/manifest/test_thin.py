# SPDX-License-Identifier: Apache-2.0
"""Thinned parts are nested, by patient, stratified and seeded, and the test stays whole."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError
from medsetu.manifest.assign import classes
from medsetu.manifest.thin import count_learned, keep_share, shots_of, thin, thin_to


def exams(patients=60, images=4):
    """Every third patient is positive, on one of the images only; every tenth is unknown; parts go by patient."""
    rows = [
        {
            "sample_id": f"{domain}/p{patient}/{image}",
            "domain": domain,
            "group_id": f"{domain}/p{patient}",
            "split": ("train", "train", "train", "val", "test")[patient % 5],
            "edema": np.nan if patient % 10 == 9 else float(patient % 3 == 0 and image == 0),
        }
        for domain in ("global", "local")
        for patient in range(patients)
        for image in range(images)
    ]
    return pd.DataFrame(rows)


def assignment(frame):
    return frame.set_index("sample_id")["split"]


def thinned(frame, share, *, seed=0):
    return thin(frame, assignment(frame), domain="local", share=share, finding="edema", seed=seed)


def test_k_shot_counts_patients():
    """T09: with four images per exam the share is one of patients, who keep all their images and stand on one side."""
    frame = exams()
    kept = thinned(frame, 0.5)
    rows = frame[frame["sample_id"].isin(kept.index) & (frame["domain"] == "local")].assign(split=frame["sample_id"].map(kept))
    assert (rows.groupby("group_id").size() == 4).all()
    assert (rows.groupby("group_id")["split"].nunique() == 1).all()
    patients, films = count_learned(frame, kept, domain="local")
    assert films == 4 * patients
    assert patients == pytest.approx(0.5 * count_learned(frame, assignment(frame), domain="local")[0], abs=2)


def test_the_test_and_the_other_side_stay_untouched():
    frame = exams()
    kept = thinned(frame, 0.25)
    for part, rows in frame.groupby(["domain", "split"]):
        whole = part[0] == "global" or part[1] == "test"
        assert rows["sample_id"].isin(kept.index).all() == whole


def test_smaller_shares_are_within_larger_ones():
    frame = exams()
    drawn = [set(thinned(frame, share).index) for share in (0.05, 0.1, 0.3, 0.5, 0.75, 1.0)]
    assert all(small < large for small, large in pairwise(drawn))
    assert drawn[-1] == set(frame["sample_id"])


def test_classes_keep_their_shares_and_never_vanish():
    frame = exams()
    train = frame[(frame["domain"] == "local") & (frame["split"] == "train")]
    whole = classes(train, "edema").value_counts()
    for share in (0.01, 0.25, 0.5):
        kept = classes(keep_share(train, share, finding="edema", seed=0), "edema").value_counts()
        for value in (0.0, 1.0):
            assert kept[value] == max(1, int(share * whole[value] + 0.5))


def test_the_draw_follows_the_seed_and_not_the_order_of_rows():
    frame = exams()
    turned = frame.sample(frac=1, random_state=0)
    assert set(thinned(frame, 0.5).index) == set(thinned(turned, 0.5).index)
    assert set(thinned(frame, 0.5).index) != set(thinned(frame, 0.5, seed=1).index)


def shot(frame, patients, *, seed=0):
    return thin_to(frame, assignment(frame), domain="local", patients=patients, finding="edema", seed=seed)


def test_k_shot_is_k_patients_of_each_class():
    """T09: k counts patients, who keep their four images; both classes give k, training and validation together."""
    frame = exams()
    for patients in (2, 5, 9):
        kept = shot(frame, patients)
        rows = frame[frame["sample_id"].isin(kept.index) & (frame["domain"] == "local")]
        learned = rows[rows["split"] != "test"]
        worst = learned.groupby("group_id")["edema"].max()
        assert worst.value_counts().to_dict() == {1.0: patients, 0.0: patients}
        assert (learned.groupby("group_id").size() == 4).all()
        assert (learned.groupby("group_id")["split"].nunique() == 1).all()
        assert set(learned["split"]) == {"train", "val"}
        test = (frame["split"] == "test") | (frame["domain"] == "global")
        assert frame.loc[test, "sample_id"].isin(kept.index).all()


def test_a_smaller_k_is_within_a_larger_one_on_the_same_side():
    frame = exams()
    drawn = [set(shot(frame, patients).items()) for patients in range(2, 13)]
    assert all(small < large for small, large in pairwise(drawn))
    assert drawn[3] != set(shot(frame, 5, seed=1).items())


@pytest.mark.parametrize(("train", "val"), [(33, 8), (1, 9), (9, 1), (4, 0)])
def test_neither_side_ever_loses_a_patient_when_k_rises(train, val):
    parts = [shots_of(k, train=train, val=val) for k in range(2, train + val + 1)]
    assert all(low[0] <= high[0] and low[1] <= high[1] for low, high in pairwise(parts))
    assert parts[-1] == (train, val)
    assert min(part[1] for part in parts) == min(1, val)


@pytest.mark.parametrize("patients", [0, 1, 1000])
def test_an_impossible_number_is_refused(patients):
    with pytest.raises(ConfigError, match="Key shots"):
        shot(exams(), patients)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ConfigError, match="cannot be kept"):
        thinned(exams(), share)
