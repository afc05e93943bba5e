# SPDX-License-Identifier: Apache-2.0
"""Drawings on the films of a manifest: placed or refused with a reason, one region per finding, and the labels they contradict."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes import vindr_cxr
from medsetu.manifest.build import build
from medsetu.manifest.drawing import DRAWING_COLUMNS, REGION_COLUMNS, Film, Mark, films_of, key_of, measure, only_voted, place_film
from medsetu.manifest.drawing_table import summarise_drawings
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.region import box_mask
from medsetu.manifest.vote import reader_pseudonym
from medsetu.reader.drawn import Drawn
from medsetu.reader.rle import decode_text
from medsetu.release.vindr_cxr import VindrCxr


def film(marks, *, readers=None, rule="majority", root=Path(), size=(40, 40)):
    told = tuple(Mark(finding, reader, drawn) for finding, reader, drawn in marks)
    return Film("a/1", "a", root, *size, told, readers or {}, rule)


def region(row):
    named = dict(zip(REGION_COLUMNS, row, strict=True))
    return named, decode_text(named["runs"], height=named["grid_height"], width=named["grid_width"])


def test_each_reader_counts_once_however_many_boxes_are_drawn():
    drawn = [("mass", "r1", Drawn("box", (0, 0, 10, 10))), ("mass", "r1", Drawn("box", (20, 20, 30, 30))),
             ("mass", "r2", Drawn("box", (0, 0, 10, 10))), ("mass", "r3", Drawn("box", (20, 20, 30, 34)))]  # fmt: skip
    placed = place_film(film(drawn))
    assert len(placed.rows) == 4
    (row,) = placed.regions
    named, mask = region(row)
    expected = box_mask((0, 0, 10, 10), height=40, width=40) | box_mask((20, 20, 30, 30), height=40, width=40)
    np.testing.assert_array_equal(mask, expected)
    assert (named["n_readers"], named["n_drew"], named["rule"]) == (3, 3, "majority")
    assert named["iou"] == pytest.approx((0.5 + 100 / 240 + 0) / 3)


def test_votes_tell_who_read_and_drew_nothing():
    drawn = [("mass", "r1", Drawn("box", (0, 0, 10, 10)))]
    alone = region(place_film(film(drawn)).regions[0])
    assert (alone[0]["n_readers"], alone[0]["rule"], int(alone[1].sum())) == (1, "", 100)
    outvoted = region(place_film(film(drawn, readers={"mass": frozenset({"r1", "r2", "r3"})})).regions[0])
    assert (outvoted[0]["n_readers"], outvoted[0]["n_drew"], int(outvoted[1].sum())) == (3, 1, 0)
    assert outvoted[0]["dice_all"] == 0
    assert np.isnan(outvoted[0]["iou"])
    other = [*drawn, ("nodule", "r2", Drawn("box", (5, 5, 9, 9)))]  # r2 drew something else, so r2 saw the film
    assert [row[4:6] for row in place_film(film(other)).regions] == [(2, 1), (2, 1)]


def test_a_drawing_without_a_name_is_not_outvoted_by_readers_with_names():
    drawn = [("mass", "", Drawn("box", (0, 0, 10, 10))), ("nodule", "r1", Drawn("box", (5, 5, 9, 9)))]
    votes = {"mass": frozenset({"r1", "r2", "r3"})}
    mass, nodule = (region(row) for row in place_film(film(drawn, readers=votes)).regions)
    assert (mass[0]["n_readers"], mass[0]["n_drew"], mass[0]["rule"], int(mass[1].sum())) == (1, 1, "", 100)
    assert (nodule[0]["n_readers"], int(nodule[1].sum())) == (1, 16), "a drawing of nobody known is no reader who saw no nodule"


def test_who_only_votes_does_not_outvote_a_drawing(built):
    assert only_voted(built.drawn, built.votes).empty
    second = built.votes[built.votes["reader"] == built.votes["reader"].iloc[0]].assign(reader="r0", finding="tuberculosis", vote=1.0)
    silent = second.assign(reader="r1", vote=0.0)  # saw nothing anywhere, so there was nothing to draw
    votes = pd.concat([built.votes, second, silent])
    assert only_voted(built.drawn, votes).to_numpy().tolist() == [["vindr_cxr", "r0"]]
    asked = films_of(built.drawn, built.manifest, votes=votes, rule="majority")
    told = {name for one in asked for name in one.readers.get("tuberculosis", ())}
    assert "r1" in told
    assert "r0" not in told


def test_what_does_not_fit_takes_part_in_nothing(tmp_path):
    Image.new("L", (8, 8), 255).save(tmp_path / "small.png")
    drawn = [("mass", "", Drawn("box", (50, 50, 60, 60))), ("mass", "", Drawn("mask", content="small.png", height=40, width=40)),
             ("mass", "", Drawn("mask", content="gone.png")), ("edge", "", Drawn("box", (-5, 0, 5, 20)))]  # fmt: skip
    found = measure([film(drawn, root=tmp_path)], workers=1)
    assert found.problems["finding"].tolist() == ["mass"] * 3
    assert found.problems["problem"].nunique() == 3
    assert found.regions["finding"].tolist() == ["edge"]
    (row,) = found.table.to_dict("records")
    assert (row["left"], row["right"], row["note"]) == (0, 5, "cut at the border of the image")
    assert row["area_share"] == pytest.approx(5 * 20 / 1600)
    assert list(found.table.columns) == list(DRAWING_COLUMNS)


def test_the_key_follows_all_that_decides():
    base = film([("mass", "r1", Drawn("box", (0, 0, 10, 10)))])
    others = [
        film([("mass", "r2", Drawn("box", (0, 0, 10, 10)))]),
        film([("mass", "r1", Drawn("box", (0, 0, 10, 11)))]),
        film([("mass", "r1", Drawn("box", (0, 0, 10, 10)))], rule="staple"),
        film([("mass", "r1", Drawn("box", (0, 0, 10, 10)))], readers={"mass": frozenset({"r2"})}),
        film([("mass", "r1", Drawn("box", (0, 0, 10, 10)))], size=(41, 40)),
    ]
    assert len({key_of([one]) for one in [base, *others]}) == 6
    assert key_of([base]) == key_of([film([("mass", "r1", Drawn("box", (0, 0, 10, 10)))])])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = vindr_cxr.write(tmp_path_factory.mktemp("vindr"))
    return build({"global": [VindrCxr(root)]}, plan=SplitPlan(drawing="staple"), seed=0, workers=0)


def measured(built, rule="staple"):
    return measure(films_of(built.drawn, built.manifest, votes=built.votes, rule=rule), workers=1)


def test_a_release_of_three_readers(built):
    found = measured(built)
    assert found.problems.empty
    assert set(found.table["reader"]) == {"", *(reader_pseudonym("vindr_cxr", name) for name in ("R8", "R9", "R10"))}
    train = found.regions[found.regions["n_readers"] == 3]
    assert set(train["rule"]) == {"staple"}
    assert train.groupby("finding")["n_drew"].unique().map(list).to_dict() == {"effusion": [1], "lung_cavity": [1], "tuberculosis": [2]}
    tuberculosis = train[train["finding"] == "tuberculosis"]
    assert tuberculosis["iou"].between(0.6, 0.9).all()
    assert "vindr_cxr: drawings of several readers on one film became one region by staple, pixel by pixel" in built.notes


def test_the_fingerprint_does_not_know_of_drawings(built):
    from medsetu.manifest.prepared import fingerprint

    assert built.fingerprint == fingerprint(built.manifest, built.splits, built.votes)


def test_contradictions_are_counted(built):
    summary = summarise_drawings(measured(built), built.manifest, votes=built.votes).set_index("finding")
    assert summary.loc["tuberculosis", ["present", "present_drawn", "absent_drawn", "unseen_drawn"]].tolist() == [9, 9, 0, 0]
    assert summary.loc["effusion", ["films", "present", "absent_drawn", "unseen_drawn"]].tolist() == [6, 0, 6, 0]  # outvoted, yet drawn
    assert summary.loc["effusion", "cut"] == 6
    denied = built.votes.assign(vote=np.where(built.votes["finding"] == "effusion", 0.0, built.votes["vote"]))
    assert summarise_drawings(measured(built), built.manifest, votes=denied).set_index("finding").loc["effusion", "unseen_drawn"] == 6


def test_drawings_of_films_that_left_are_left_out(built):
    kept = built.manifest.iloc[:4]
    films = films_of(built.drawn, kept, votes=built.votes, rule="majority")
    assert {one.sample_id for one in films} <= set(kept["sample_id"])
    assert films_of(built.drawn.iloc[:0], built.manifest, votes=built.votes, rule="majority") == []
    empty = measure([])
    assert (len(empty.table), len(empty.regions), len(empty.problems)) == (0, 0, 0)
    assert pd.api.types.is_float_dtype(empty.table["top"])
