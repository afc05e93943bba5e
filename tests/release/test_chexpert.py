# SPDX-License-Identifier: Apache-2.0
"""CheXpert: blank is unknown, uncertain is declared, lateral films are named."""

import math

import pytest

from fakes.chexpert import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.release.chexpert import CheXpert


def ill(samples):
    return samples[samples["effusion"] == 1]


def test_labels_by_name(tmp_path):
    """T04: blank stays unknown unless the row says that nothing is there; uncertain is unknown unless declared."""
    root = write(tmp_path)
    samples = CheXpert(root).index().samples
    assert ill(samples)["pneumonia"].isna().all()
    assert ill(samples)["edema"].isna().all()
    assert (samples.loc[samples["effusion"] == 0, "edema"] == 0).all()
    for word, value in (("positive", 1.0), ("negative", 0.0)):
        assert set(ill(CheXpert(root, uncertain=word).index().samples)["pneumonia"]) == {value}


def test_columns_are_found_by_name(tmp_path):
    """T02: another order of columns is the same release."""
    import pandas as pd

    root = write(tmp_path)
    before = CheXpert(root).index().samples
    for name in ("train.csv", "valid.csv"):
        table = pd.read_csv(root / name, dtype=str, keep_default_na=False)
        table[[table.columns[0], *reversed(table.columns[1:])]].sample(frac=1, random_state=0).to_csv(root / name, index=False)
    pd.testing.assert_frame_equal(CheXpert(root).index().samples, before)


def test_facts(tmp_path):
    index = CheXpert(write(tmp_path)).index()
    samples = index.samples
    assert samples["official_split"].value_counts().to_dict() == {"train": 12, "val": 6}
    assert set(samples["view"]) == {"AP"}
    assert math.isnan(samples.loc[samples["path"].str.contains("patient00002"), "age_years"].item())
    assert samples.loc[samples["path"].str.contains("patient00003"), "sex"].item() == ""
    assert set(index.excluded["reason"]) == {"lateral film"}


def test_lateral_films_come_when_asked_for(tmp_path):
    samples = CheXpert(write(tmp_path), frontal_only=False).index().samples
    assert len(samples) == 36
    assert (samples.groupby("study_id")["view"].agg(set).map(sorted).map(tuple) == ("AP", "LL")).all()


def test_faults_are_refused(tmp_path):
    root = write(tmp_path)
    with pytest.raises(ConfigError, match="unknown, positive, negative"):
        CheXpert(root, uncertain="maybe")
    path = root / "train.csv"
    text = path.read_text()
    path.write_text(text.replace("-1.0", "perhaps"))
    with pytest.raises(DataError, match="neither 1, 0, -1 nor blank"):
        CheXpert(root).index()
    path.write_text(text.replace("Edema", "Oedema"))
    with pytest.raises(DataError, match="'Edema' is missing"):
        CheXpert(root).index()
