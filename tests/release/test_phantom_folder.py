# SPDX-License-Identifier: Apache-2.0
"""Writing a phantom: interrupted, resumed, and watched."""

import json

import pytest

from medsetu.core.errors import DataError, ResourceError
from medsetu.release import phantom_folder
from medsetu.release.phantom_cohort import draw_cohort
from medsetu.release.phantom_country import Country
from medsetu.release.phantom_folder import Cohort, draw_film, ensure

SMALL = Cohort("global", Country(), patients=5, seed=3, size=32)


def _content(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _interrupt(monkeypatch, *, after):
    calls = []

    def fails(path, data, **options):
        calls.append(path)
        if len(calls) > after:
            raise KeyboardInterrupt
        return original(path, data, **options)

    original = phantom_folder.atomic_write
    monkeypatch.setattr(phantom_folder, "atomic_write", fails)


@pytest.mark.parametrize("after", [3, 11])
def test_an_interrupted_phantom_is_finished_by_the_next_start(tmp_path, monkeypatch, after):
    ensure(tmp_path / "whole", SMALL)
    with monkeypatch.context() as patch:
        _interrupt(patch, after=after)
        with pytest.raises(KeyboardInterrupt):
            ensure(tmp_path / "cut", SMALL)
    assert not (tmp_path / "cut" / "truth.json").exists()
    ensure(tmp_path / "cut", SMALL)
    assert _content(tmp_path / "cut") == _content(tmp_path / "whole")


def test_an_interrupted_phantom_of_other_settings_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _interrupt(patch, after=3)
        with pytest.raises(KeyboardInterrupt):
            ensure(tmp_path, SMALL)
    with pytest.raises(DataError, match="Something other"):
        ensure(tmp_path, Cohort("global", Country(), patients=5, seed=4, size=32))


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="could not be written"):
        ensure(tmp_path / "file" / "below", SMALL)
    with pytest.raises(DataError, match="Something other"):
        ensure(tmp_path / "file", SMALL)


def test_a_damaged_statement_is_another_phantom(tmp_path):
    ensure(tmp_path, SMALL)
    (tmp_path / "truth.json").write_text("{")
    with pytest.raises(DataError, match="Another phantom"):
        ensure(tmp_path, SMALL)


def test_a_bar_appears_when_patience_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(phantom_folder, "_PATIENCE_S", 0.0)
    ensure(tmp_path, SMALL)
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "truth.json").read_text())["films"] > 5


def test_boxes_lie_on_the_film():
    cohort = Cohort("global", Country(tuberculosis_prevalence=1, effusion_prevalence=1, cardiomegaly_prevalence=1), 8, 0, 64)
    films = draw_cohort(cohort.country, population="global", patients=8, seed=0)
    for row in films.to_dict("records"):
        _, facts = draw_film(row, cohort)
        for finding in ("tuberculosis", "effusion", "cardiomegaly"):
            boxes = [tuple(map(float, box.split())) for box in facts[f"{finding}_boxes"].split(";") if box]
            assert all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)
        assert facts["tuberculosis_boxes"]
        assert facts["cardiomegaly_boxes"]
