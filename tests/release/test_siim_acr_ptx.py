# SPDX-License-Identifier: Apache-2.0
"""SIIM-ACR: a blank in the header, minus one with a blank, several regions per film."""

import pytest

from fakes.siim_acr_ptx import write
from medsetu.core.errors import DataError
from medsetu.release.siim_acr_ptx import SiimAcrPtx


def test_several_regions_are_one_film(tmp_path):
    index = SiimAcrPtx(write(tmp_path)).index()
    assert len(index.samples) == 12
    number = index.samples["path"].str.extract(r"8323329\.(\d+)\.1517875163\.\d+\.dcm")[0].astype(int)
    assert (index.samples["pneumothorax"] == number % 2).all()
    assert index.excluded["reason"].tolist() == ["image without row"]  # nobody read it: it is not normal


@pytest.mark.parametrize(("old", "new"), [("387 2 62 3", "387 2 62"), ("387 2 62 3", ""), ("387 2 62 3", "-1")])
def test_a_mask_that_is_none_or_contradicts_is_refused(tmp_path, old, new):
    root = write(tmp_path)
    path = root / "train-rle.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match="run-length"):
        SiimAcrPtx(root).index()


def test_missing_places_are_named(tmp_path):
    with pytest.raises(DataError, match=r"train-rle\.csv"):
        SiimAcrPtx(tmp_path).index()
