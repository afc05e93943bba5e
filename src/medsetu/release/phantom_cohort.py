# SPDX-License-Identifier: Apache-2.0
"""Who is in the phantom: patients, their one to four studies, their findings, and what the label table says of them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from medsetu.release.phantom_country import FINDINGS, Country
from medsetu.release.phantom_random import stream

MOST_STUDIES = 4
STUDY_SHARES = (0.4, 0.3, 0.2, 0.1)  # share of patients with 1, 2, 3, 4 studies


def draw_cohort(country: Country, *, population: str, patients: int, seed: int) -> pd.DataFrame:
    """Draw patients and studies.

    A finding belongs to the patient and stays through all studies while its severity drifts. Findings are independent of each other and
    of age, sex, habitus and view, so that each knob moves one thing. Patient i is the same whatever the number of patients.

    Args:
        country: Knobs.
        population: Name that keeps people of two countries apart at equal seeds.
        patients: Number of patients.
        seed: Seed of the cohort.

    Returns:
        One row per film: ``image_id``, ``patient``, ``study`` (from 0), ``day`` (since the first study), ``female``, ``age_years``,
        ``habitus`` (standard deviations), ``device`` (0 or 1), ``ap``, ``monochrome1``, ``exposure`` (relative dose), ``marker``, and for
        each finding its truth (``<finding>``, bool), ``<finding>_severity`` in [0, 1] (0 without the finding) and ``<finding>_label``
        (0 or 1, with label noise).

    Example:
        >>> films = draw_cohort(Country(), population="global", patients=3, seed=0)
        >>> films["patient"].nunique(), bool(films["image_id"].is_unique)
        (3, True)
    """
    uniform, normal = _dice(population, patients=patients, seed=seed)
    columns: dict[str, NDArray[np.generic]] = {}
    day = np.cumsum(30 + 370 * uniform("day", MOST_STUDIES), axis=1)
    day = np.floor(day - day[:, :1])
    age = np.clip(country.age_mean + country.age_sd * normal("age"), 18, 95)
    columns["day"] = day.astype(np.int64)
    columns["female"] = uniform("sex") < country.female_share
    columns["age_years"] = np.clip(np.floor(age + day / 365.25), 18, 95)
    columns["habitus"] = np.clip(country.habitus_mean + country.habitus_sd * normal("habitus"), -3, 3)
    columns["device"] = (uniform("device") < 0.5).astype(np.int64)
    columns["ap"] = uniform("view", MOST_STUDIES) < country.ap_share
    columns["monochrome1"] = uniform("monochrome", MOST_STUDIES) < country.monochrome1_share
    columns["exposure"] = country.exposure * np.exp(country.exposure_sd * normal("exposure", MOST_STUDIES))
    for finding in FINDINGS:
        present = uniform(f"status {finding}") < getattr(country, f"{finding}_prevalence")
        drift = np.cumsum(0.12 * normal(f"drift {finding}", MOST_STUDIES), axis=1)
        severity = np.clip(0.3 + 0.7 * uniform(f"severity {finding}") + drift, 0.25, 1.0)
        columns[finding] = present
        columns[f"{finding}_severity"] = np.where(present, severity, 0.0)
        rate = np.where(present, country.false_negative_rate, country.false_positive_rate)
        columns[f"{finding}_label"] = (present ^ (uniform(f"flip {finding}", MOST_STUDIES) < rate)).astype(np.int64)
    chance = (1 - country.marker_strength) * country.marker_share + country.marker_strength * columns["tuberculosis"].astype(float)
    columns["marker"] = uniform("marker", MOST_STUDIES) < chance
    studies = np.searchsorted(np.cumsum(STUDY_SHARES)[:-1], uniform("studies")[:, 0], side="right") + 1
    return _films(columns, studies=studies, prefix=f"{population}-{seed}")


def _dice(population: str, *, patients: int, seed: int) -> tuple[Callable[..., NDArray[np.float64]], Callable[..., NDArray[np.float64]]]:
    """Two dice, uniform and normal: a stream per aspect, a row per patient, so that more patients leave the first ones as they were."""

    def uniform(aspect: str, columns: int = 1) -> NDArray[np.float64]:
        return stream(seed, population, "cohort", aspect).random((patients, columns))

    def normal(aspect: str, columns: int = 1) -> NDArray[np.float64]:
        return np.asarray(ndtri(np.clip(uniform(aspect, columns), 1e-9, 1 - 1e-9)))

    return uniform, normal


def _films(columns: dict[str, NDArray[np.generic]], *, studies: NDArray[np.int64], prefix: str) -> pd.DataFrame:
    """Keep the first k studies of each patient, one row each."""
    taken = np.arange(MOST_STUDIES) < studies[:, None]
    patient, study = np.nonzero(taken)
    films = pd.DataFrame({"patient": patient, "study": study})
    films.insert(0, "image_id", [f"{prefix}-{who:05d}-{which}" for who, which in zip(patient, study, strict=True)])
    for name, values in columns.items():
        films[name] = np.broadcast_to(values, taken.shape)[taken]
    return films
