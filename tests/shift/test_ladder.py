# SPDX-License-Identifier: Apache-2.0
"""The ladder on manifest rows alone: a planted shortcut is found, none is not, and the real TB films give themselves away."""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.study import FINDING, crossfit_splits, manifest, scored
from medsetu.core.errors import ConfigError
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.manifest.build import build
from medsetu.manifest.plan import SplitPlan
from medsetu.release.tb_chest_radiography_database import TbChestRadiographyDatabase
from medsetu.shift.ladder import INFLATED, ladder_rows, study_ladder_rows
from medsetu.shift.plan import ShiftPlan
from medsetu.shift.row import shift_table
from medsetu.shift.rung import BORDER_RING, FILE_FACTS, METADATA, RUNGS, THUMBNAIL
from medsetu.shift.shortcut import shortcut_ladders

PLAN = ShiftPlan()
SHARED = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def films(tmp_path):
    return manifest(tmp_path, np.random.default_rng(0), per_class=60)


def found(lines, rung, side="global"):
    (row,) = [row for row in lines if row.subject == f"{side}: {rung}"]
    return row


def test_nothing_planted_nothing_found(films):
    lines = ladder_rows(films, finding=FINDING, plan=PLAN)
    assert [row.subject.removeprefix("global: ") for row in lines] == list(RUNGS)
    assert not any(row.verdict.startswith(INFLATED) for row in lines)
    assert found(lines, METADATA).verdict == "not identified"
    assert all(row.low < 0.6 for row in lines if math.isfinite(row.low))
    assert (found(lines, BORDER_RING).n_global, found(lines, BORDER_RING).n_local) == (120, 0)
    assert len(shift_table(lines)) == len(RUNGS)


def test_a_planted_border_is_found(films, tmp_path):
    for path, label in zip(films["path"], films[FINDING], strict=True):
        film = np.array(Image.open(tmp_path / path))
        film[:4] = 230 if label else 90
        Image.fromarray(film).save(tmp_path / path)
    lines = ladder_rows(films, finding=FINDING, plan=PLAN)
    assert found(lines, BORDER_RING).verdict == "reference inflated: the classes are told apart by the border ring alone"
    assert not found(lines, FILE_FACTS).verdict.startswith(INFLATED)


def test_a_thumbnail_never_inflates_however_high(films, tmp_path):
    for path, label in zip(films["path"], films[FINDING], strict=True):
        film = np.array(Image.open(tmp_path / path))
        film[10:26, 10:14] = 230 if label else 90  # where a lung lies
        Image.fromarray(film).save(tmp_path / path)
    lines = ladder_rows(films, finding=FINDING, plan=PLAN)
    assert found(lines, THUMBNAIL).low > 0.9
    assert found(lines, THUMBNAIL).verdict == "the classes are told apart by an 8 x 8 thumbnail alone"


def test_only_so_many_films_are_read_and_it_is_said(films):
    lines = ladder_rows(films, finding=FINDING, plan=PLAN, most=50)
    assert found(lines, BORDER_RING).n_global == 50
    assert "50 of 120 films, drawn by patient" in found(lines, BORDER_RING).note


def test_both_sides_have_their_own_ladder_and_a_small_one_is_refused(films, tmp_path):
    (tmp_path / "local").mkdir()
    local = manifest(tmp_path / "local", np.random.default_rng(1), per_class=2, domain="local")
    lines = ladder_rows(pd.concat([films, local], ignore_index=True), finding=FINDING, plan=PLAN)
    assert len(lines) == len(RUNGS) + 1
    assert found(lines, "all rungs", side="local").verdict.startswith("refused: 4 labelled patients of 2 classes, 10")


def test_one_class_is_refused_and_unknown_labels_leave(films):
    (line,) = ladder_rows(films.assign(**{FINDING: films[FINDING].where(films[FINDING] == 1)}), finding=FINDING, plan=PLAN)
    assert line.verdict.startswith("refused: 60 labelled patients of 1 classes")
    with pytest.raises(ConfigError):
        ladder_rows(films, finding="effusion", plan=PLAN)


def test_the_ladder_of_a_study_becomes_lines(films):
    films = films.assign(file_bytes=(1000 + 400 * films[FINDING] + np.random.default_rng(1).integers(0, 300, 120)).astype(int))
    ladders = shortcut_ladders(
        scored(films, np.random.default_rng(2).random(120)),
        manifest=films,
        splits=crossfit_splits(films),
        finding=FINDING,
        plan=EvaluationPlan(primary=FINDING),
    )
    lines = study_ladder_rows(ladders)
    assert found(lines, FILE_FACTS).verdict.startswith(INFLATED)
    above = found(lines, f"{FILE_FACTS}: global-only")
    assert above.value < 0
    assert above.verdict == "skill above the rung is not shown"


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "tb_chest_radiography_database").is_dir(), reason="the shared images are not here")
def test_global_tb_films_are_an_inflated_reference():
    release = TbChestRadiographyDatabase(SHARED / "tb_chest_radiography_database")
    rows = build({"global": [release]}, plan=SplitPlan(), seed=0, workers=1).manifest
    lines = ladder_rows(rows, finding=FINDING, plan=PLAN, most=300)
    assert found(lines, FILE_FACTS).verdict.startswith(INFLATED)
    assert found(lines, BORDER_RING).verdict.startswith(INFLATED)
    assert found(lines, FILE_FACTS).value == pytest.approx(0.956, abs=0.05)
