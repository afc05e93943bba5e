# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fakes.report import SENTINEL, SITE
from medsetu.report.content import Report
from medsetu.report.render import render, to_html

VOID = {"meta", "link", "br", "img", "input", "hr"}
LOADING = {"src", "srcset", "data", "poster", "action", "background", "xlink:href"}


class Reader(HTMLParser):
    """Elements with their attributes, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.wrong = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def reader(page):
    return Reader(page)


def test_every_element_is_closed_and_every_id_is_unique(reader):
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert not reader.wrong
    assert not reader.open
    assert len(ids) == len(set(ids)) > 50


def test_question_and_sentences_come_first(page, study_report):
    order = [
        page.index(study_report.question.split(",")[0]),
        page.index("What was found"),
        page.index("What may not be claimed"),
        page.index('id="matrix"'),
    ]
    assert order == sorted(order)
    assert page.count("<li>", page.index("What was found"), page.index("</ol>")) == len(study_report.sentences)


def test_page_loads_nothing_from_anywhere(page, reader):
    for tag, attributes in reader.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "audio", "video"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in LOADING & set(attributes):
            assert attributes[name].startswith("data:image/png;base64,")
        assert attributes.get("href", "#").startswith("#")
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert set(re.findall(r"url\(([^)]{1,3})", page)) <= {"#ro", "#fo", "#re", "#le", "#la"}
    assert "default-src 'none'" in page


def test_hostile_site_name_is_escaped(page):
    assert SITE not in page
    assert "&lt;script&gt;alert(" in page
    assert "<script" not in page


def test_hostile_words_everywhere_are_escaped(study_report):
    attack = "</title><img src=x onerror=alert(1)>"
    page = to_html(
        replace(
            study_report,
            title=attack,
            question=attack,
            recipe_yaml=f"</pre>{attack}",
            notes=[attack],
            sentences=[attack],
            protocol=attack,
            compute={attack: attack},
        )
    )
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror") >= 8


def test_no_patient_and_no_file_is_named(page):
    assert SENTINEL not in page
    assert "ZZ^" not in page
    assert "p-local-" not in page
    assert "nitrd/0" not in page


def test_what_is_nan_shows_a_dash_and_its_reason(page):
    assert "local-only was not tested on global" in page
    assert "not measured: no facts recorded" in page
    assert re.search(r"suppressed: fewer than 10 patients", page)
    assert re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page), flags=re.IGNORECASE) is None


def test_every_picture_has_words_without_an_id(reader, study_report):
    pictures = reader.named("img")
    assert len(pictures) == len(study_report.examples) > 5
    assert all(
        re.fullmatch(r"Chest film, tuberculosis (present|absent), score 0\.\d{3}, (true|false) .*", image["alt"]) for image in pictures
    )
    figures = reader.named("svg")
    assert len(figures) >= 10
    assert all(figure["role"] == "img" and figure["aria-labelledby"] for figure in figures)


def test_errors_stand_before_correct_calls(page):
    order = [page.index(f"<strong>{name}") for name in ("false negative", "false positive", "true positive", "true negative")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    "words",
    [
        "Reference inflated on the global side",
        "this recipe on these films, 3 seeds: descriptive",
        "local deficit (headline)",
        "0.942\u00a0to\u00a00.986",
        "by image (no patient ids)",
        "no licence text known",
        "may be loss of the shortcut, not of skill",
        "The internal test was opened once",
        "These are internal tests: no external site was tested.",
        "threshold not established: 8 validation positives",
        "Transported threshold (chosen on val/global): sensitivity at least 0.90",
        "Read off the test curve (ROC summary, not an operating point)",
        "12 excluded: near duplicate of another image",
        "between releases",
        "83 local labels spent",
        "logger: &lt;none&gt; &amp; &#39;quoted&#39;",
    ],
)
def test_page_says(page, words):
    assert words in page


def test_equal_content_gives_equal_bytes(study_report, page, page_file):
    again = to_html(study_report)
    assert again == page
    assert page_file.read_bytes() == page.encode()
    assert len(page) < 3_000_000


def test_report_of_one_arm_without_anything_else_is_a_page(study_report, tmp_path):
    table = study_report.predictions
    single = table[(table["arm"] == "local-only")]
    results = study_report.results[study_report.results["arm"] == "local-only"]
    report = Report(title="one", question="?", recipe_yaml="", made_on="2026-11-24", predictions=single, results=results)
    page = render(report, tmp_path / "one.html").read_text()
    assert 'id="curves"' in page
    assert 'id="matrix"' not in page
    assert "No shortcut ladder was climbed" in page


def test_empty_report_is_a_page():
    page = to_html(Report(title="empty", question="?", recipe_yaml="", made_on="2026-11-24"))
    assert "No file was put in quarantine." in page
    assert not Reader(page).wrong


def test_more_openings_than_one_are_told(study_report):
    page = to_html(replace(study_report, openings=3, matrices=[], predictions=study_report.predictions.iloc[:0], examples=[]))
    assert "The test was opened 3 times" in page
