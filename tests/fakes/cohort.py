# SPDX-License-Identifier: Apache-2.0
"""A cohort of binormal scores: patients with several films, two sides, seeds, facts; every shift is a number."""

import numpy as np
import pandas as pd

from medsetu.shift.cohort import Cohort, Films


def films(
    side: str,
    *,
    patients: int = 30,
    per_patient: int = 2,
    prevalence: float = 0.5,
    separation: float = 1.5,
    level: float = 0.0,
    seed: int = 0,
) -> Films:
    """Draw the films of one side.

    Args:
        side: global or local.
        patients: Number of patients.
        per_patient: Films of each patient.
        prevalence: Share of patients with the finding.
        separation: Distance of the classes on the logit scale.
        level: Shift of all logits.
        seed: Seed.
    """
    rng = np.random.default_rng([seed, len(side)])
    label = (np.arange(patients) < round(prevalence * patients)).astype(float)
    own = rng.normal(size=patients)
    number = np.repeat(np.arange(patients), per_patient)
    logit = level + separation * (label[number] - 0.5) + 0.7 * own[number] + 0.7 * rng.normal(size=(2, number.size))
    facts = pd.DataFrame(
        {
            "site": side,
            "sex": np.where(rng.random(number.size) < 0.5, "F", "M"),
            "age_years": np.round(rng.normal(45, 12, number.size)),
            "view": "PA",
            "device": f"{side} machine",
            "release": f"{side}_release",
        }
    )
    return Films(
        side=side,
        title=f"{side} site",
        unit="by patient",
        sample_id=np.array([f"{side}/{row:04d}" for row in range(number.size)]),
        patient=np.array([f"{side}-{row:03d}" for row in number]),
        label=label[number],
        scores=1 / (1 + np.exp(-logit)),
        seed=np.array([0, 1]),
        facts=facts,
        features=rng.normal(size=(number.size, 4)).astype(np.float32),
    )


def cohort(**local: float) -> Cohort:
    """Draw both sides; the local one differs as the keywords of ``films`` say."""
    return Cohort("tuberculosis", "global-only", films("global"), films("local", **local), global_val=films("global", seed=1))
