# SPDX-License-Identifier: Apache-2.0
"""Binormal scores of several contestants on the same films: patients share their difficulty, seeds add noise of their own."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from medsetu.contest.contestant import Contestant, gather
from medsetu.contest.plan import ContestPlan

PLAN = ContestPlan(finding="tuberculosis", bootstrap=100)
DELONG88 = [  # alb, tp, totscore, popind: DeLong 1988 as printed in the SAS example of PROC LOGISTIC
    *((3.0, 5.8, 10, 0), (3.2, 6.3, 5, 1), (3.9, 6.8, 3, 1), (2.8, 4.8, 6, 0), (3.2, 5.8, 3, 1)),
    *((0.9, 4.0, 5, 0), (2.5, 5.7, 8, 0), (1.6, 5.6, 5, 1), (3.8, 5.7, 5, 1), (3.7, 6.7, 6, 1)),
    *((3.2, 5.4, 4, 1), (3.8, 6.6, 6, 1), (4.1, 6.6, 5, 1), (3.6, 5.7, 5, 1), (4.3, 7.0, 4, 1)),
    *((3.6, 6.7, 4, 0), (2.3, 4.4, 6, 1), (4.2, 7.6, 4, 0), (4.0, 6.6, 6, 0), (3.5, 5.8, 6, 1)),
    *((3.8, 6.8, 7, 1), (3.0, 4.7, 8, 0), (4.5, 7.4, 5, 1), (3.7, 7.4, 5, 1), (3.1, 6.6, 6, 1)),
    *((4.1, 8.2, 6, 1), (4.3, 7.0, 5, 1), (4.3, 6.5, 4, 1), (3.2, 5.1, 5, 1), (2.6, 4.7, 6, 1)),
    *((3.3, 6.8, 6, 0), (1.7, 4.0, 7, 0), (3.7, 6.1, 5, 1), (3.3, 6.3, 7, 1), (4.2, 7.7, 6, 1)),
    *((3.5, 6.2, 5, 1), (2.9, 5.7, 9, 0), (2.1, 4.8, 7, 1), (2.8, 6.2, 8, 0), (4.0, 7.0, 7, 1)),
    *((3.3, 5.7, 6, 1), (3.7, 6.9, 5, 1), (3.6, 6.6, 5, 1)),
]


def delong88() -> pd.DataFrame:
    """The three markers as contestants of one seed: albumin, total protein and 10 - totscore, scaled into [0, 1]."""
    alb, tp, total, truth = (np.array(column, dtype=float) for column in zip(*DELONG88, strict=True))
    markers = {"alb": alb / 10, "tp": tp / 10, "kg": (10 - total) / 10}
    return pd.concat([rows(name, truth, score) for name, score in markers.items()], ignore_index=True)


def rows(
    arm: str, label, score, *, seed: int = 0, fold=-1, split: str = "test", domain: str = "local", owner=None, stem: str = ""
) -> pd.DataFrame:
    """Predictions of one model."""
    names = [f"{stem or split}{number:04d}" for number in range(len(label))]
    own = [f"p-{name}" for name in names] if owner is None else [f"p{stem or split}{one}" for one in owner]
    fixed = {"run": "r", "finding": "tuberculosis", "site": "NITRD", "sex": "", "age_years": np.nan, "view": "", "device": ""}
    facts = {"arm": arm, "seed": seed, "fold": fold, "sample_id": names, "patient_id": own, "domain": domain, "split": split}
    return pd.DataFrame({**fixed, **facts, "label": label, "score": score, "release": "nitrd", "seen": ""})


def field(
    skill: Mapping[str, float], *, per_class: int = 40, seeds: int = 1, val: int = 0, folds: int = 1, noise: float = 0.6, seed: int = 0
) -> pd.DataFrame:
    """Predictions of contestants whose classes lie ``skill`` apart, validation films of each model included where ``val`` is not 0."""
    rng = np.random.default_rng(seed)
    found = []
    for split, size in (("test", per_class), ("val", val)):
        label = np.tile([1.0, 0.0], size)
        own = rng.normal(size=label.size)
        fold = np.arange(label.size) // 2 % folds if folds > 1 else np.full(label.size, -1)
        for number in range(seeds):
            for arm, apart in skill.items():
                logit = apart * (label - 0.5) + 0.8 * own + noise * rng.normal(size=label.size)
                score = 1 / (1 + np.exp(-logit))
                if split == "test":
                    found.append(rows(arm, label, score, seed=number, fold=fold, split=split))
                elif size:
                    for one in np.unique(fold):
                        found.append(rows(arm, label, score, seed=number, fold=one, split=split))
    return pd.concat(found, ignore_index=True)


def contestants(predictions: pd.DataFrame, plan: ContestPlan = PLAN) -> list[Contestant]:
    """Contestants of a table."""
    return list(gather(predictions, plan).contestants)
