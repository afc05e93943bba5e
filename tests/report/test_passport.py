# SPDX-License-Identifier: Apache-2.0
"""The shift passport as page, as JSON, in a browser and on paper."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fakes.browser import WIDTHS, figures, in_browser, opened, outside, requests
from fakes.cohort import cohort
from medsetu.report.passport import Passport, section_grid, to_page, to_plain, write_passport
from medsetu.report.passport_figure import evidence_panel, line_panel, score_panel
from medsetu.report.render import Drawing
from medsetu.shift.row import SECTIONS, ShiftRow, shift_table

HOSTILE = "<script>alert('site')</script>"


def lines() -> pd.DataFrame:
    rows = [
        ShiftRow("gap", "auroc", f"line {number}", value=0.1 * number, low=0.1 * number - 0.05, high=0.1 * number + 0.05, unit="AUROC")
        for number in range(5)
    ]
    rows += [
        ShiftRow("detect", "ks", f"fact_{number}", value=0.3, p=0.01, p_adjusted=0.0001 * 20**number, verdict="shift found")
        for number in range(3)
    ]
    rows += [ShiftRow(section, "thing", "all", verdict="not identified", note="no facts") for section in SECTIONS]
    return shift_table(rows)


def passport() -> Passport:
    table, films = lines(), cohort()
    drawings = [
        Drawing("Gap", line_panel(table[table["section"] == "gap"], name="gap", title="Gap", axis="AUROC", zero=0.0, sign=True)),
        Drawing("Scores", score_panel(films, name="scores")),
        Drawing("Evidence", evidence_panel(table[table["section"] == "detect"], alpha=0.05, name="evidence")),
        Drawing("Scores again", score_panel(films, name="again")),
        Drawing("Gap again", line_panel(table[table["section"] == "gap"], name="gap2", title="Gap", axis="AUROC", zero=0.0, sign=True)),
    ]
    side = {"title": HOSTILE, "films": 60, "patients": 30, "unit": "by patient"}
    sentence = "The model reached AUROC 0.983 [0.946, 0.995] on 108 global films and 0.701 [0.572, 0.804] on 104 local films by image. "
    return Passport(
        title="toy",
        question="Does it shift?",
        finding="tuberculosis",
        arm="global-only",
        sides=[{"side": "global", **side}, {"side": "local", **side}],
        made_on="2026-01-01",
        sentences=[sentence * 2] * 5,
        drawings=drawings,
        table=table,
        behind=[Drawing("Learning curves", score_panel(films, name="behind"))],
        settings={"alpha": 0.05},
        notes=["One hospital, one machine."] * 4,
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return write_passport(passport(), tmp_path_factory.mktemp("passport"))


def test_page_escapes_what_comes_from_outside_and_is_the_same_twice():
    text = to_page(passport())
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert text == to_page(passport())


def test_every_section_has_its_table_and_reasons_are_shown():
    text = to_page(passport())
    assert text.count("<details") == len(SECTIONS) + 1
    assert "not identified" in text
    grid = section_grid(lines(), "detect")
    assert [row[2].text for row in grid.rows] == ["< 0.001", "0.002", "0.040", "–"]


def test_json_says_the_same_and_unknown_is_null(page):
    stored = json.loads((page.parent / "passport.json").read_text())
    assert stored["sentences"] == list(passport().sentences)
    assert len(stored["table"]) == len(lines())
    assert stored["table"][-1]["value"] is None
    assert np.isnan(to_plain(passport())["table"][-1]["value"])


def test_pictures_of_nothing_are_nothing():
    nothing = shift_table([ShiftRow("detect", "ks", "age", verdict="refused")])
    assert evidence_panel(nothing, alpha=0.05, name="a") == ""
    assert line_panel(nothing, name="b", title="t", axis="x", zero=0.0, sign=False) == ""


@pytest.fixture(scope="module", params=WIDTHS)
def sheet(request, page, tmp_path_factory):
    """The passport, opened in a browser."""
    with opened(page, width=request.param, profile=tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@in_browser
def test_no_error_no_request_no_sideways_scroll(sheet, page):
    assert requests(sheet) == [page.as_uri()]
    assert sheet.get_log("browser") == []
    assert outside(sheet) == []


@in_browser
def test_five_pictures_have_words(sheet):
    drawn = figures(sheet)
    assert len(drawn) == 6  # five on the sheet, one behind it
    assert all(role == "img" and title and told and width > 180 and height > 80 for role, title, told, width, height in drawn)


@in_browser
def test_it_prints_on_one_page(sheet):
    printed = sheet.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True})
    assert len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"]))) == 1
