# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from fakes.report import SITE
from medsetu.report.caution import cautions


def told(report):
    return "\n".join(cautions(report))


def test_one_hospital_is_no_country(study_report):
    assert f"The local side is one site ({SITE}): nothing is claimed about a country" in told(study_report)


def test_case_control_films_bring_the_spectrum_sentence(study_report):
    assert "spectrum bias" in told(study_report)
    assert "spectrum bias" not in told(replace(study_report, cards=[]))


def test_three_seeds_are_descriptive_and_five_are_not(study_report):
    assert "3 training seeds: descriptive" in told(study_report)
    rows = study_report.predictions.iloc[:5].assign(seed=range(5))
    assert "descriptive" not in told(replace(study_report, predictions=rows))


def test_inflated_reference_comes_first(study_report):
    assert cautions(study_report)[0].startswith("Reference inflated (global, local)")
    assert cautions(replace(study_report, ladders=[]))[0].startswith("No shortcut ladder was climbed")


def test_films_seen_in_pretraining_are_counted(study_report):
    rows = study_report.predictions.copy()
    first = rows.loc[(rows["split"] == "test") & (rows["domain"] == "global"), "sample_id"].unique()[:7]
    rows.loc[rows["sample_id"].isin(first), "seen"] = "normals may be RSNA films"
    assert "7 global test films may have been seen in pretraining (normals may be RSNA films)" in told(
        replace(study_report, predictions=rows)
    )


def test_an_external_site_is_noticed(study_report):
    rows = study_report.predictions.copy()
    rows["domain"] = rows["domain"].where(rows["domain"] != "global", "external")
    assert "no external site" not in told(replace(study_report, predictions=rows))


@pytest.mark.parametrize(("openings", "expected"), [(1, False), (2, True)])
def test_openings_after_the_first_are_told(study_report, openings, expected):
    assert ("The test was opened" in told(replace(study_report, openings=openings))) is expected
