# SPDX-License-Identifier: Apache-2.0
"""A table of scores as a peer would send it: binormal scores, both sides, test and validation; every id bears a name nothing may repeat."""

import numpy as np
import pandas as pd

SENTINEL = "ZZ^SENTINEL"


def score_table(
    *, patients: int = 40, per_patient: int = 1, prevalence: float = 0.4, separation: float = 1.0, seed: int = 0
) -> pd.DataFrame:
    """Draw scores, one row per film; the keywords after ``per_patient`` are those of the local side."""
    rng, parts = np.random.default_rng(seed), []
    for domain in ("global", "local"):
        share, apart = (prevalence, separation) if domain == "local" else (0.5, 2.0)
        for split in ("test", "val"):
            number = np.repeat(np.arange(patients), per_patient)
            label = (number < round(share * patients)).astype(float)
            logit = apart * (label - 0.5) + rng.normal(size=number.size)
            owner = pd.Series(number).map(lambda row, stem=f"{SENTINEL}-{domain}-{split}": f"{stem}-{row}")
            parts.append(
                pd.DataFrame(
                    {
                        "sample_id": owner + "-" + pd.Series(np.arange(number.size)).astype(str) + ".png",
                        "patient_id": owner,
                        "domain": domain,
                        "split": split,
                        "label": label,
                        "score": 1 / (1 + np.exp(-logit)),
                        "site": f"{domain} site",
                        "sex": np.where(rng.random(number.size) < 0.5, "F", "M"),
                        "age_years": np.round(rng.normal(45, 12, number.size)),
                        "view": np.where(rng.random(number.size) < 0.3, "AP", "PA"),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
