# SPDX-License-Identifier: Apache-2.0
"""MIMIC-CXR-JPG: labels by study, views from the metadata, uncertain labels by finding, lists packed or not."""

import pandas as pd
import pytest

from fakes.film import SENTINEL
from fakes.mimic_cxr_jpg import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.release.mimic_cxr_jpg import MimicCxrJpg


def test_films_carry_the_labels_of_their_study(tmp_path):
    """T01, T04."""
    samples = MimicCxrJpg(write(tmp_path)).index().samples
    assert len(samples) == 5 + 12  # one clear study has no labels
    ill = samples[samples["effusion"] == 1]
    assert len(ill) == 12
    assert ill["study_id"].nunique() == 12
    assert ill["patient_id"].nunique() == 6
    assert ill["edema"].isna().all()
    assert ill["cardiomegaly"].isna().all()
    assert set(ill["pneumonia"]) == {0.0}
    assert (samples.loc[samples["effusion"] == 0, "edema"] == 0).all()


@pytest.mark.parametrize(("uncertain", "value"), [("positive", 1.0), ({"edema": "negative", "*": "positive"}, 0.0)])
def test_uncertain_is_declared(tmp_path, uncertain, value):
    index = MimicCxrJpg(write(tmp_path), uncertain=uncertain).index()
    assert set(index.samples.loc[index.samples["effusion"] == 1, "edema"]) == {value}
    assert any(note.startswith("Uncertain labels are") for note in index.notes)


def test_views_and_splits(tmp_path):
    index = MimicCxrJpg(write(tmp_path)).index()
    assert set(index.samples["view"]) == {"PA", "AP"}
    assert set(index.samples["official_split"]) == {"train", "val", "test"}
    assert index.samples.groupby("patient_id")["official_split"].nunique().max() == 1
    assert index.excluded["reason"].value_counts().to_dict() == {"lateral film": 15, "study without labels": 2, "view is not told": 2}
    every = MimicCxrJpg(tmp_path, frontal_only=False).index().samples
    assert every["view"].value_counts().to_dict() == {"LL": 15, "PA": 15, "AP": 2, "": 2}


def test_unpacked_lists_and_the_other_labeller_are_read(tmp_path):
    packed = MimicCxrJpg(write(tmp_path / "a")).index().samples
    plain = MimicCxrJpg(write(tmp_path / "b", packed=False), labeller="negbio").index().samples
    pd.testing.assert_frame_equal(packed, plain)


def test_faults_are_refused(tmp_path):
    root = write(tmp_path, packed=False)
    with pytest.raises(ConfigError, match="chexpert, negbio"):
        MimicCxrJpg(root, labeller="gpt")
    with pytest.raises(ConfigError, match="'oedema' is not available"):
        MimicCxrJpg(root, uncertain={"oedema": "positive"})
    path = root / "mimic-cxr-2.0.0-split.csv"
    text = path.read_text()
    path.write_text(text.replace("validate", "dev"))
    with pytest.raises(DataError, match="not train, validate or test"):
        MimicCxrJpg(root).index()
    path.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(DataError, match="has a row already"):
        MimicCxrJpg(root).index()
    path.unlink()
    with pytest.raises(DataError, match=r"split\.csv\.gz"):
        MimicCxrJpg(root).index()


def test_sentinel_never_appears(tmp_path):
    index = MimicCxrJpg(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)
    assert "10000033" not in index.samples["patient_id"].str.cat()
