# SPDX-License-Identifier: Apache-2.0
"""mini-MIAS: pairs are women, several rows are one film."""

import pytest

from fakes.film import SENTINEL
from fakes.mini_mias import write
from medsetu.core.errors import DataError
from medsetu.reader.annotation import Drawing, box_of
from medsetu.reader.frame import Frame
from medsetu.reader.sample import read_picture
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


def test_lesions_are_circles_that_count_from_the_bottom(tmp_path):
    drawings = MiniMias(write(tmp_path)).drawings()
    (lesion,) = drawings["mdb009.pgm"].shapes[:1]
    assert lesion.box == (338, 402, 732, 796)  # 535, 1024 - 425, 197
    assert box_of(lesion.mask) == lesion.box
    assert len(drawings["mdb001.pgm"].shapes) == 2  # two rows, one film
    assert drawings["mdb003.pgm"].shapes == ()  # NOTE 3
    assert drawings["mdb002.pgm"].shapes == ()  # normal


@pytest.mark.shared
def test_the_real_lesions_lie_on_tissue(shared_data):
    """Read from the bottom more of them lie on tissue than read from the top, where some fall on the black background."""
    tissue = {False: 0, True: 0}
    drawings = MiniMias(shared_data / "mini_mias").drawings()
    for path, drawing in drawings.items():
        pixels = read_picture(shared_data / "mini_mias" / path).pixels
        for shape in drawing.shapes:
            upside_down = Drawing(1024, 1024, (shape,)).through(Frame(1024, 1024).upended()).shapes[0]
            for turned, mask in ((False, shape.mask), (True, upside_down.mask)):
                tissue[turned] += float((pixels[mask] > 0.2).mean()) > 0.9
    lesions = sum(len(drawing.shapes) for drawing in drawings.values())
    assert lesions == 40
    assert tissue[False] == 37
    assert tissue[True] < 37
