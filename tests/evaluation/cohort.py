# SPDX-License-Identifier: Apache-2.0
"""A seeded predictions table as a study writes it: a fixed global side, a cross-fitted local side, three arms, several seeds."""

import numpy as np
import pandas as pd
from scipy.special import expit

from medsetu.core.table import PREDICTION_COLUMNS, conform

FOLDS = 5


def films(side: str, n: int, *, seed: int = 0, per_patient: int = 1, finding: str = "tuberculosis") -> pd.DataFrame:
    """Facts of films, half of the patients positive, ``signal`` what any model can see."""
    rng = np.random.default_rng([seed, len(side)])
    patient = np.arange(n) // per_patient
    label = (patient % 2).astype(float)
    return pd.DataFrame(
        {
            "sample_id": [f"{side}/{index:04d}.png" for index in range(n)],
            "patient_id": [f"p{side}{code}" for code in patient],
            "domain": side,
            "finding": finding,
            "label": label,
            "site": side,
            "sex": np.where(patient % 3 == 0, "F", "M"),
            "age_years": 15.0 + 60 * rng.random(n),
            "view": "PA",
            "device": "",
            "release": side,
            "seen": "",
            "signal": 2.0 * label + rng.normal(size=n // per_patient + 1)[patient] * 0.7 + rng.normal(size=n) * 0.7,
        }
    )


def scored(facts: pd.DataFrame, *, arm: str, seed: int, fold: int, split: str, noise: float = 0.5) -> pd.DataFrame:
    """One model's scores of some films."""
    rng = np.random.default_rng([seed, fold + 1, len(arm), len(split), len(facts)])
    score = expit(facts["signal"].to_numpy() - 1.0 + noise * rng.normal(size=len(facts)))
    return facts.assign(run=f"{arm}-{seed}", arm=arm, seed=seed, fold=fold, split=split, score=score)


def study(*, seeds: int = 3, n_global: int = 120, n_local: int = 104, per_patient: int = 1) -> pd.DataFrame:
    """Predictions of three arms: global-only is one model per seed, the others five folds per seed."""
    world, home, watch = (
        films("global", n_global, per_patient=per_patient),
        films("local", n_local, per_patient=per_patient),
        films("global", 80, seed=7),
    )
    watch = watch.assign(sample_id="val" + watch["sample_id"], patient_id="val" + watch["patient_id"])
    parts = []
    for seed in range(seeds):
        once = {"arm": "global-only", "seed": seed, "fold": -1}
        parts += [scored(watch, split="val", **once), scored(world, split="test", **once), scored(home, split="test", **once)]
        fold_of = np.random.default_rng(seed).permutation(n_local // per_patient) % FOLDS
        fold_of = fold_of[np.arange(n_local) // per_patient % fold_of.size]
        for fold in range(FOLDS):
            test, val = home[fold_of == fold], home[fold_of == (fold + 1) % FOLDS]
            for arm in ("local-only", "transfer"):
                one = {"arm": arm, "seed": seed, "fold": fold}
                parts += [scored(test, split="test", **one), scored(val, split="val", **one)]
                if arm == "transfer":
                    parts += [scored(world, split="test", **one), scored(watch, split="val", **one)]
    return conform(pd.concat(parts, ignore_index=True), PREDICTION_COLUMNS, name="predictions")
