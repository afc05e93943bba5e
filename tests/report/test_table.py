# SPDX-License-Identifier: Apache-2.0
import io

import pandas as pd
import pytest
from rich.console import Console

from fakes.report import SENTINEL
from medsetu.evaluation.published import published_beside, published_of
from medsetu.report.table import contrast_table, ladder_table, matrix_table, published_table, results_table, sentences


def printed(thing):
    stream = io.StringIO()
    Console(file=stream, width=80, color_system=None).print(thing)
    return stream.getvalue()


@pytest.fixture(scope="module")
def texts(study_report):
    matrix = study_report.matrices[0]
    return {
        "matrix": printed(matrix_table(matrix)),
        "contrasts": printed(contrast_table(matrix)),
        "ladder": printed(ladder_table(study_report.ladder)),
        "results": printed(results_table(study_report.results)),
        "sentences": printed(sentences(study_report.sentences)),
    }


def test_everything_fits_eighty_columns(texts):
    for text in texts.values():
        assert max(map(len, text.splitlines())) <= 80


def test_tables_name_no_patient(texts):
    assert SENTINEL not in "".join(texts.values())


def test_matrix_has_value_interval_counts_reason_and_claim(texts, study_report):
    cell = study_report.matrices[0].cells.set_index(["arm", "side"]).loc[("transfer", "local")]
    assert f"{cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]" in texts["matrix"]
    assert "80 patients, 80 films, 3 seeds" in texts["matrix"]
    assert "local-only was not tested on global" in texts["matrix"]
    assert "claim: this recipe on these films, 3 seeds: descriptive" in texts["matrix"]


def test_contrasts_carry_power_and_headline(texts):
    assert "local deficit *" in texts["contrasts"]
    assert "0.15 / 0.15" in texts["contrasts"]


def test_contrast_that_cannot_be_estimated_says_why(study_report):
    matrix = study_report.matrices[0]
    row = {
        "value": float("nan"),
        "low": float("nan"),
        "high": float("nan"),
        "verdict": "not estimable",
        "note": "not estimable: the gap is small",
    }
    text = printed(contrast_table(type(matrix)("t", "all films", matrix.cells, matrix.contrasts.assign(**row), ())))
    assert "the gap is small" in text


def test_variants_of_an_arm_do_not_take_its_place_in_the_ladder(study_report):
    ladder = study_report.ladder
    local = ladder[(ladder["side"] == "local") & (ladder["arm"] == "transfer")]
    told = printed(ladder_table(pd.concat([ladder, local.assign(arm="transfer:lora", skill_above=0.987)])))
    assert len(local)
    assert told == printed(ladder_table(ladder))


def test_ladder_ends_with_its_verdicts(texts):
    assert "> lungs removed" in texts["ladder"]
    assert "Reference inflated on the global side" in texts["ladder"]
    assert printed(ladder_table(pd.DataFrame())) == printed(ladder_table([])) == "No shortcut ladder was climbed.\n"


def test_square_brackets_in_a_name_are_no_markup(study_report):
    results = study_report.results.assign(finding="a [bold]b[/bold]")
    assert "a [bold]b[/bold]" in printed(results_table(results))


def test_published_numbers_fit_and_name_their_source(study_report):
    paper = {
        "arm": "global-only",
        "side": "local",
        "finding": study_report.primary,
        "metric": "auroc",
        "value": 0.71,
        "source": "Somebody, J 2026",
    }
    text = printed(published_table(published_beside(published_of([paper]), study_report.results, study_report.matrices[0].cells)))
    assert "0.710" in text
    assert "Somebody, J 2026" in text
    assert max(map(len, text.splitlines())) <= 80
