# SPDX-License-Identifier: Apache-2.0
"""MedMNIST: the polarity of each set, official parts, items as samples."""

import numpy as np
import pytest

from fakes.medmnist import write
from medsetu.core.errors import ConfigError, DataError
from medsetu.reader.sample import read_picture, read_volume
from medsetu.release.medmnist import MedMnist


def number(samples):
    return samples["path"].str.rsplit("/", n=1).str[1].astype(int)


@pytest.mark.parametrize("flag", ["pneumoniamnist", "breastmnist", "chestmnist", "nodulemnist3d"])
def test_odd_items_show_the_finding_whatever_the_polarity(tmp_path, flag):
    """breastmnist writes 0 for malignant: read as it stands it would teach the opposite."""
    release = MedMnist(write(tmp_path, flag=flag, per_class=2), flag=flag)
    samples = release.index().samples
    finding = "edema" if flag == "chestmnist" else release.findings[0]
    assert (samples[finding] == number(samples) % 2).all()
    assert samples["official_split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
    assert samples["patient_id"].isna().all()


def test_items_are_read_as_pictures_and_volumes(tmp_path):
    samples = MedMnist(write(tmp_path, size=64), size=64).index().samples
    assert samples["path"].iloc[0].startswith("pneumoniamnist_64.npz/test_images/")
    assert read_picture(tmp_path / samples["path"].iloc[0]).pixels.shape == (64, 64)
    deep = MedMnist(write(tmp_path, flag="vesselmnist3d", per_class=1), flag="vesselmnist3d").index().samples
    assert read_volume(tmp_path / deep["path"].iloc[0]).voxels.shape == (28, 28, 28)


def test_faults_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'breastmnist'"):
        MedMnist(tmp_path, flag="breastmnst")
    with pytest.raises(ConfigError, match="no size 32"):
        MedMnist(tmp_path, size=32)
    root = write(tmp_path)
    with pytest.raises(DataError, match=r"breastmnist\.npz"):
        MedMnist(root, flag="breastmnist").index()
    (root / "pneumoniamnist.npz").rename(root / "chestmnist.npz")
    with pytest.raises(DataError, match="14 findings per image"):
        MedMnist(root, flag="chestmnist").index()
    images = np.zeros((3, 28, 28), np.uint8)
    parts = ("train", "val", "test")
    arrays = {f"{part}_images": images for part in parts} | {f"{part}_labels": np.full((3, 1), 3) for part in parts}
    np.savez(root / "pneumoniamnist.npz", **arrays)
    with pytest.raises(DataError, match="neither 0 nor 1"):
        MedMnist(root).index()
    (root / "pneumoniamnist.npz").write_bytes(b"PK\3\4 broken")
    with pytest.raises(DataError, match="npz reader"):
        MedMnist(root).index()
