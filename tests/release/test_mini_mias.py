# SPDX-License-Identifier: Apache-2.0
"""mini-MIAS: pairs are women, several rows are one film."""

import pytest

from fakes.film import SENTINEL
from fakes.mini_mias import write
from medsetu.core.errors import DataError
from medsetu.reader.annotation import box_of
from medsetu.reader.drawn import Drawn, place
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


def lesions(release):
    """Box and mask of every lesion, by path."""
    found = {}
    drawn = release.index().drawn
    for row in drawn[drawn["finding"] == "abnormal"].itertuples():
        lesion = Drawn(row.kind, (row.x_min, row.y_min, row.x_max, row.y_max), row.content, row.height, row.width)
        path = row.sample_id.removeprefix("mini_mias/")
        found.setdefault(path, []).append(place(lesion, root=release.root, height=1024, width=1024, sample_id=row.sample_id)[:2])
    return found


def test_lesions_are_circles_that_count_from_the_bottom(tmp_path):
    release = MiniMias(write(tmp_path))
    drawn = lesions(release)
    box, mask = drawn["mdb009.pgm"][0]
    assert box == box_of(mask) == (338, 402, 732, 796)  # 535, 1024 - 425, 197
    assert mask.sum() == pytest.approx(3.14159 * 197**2, rel=0.01)
    assert len(drawn["mdb001.pgm"]) == 2  # two rows, one film
    assert set(drawn) == {f"mdb{number:03d}.pgm" for number in range(1, 25, 4)}  # neither NOTE 3 nor normal films


def test_a_malignant_lesion_speaks_for_both_findings(tmp_path):
    root = write(tmp_path)
    told = (root / "Info.txt").read_text().replace("mdb005 G CIRC B", "mdb005 G CIRC M")
    (root / "Info.txt").write_text(told)
    drawn = MiniMias(root).index().drawn
    assert drawn.loc[drawn["sample_id"] == "mini_mias/mdb005.pgm", "finding"].tolist() == ["abnormal", "malignant"]
    assert (drawn["finding"] == "malignant").sum() == 1


@pytest.mark.shared
def test_the_real_lesions_lie_on_tissue(shared_data):
    """Read from the bottom more of them lie on tissue than read from the top, where some fall on the black background."""
    tissue = {False: 0, True: 0}
    drawn = lesions(MiniMias(shared_data / "mini_mias"))
    for path, found in drawn.items():
        pixels = read_picture(shared_data / "mini_mias" / path).pixels
        for _, mask in found:
            for turned, shown in ((False, mask), (True, mask[::-1])):
                tissue[turned] += float((pixels[shown] > 0.2).mean()) > 0.9
    assert sum(map(len, drawn.values())) == 40
    assert tissue[False] == 37
    assert tissue[True] < 37
