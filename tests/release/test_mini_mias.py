# SPDX-License-Identifier: Apache-2.0
"""mini-MIAS: pairs are women, several rows are one film."""

import pytest

from fakes.film import SENTINEL
from fakes.mini_mias import write
from medsetu.core.errors import DataError
from medsetu.release.mini_mias import MiniMias


def test_labels_and_pairs(tmp_path):
    samples = MiniMias(write(tmp_path)).index().samples
    assert len(samples) == 2 * samples["patient_id"].nunique() == 24
    numbers = samples["path"].str.extract(r"(\d+)")[0].astype(int)
    assert (samples["malignant"] == (numbers % 4 == 3).astype(float)).all()
    assert (samples["abnormal"] == (numbers % 2 == 1).astype(float)).all()
    assert (samples.groupby("patient_id")["path"].size() == 2).all()
    pair = samples.set_index(numbers.to_numpy())["patient_id"]
    assert pair[1] == pair[2] != pair[3]
    assert set(samples["laterality"]) == {""}


def test_films_and_rows_that_miss_each_other_are_named(tmp_path):
    root = write(tmp_path)
    (root / "mdb002.pgm").rename(root / "mdb900.pgm")
    index = MiniMias(root).index()
    assert index.excluded.to_numpy().tolist() == [
        ["mini_mias/mdb002.pgm", "row without image"],
        ["mini_mias/mdb900.pgm", "image without row"],
    ]


def test_another_list_is_refused(tmp_path):
    root = write(tmp_path)
    (root / "Info.txt").write_text("no films\n")
    with pytest.raises(DataError, match="No row names a film"):
        MiniMias(root).index()
    (root / "Info.txt").unlink()
    with pytest.raises(DataError, match=r"Info\.txt"):
        MiniMias(root).index()


def test_sentinel_never_appears(tmp_path):
    index = MiniMias(write(tmp_path)).index()
    assert SENTINEL not in index.samples.to_csv() + index.excluded.to_csv() + "".join(index.notes)


@pytest.mark.shared
def test_the_real_release(shared_data):
    index = MiniMias(shared_data / "mini_mias").index()
    assert len(index.samples) == 100
    assert index.samples["patient_id"].nunique() == 50
    assert set(index.excluded["reason"]) <= {"row without image"}
    assert index.samples["malignant"].sum() > 0
