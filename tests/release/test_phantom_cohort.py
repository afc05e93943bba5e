# SPDX-License-Identifier: Apache-2.0
"""The knobs of people and labels do what they say, each alone."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medsetu.release.phantom_cohort import draw_cohort
from medsetu.release.phantom_country import FINDINGS, Country

PLAIN = Country()
MANY = 1500


def draw(patients=MANY, seed=0, **knobs):
    return draw_cohort(replace(PLAIN, **knobs), population="global", patients=patients, seed=seed)


def within(count, total, share):
    low, high = stats.binom.interval(0.9999, total, share)
    return low <= count <= high


def test_prevalence_is_a_share_of_patients():
    patients = draw(tuberculosis_prevalence=0.5, effusion_prevalence=0.1, cardiomegaly_prevalence=0.3).drop_duplicates("patient")
    for finding, share in zip(FINDINGS, (0.5, 0.1, 0.3), strict=True):
        assert within(patients[finding].sum(), len(patients), share)


@pytest.mark.parametrize(("knob", "column"), [("monochrome1_share", "monochrome1"), ("ap_share", "ap"), ("female_share", "female")])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_shares_are_met(knob, column, share):
    films = draw(**{knob: share}).drop_duplicates("patient")
    assert within(films[column].sum(), len(films), share)


def test_age_and_habitus_follow_mean_and_spread():
    patients = draw(age_mean=52, age_sd=8, habitus_mean=-0.5, habitus_sd=0.4).drop_duplicates("patient")
    assert patients["age_years"].mean() == pytest.approx(51.5, abs=1)  # whole years, rounded down
    assert patients["age_years"].std() == pytest.approx(8, rel=0.1)
    assert patients["habitus"].mean() == pytest.approx(-0.5, abs=0.06)
    assert patients["habitus"].std() == pytest.approx(0.4, rel=0.1)
    assert draw(age_mean=20, age_sd=30)["age_years"].between(18, 95).all()


def test_exposure_is_centred_on_its_knob():
    logs = np.log(draw(exposure=0.5, exposure_sd=0.3)["exposure"])
    assert logs.mean() == pytest.approx(np.log(0.5), abs=0.03)
    assert logs.std() == pytest.approx(0.3, rel=0.1)


def test_label_noise_flips_the_stated_shares():
    films = draw(false_negative_rate=0.2, false_positive_rate=0.05)
    for finding in FINDINGS:
        present = films[finding]
        assert within((films.loc[present, f"{finding}_label"] == 0).sum(), present.sum(), 0.2)
        assert within((films.loc[~present, f"{finding}_label"] == 1).sum(), (~present).sum(), 0.05)
    clean = draw()
    assert all((clean[f"{finding}_label"] == clean[finding]).all() for finding in FINDINGS)


def test_marker_correlates_with_tuberculosis_as_strongly_as_asked():
    strengths = (0.0, 0.3, 0.7, 1.0)
    found = []
    for strength in strengths:
        films = draw(marker_share=0.3, marker_strength=strength).drop_duplicates("patient")
        shares = films.groupby("tuberculosis")["marker"].mean()
        assert shares[True] == pytest.approx((1 - strength) * 0.3 + strength, abs=0.06)
        found.append(shares[True] - shares[False])
    assert abs(found[0]) < 0.08
    assert found == sorted(found)
    assert found[-1] == 1.0


def test_findings_stay_with_the_patient_and_drift():
    films = draw()
    several = films.groupby("patient").filter(lambda rows: len(rows) > 1).groupby("patient")
    for finding in FINDINGS:
        assert (several[finding].nunique() == 1).all()
        severity = several[f"{finding}_severity"].agg(["min", "max", "nunique"])
        ill = several[finding].first()
        assert (severity.loc[~ill, "max"] == 0).all()
        assert (severity.loc[ill, "nunique"] > 1).mean() > 0.8
        assert severity.loc[ill, "min"].min() >= 0.25
        assert severity.loc[ill, "max"].max() <= 1


def test_days_and_ages_rise_from_study_to_study():
    films = draw()
    assert (films.loc[films["study"] == 0, "day"] == 0).all()
    assert (films.groupby("patient")["day"].diff().dropna() >= 30).all()
    assert (films.groupby("patient")["age_years"].diff().dropna() >= 0).all()


def test_findings_know_nothing_of_the_person():
    patients = draw(4000).drop_duplicates("patient")
    for finding in FINDINGS:
        for fact in ("female", "age_years", "habitus", "ap"):
            assert abs(np.corrcoef(patients[finding], patients[fact])[0, 1]) < 0.07


TURNED = {
    "exposure": (2.0, {"exposure"}),
    "exposure_sd": (0.5, {"exposure"}),
    "noise": (3.0, set()),
    "pixel_size": (2.0, set()),
    "blur_mm": (3.0, set()),
    "monochrome1_share": (0.7, {"monochrome1"}),
    "habitus_mean": (-1.0, {"habitus"}),
    "habitus_sd": (0.5, {"habitus"}),
    "ap_share": (0.8, {"ap"}),
    "age_mean": (40.0, {"age_years"}),
    "age_sd": (5.0, {"age_years"}),
    "female_share": (0.1, {"female"}),
    "tuberculosis_prevalence": (0.9, {"tuberculosis", "tuberculosis_severity", "tuberculosis_label"}),
    "effusion_prevalence": (0.9, {"effusion", "effusion_severity", "effusion_label"}),
    "cardiomegaly_prevalence": (0.9, {"cardiomegaly", "cardiomegaly_severity", "cardiomegaly_label"}),
    "false_negative_rate": (0.5, {f"{finding}_label" for finding in FINDINGS}),
    "false_positive_rate": (0.5, {f"{finding}_label" for finding in FINDINGS}),
    "marker_share": (0.9, {"marker"}),
    "marker_strength": (0.9, {"marker"}),
    "lesion_contrast": (0.5, set()),
}


@pytest.mark.parametrize("knob", [field.name for field in fields(Country)])
def test_a_knob_leaves_every_other_draw_unchanged(knob):
    value, moved = TURNED[knob]
    before, after = draw(200), draw(200, **{knob: value})
    changed = {column for column in before.columns if not before[column].equals(after[column])}
    assert changed == moved


def test_more_patients_leave_the_first_ones_unchanged():
    pd.testing.assert_frame_equal(draw(50).reset_index(drop=True), draw(80).query("patient < 50").reset_index(drop=True))
