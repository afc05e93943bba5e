# SPDX-License-Identifier: Apache-2.0
"""Drawings beside a frozen manifest: written once, made anew when they or the rule change, and no part of the fingerprint."""

import io
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from fakes import busi, vindr_cxr
from fakes.folder import write
from medsetu.core.errors import DataError
from medsetu.core.table import read_table
from medsetu.experiment import drawing
from medsetu.experiment.drawing import DRAWINGS, LOCATION, PROBLEMS, REGIONS, STATE, drawing_view, read_regions, write_drawings
from medsetu.experiment.prepare import prepare
from medsetu.manifest.frozen import load
from medsetu.manifest.plan import SplitPlan
from medsetu.release.busi import Busi
from medsetu.release.vindr_cxr import VindrCxr


@pytest.fixture
def sides(tmp_path):
    return {"global": [VindrCxr(vindr_cxr.write(tmp_path / "vindr"))]}


def prepared_of(sides, folder, **options):
    return prepare(sides, plan=SplitPlan(**options), seed=0, folder=folder, workers=0)


def test_written_once_and_used_again(sides, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    first = write_drawings(prepared_of(sides, folder), folder, plan=SplitPlan())
    monkeypatch.setattr("medsetu.experiment.drawing.measure", None)  # a second look opens nothing
    again = write_drawings(prepared_of(sides, folder), folder, plan=SplitPlan())
    pd.testing.assert_frame_equal(first.table, again.table)
    pd.testing.assert_frame_equal(read_regions(folder), first.regions)
    assert set(read_table(folder / LOCATION)["finding"]) == {"effusion", "lung_cavity", "tuberculosis"}


def test_another_rule_or_other_boxes_are_measured_anew_and_the_study_stays(sides, tmp_path):
    folder = tmp_path / "out"
    prepared = prepared_of(sides, folder)
    write_drawings(prepared, folder, plan=SplitPlan())
    unanimous = write_drawings(prepared, folder, plan=SplitPlan(drawing="unanimous"))
    assert set(unanimous.regions["rule"]) == {"unanimous", ""}
    path = sides["global"][0].root / "annotations" / "annotations_train.csv"
    path.write_text(path.read_text().replace("10.5,12,30.5,40", "11.5,12,30.5,40"))
    changed = prepared_of(sides, folder)
    assert changed.fingerprint == prepared.fingerprint == load(folder).fingerprint
    assert changed.facts["reused"]
    assert 11.5 in set(write_drawings(changed, folder, plan=SplitPlan()).table["left"])


def test_tables_that_were_changed_are_refused(sides, tmp_path):
    folder = tmp_path / "out"
    write_drawings(prepared_of(sides, folder), folder, plan=SplitPlan())
    (folder / REGIONS).write_bytes(b"another")
    with pytest.raises(DataError):
        read_regions(folder)
    (folder / STATE).write_text("{")
    assert read_regions(folder).empty


def test_drawings_that_were_taken_away_are_not_found_again(sides, tmp_path):
    folder = tmp_path / "out"
    prepared = prepared_of(sides, folder)
    write_drawings(prepared, folder, plan=SplitPlan())
    without = replace(prepared, drawn=prepared.drawn.iloc[:0])
    assert write_drawings(without, folder, plan=SplitPlan()) is None
    assert read_regions(folder).empty


def test_a_kill_between_two_tables_leaves_no_mixture(sides, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    prepared = prepared_of(sides, folder)
    first = write_drawings(prepared, folder, plan=SplitPlan())
    write = drawing.write_table
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "write_table", lambda table, path: write(table, path) if path.name == DRAWINGS else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_drawings(prepared, folder, plan=SplitPlan(drawing="unanimous"))
    assert read_regions(folder).empty
    again = write_drawings(prepared, folder, plan=SplitPlan())
    pd.testing.assert_frame_equal(read_regions(folder), again.regions)
    pd.testing.assert_frame_equal(first.regions, again.regions)


def test_nothing_is_written_where_nothing_was_drawn(tmp_path):
    folder = tmp_path / "out"
    prepared = prepared_of({"global": [write(tmp_path / "world", name="world", patients=40)]}, folder)
    assert write_drawings(prepared, folder, plan=SplitPlan()) is None
    assert not any((folder / name).exists() for name in (DRAWINGS, REGIONS, PROBLEMS, LOCATION, STATE))
    assert read_regions(folder).empty


def shown(prepared, folder):
    console = Console(file=io.StringIO(), width=160)
    console.print(drawing_view(write_drawings(prepared, folder, plan=SplitPlan()), prepared, folder))
    return console.file.getvalue()


def test_the_terminal_tells_contradictions_and_agreement(sides, tmp_path):
    text = shown(prepared_of(sides, tmp_path / "out"), tmp_path / "out")
    line = next(line for line in text.splitlines() if line.startswith("  tuberculosis"))
    assert line.split()[:8] == ["tuberculosis", "15", "9", "9", "of", "9", "0", "0"]
    assert "0.72" in line  # 468 / 652: IoU of two boxes of 20 x 28, 2 pixels apart both ways
    assert "never both" in text
    assert "films drawn on though labelled absent" in text
    assert "6 cut at the border of the image" in text


def test_the_terminal_tells_of_readers_who_only_voted(sides, tmp_path):
    prepared = prepared_of(sides, tmp_path / "out")
    assert "never drew" not in shown(prepared, tmp_path / "out")
    voter = prepared.votes.iloc[:1].assign(reader="r0", vote=1.0)
    more = replace(prepared, votes=pd.concat([prepared.votes, voter]))
    assert f"{voter['release'].iloc[0]}: readers who voted and never drew, left out of every region: 1" in shown(more, tmp_path / "out")


def test_masks_in_files(tmp_path):
    release = Busi(busi.write(tmp_path / "busi"))
    (tmp_path / "busi" / "Dataset_BUSI_with_GT" / "malignant" / "malignant (3)_mask.png").write_bytes(b"")
    folder = tmp_path / "out"
    prepared = prepared_of({"global": [release]}, folder, test=0.1, val=0.1)
    drawings = write_drawings(prepared, folder, plan=SplitPlan(), workers=1)
    assert set(drawings.table["form"]) == {"mask"}
    assert drawings.problems["sample_id"].unique().tolist() == ["busi/Dataset_BUSI_with_GT/malignant/malignant (3).png"]
    path = tmp_path / "busi" / "Dataset_BUSI_with_GT" / "malignant" / "malignant (3)_mask.png"
    path.write_bytes(path.with_name("malignant (2)_mask.png").read_bytes())
    mended = write_drawings(prepared, folder, plan=SplitPlan(), workers=1)
    assert mended.problems.empty, "a mask that was changed is opened again"
    path.write_bytes(b"")
    text = shown(prepared, folder)
    assert "drawings left out" in text
    two = drawings.regions[drawings.regions["sample_id"].str.endswith("malignant (2).png")]
    assert two["area_share"].tolist() == pytest.approx([2 * 20 * 28 / 4096] * 2)  # both masks, for both findings
