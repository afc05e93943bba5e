# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace
from xml.etree import ElementTree

import pandas as pd
import pytest

from contest.cohort import PLAN, field
from medsetu.contest.sentence import sentences
from medsetu.contest.tournament import hold
from medsetu.report.contest_page import write_contest

EVIL = "<script>alert(1)</script>"
FILES = {
    *("compare.html", "compare.json", "standings.csv", "metrics.csv", "pairs.csv", "forest.svg", "differences.svg"),
    *("standings.tex", "metrics.tex", "costs.tex", "pairs_auroc.tex"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contest")
    found = hold(field({"a": 2.0, f"b{EVIL}": 1.0, "c": 1.0}, seeds=2), replace(PLAN, bootstrap=20))
    return folder, found, write_contest(found, folder, title=f"demo {EVIL}", settings={"who": EVIL})


def test_every_file_is_there(written):
    folder, _, page = written
    assert {path.name for path in folder.iterdir()} == FILES
    assert page == folder / "compare.html"


def test_the_page_needs_nothing_else_and_escapes_what_came_from_outside(written):
    text = written[2].read_text()
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert text.count("<svg") == 2
    assert "no critical-difference diagram: critical differences need at least 5 independent releases, and there are 1" in text
    assert "Claim: this recipe on these films, 2 seeds: descriptive" in text


def test_page_and_json_say_the_same_sentences_and_numbers(written):
    folder, found, page = written
    told = json.loads((folder / "compare.json").read_text())
    assert told["sentences"] == sentences(found)
    assert all(
        sentence.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;") in page.read_text() for sentence in told["sentences"]
    )
    assert [row["auroc"] for row in told["standings"]] == pytest.approx(found.standings["auroc"].tolist())
    assert (told["leader"], told["winner"]) == (found.leader, found.winner)
    assert told["plan"]["margin"] == 0.05


def test_csv_files_hold_every_number(written):
    folder, found, _ = written
    for name in ("standings", "metrics", "pairs"):
        table = pd.read_csv(folder / f"{name}.csv")
        assert table.shape == getattr(found, name).shape


def test_figures_are_files_of_their_own(written):
    for name in ("forest", "differences"):
        root = ElementTree.fromstring((written[0] / f"{name}.svg").read_text())  # noqa: S314 - written a moment ago
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_the_same_tournament_gives_the_same_bytes(written, tmp_path):
    folder, found, _ = written
    write_contest(found, tmp_path, title=f"demo {EVIL}", settings={"who": EVIL})
    assert all((tmp_path / name).read_bytes() == (folder / name).read_bytes() for name in FILES)
