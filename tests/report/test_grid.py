# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from medsetu.report.grid import contrast_grid, estimate, finding_grid, group_grid, ladder_grid, matrix_grid, metric_grid
from medsetu.report.number import DASH


def row(**changes):
    return {"value": 0.8, "low": 0.7, "high": 0.9, "note": "", "n_samples": 20, "n_positive": 10} | changes


def test_value_without_interval_says_why():
    entry = estimate(row(low=math.nan, high=math.nan, note="claim: this model; fewer than 10 positive or negative patients: no interval"))
    assert entry.text == "0.800"
    assert entry.small == ["fewer than 10 positive or negative patients: no interval"]


def test_undefined_value_always_has_a_reason():
    assert estimate(row(value=math.nan, low=math.nan, note="one class only: no negatives")).small == ["one class only: no negatives"]
    assert estimate(row(value=math.nan, low=math.nan)).small == ["not estimable"]
    assert estimate(None).small == ["not tested here"]


def test_matrix_holds_every_cell_with_counts_and_claim(study_report):
    grid = matrix_grid(study_report.matrices[0])
    assert [entry.text for entry in grid.columns] == ["trained as", "tested on global", "tested on local"]
    texts = {line[0].text: [entry.text for entry in line[1:]] for line in grid.rows}
    cells = study_report.matrices[0].cells.set_index(["arm", "side"])["value"]
    assert texts["transfer"] == [f"{cells['transfer', 'global']:.3f}", f"{cells['transfer', 'local']:.3f}"]
    assert texts["local-only"][0] == DASH
    assert "80 patients, 80 films, 40 positive, 3 seeds" in grid.rows[0][2].small
    assert "160 films, 80 positive, 3 seeds" in grid.rows[0][1].small
    assert "descriptive" in grid.caption


def test_exactly_one_contrast_is_the_headline(study_report):
    names = [line[0].text for line in contrast_grid(study_report.matrices[0]).rows]
    assert [name for name in names if "headline" in name] == ["local deficit (headline)"]


def test_every_row_is_as_wide_as_the_head(study_report):
    results, matrix = study_report.results, study_report.matrices[0]
    rungs = study_report.ladder
    grids = [
        matrix_grid(matrix),
        contrast_grid(matrix),
        metric_grid(results, finding="tuberculosis"),
        finding_grid(results),
        group_grid(results, finding="tuberculosis", domain="local"),
        *(ladder_grid(own) for _, own in rungs.groupby("side")),
    ]
    for grid in grids:
        assert all(len(line) == len(grid.columns) or line[0].kind == "span" for line in grid.rows)


def test_no_field_of_the_metrics_is_a_bare_dash(study_report):
    grid = metric_grid(study_report.results, finding="tuberculosis")
    bare = [line[0].text for line in grid.rows for entry in line[1:] if entry.text == DASH and not entry.small]
    assert bare == []


def test_columns_stand_in_the_order_of_sides_and_arms(study_report):
    columns = metric_grid(study_report.results, finding="tuberculosis").columns[1:]
    assert [(entry.text, entry.small[0]) for entry in columns] == [
        ("global-only", "tested on global"),
        ("transfer", "tested on global"),
        ("global-only", "tested on local"),
        ("local-only", "tested on local"),
        ("transfer", "tested on local"),
    ]
    assert "by image" in columns[0].small


def test_suppressed_group_is_told(study_report):
    grid = group_grid(study_report.results, finding="tuberculosis", domain="global")
    small = next(line for line in grid.rows if line[0].text == "view: AP")
    assert small[1].text == DASH
    assert small[1].small[-1].startswith("suppressed")


@pytest.mark.parametrize("side", ["global", "local"])
def test_ladder_marks_its_best_rung(study_report, side):
    rungs = study_report.ladder
    names = [line[0].text for line in ladder_grid(rungs[rungs["side"] == side]).rows]
    assert sum("best rung" in name for name in names) == 1
