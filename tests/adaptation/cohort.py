# SPDX-License-Identifier: Apache-2.0
"""Predictions of a study whose local side has another prevalence and another temperature."""

import numpy as np
import pandas as pd
from scipy import special


def part(n, *, domain, split, seed, prevalence=0.5, slope=1.0, offset=0.0, repeat=1, arm="global-only", seeds=(0,), distance=1.5):
    """Films of one side and split, scored by one model per seed; ``slope`` and ``offset`` spoil the logits of a Bayes posterior."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < prevalence).astype(float).repeat(repeat)
    x = rng.normal(0, 0.6, n).repeat(repeat) + rng.normal(0, 0.8, n * repeat) + distance * label
    logit = distance * x - distance**2 / 2 + special.logit(0.5)
    tables = []
    for number in seeds:
        noise = np.random.default_rng([seed, number, 1]).normal(0, 0.1, label.size)
        table = pd.DataFrame({"label": label, "score": special.expit(slope * (logit + noise) + offset)})
        names = [f"{domain}-{split}-{index}" for index in range(label.size)]
        patients = [f"{domain}-{split}-p{index // repeat}" for index in range(label.size)]
        facts = {"arm": arm, "seed": number, "fold": -1, "domain": domain, "split": split, "finding": "tuberculosis"}
        tables.append(table.assign(sample_id=names, patient_id=patients, **facts))
    return pd.concat(tables, ignore_index=True)


def study(n=200, *, val=100, prevalence=0.15, slope=1.0, offset=0.0, seed=0, seeds=(0,), repeat=1):
    """Global validation, local validation and local test of the arm global-only."""
    spoiled = {"prevalence": prevalence, "slope": slope, "offset": offset, "seeds": seeds, "repeat": repeat}
    return pd.concat(
        [
            part(300, domain="global", split="val", seed=10 + seed, seeds=seeds),
            part(val, domain="local", split="val", seed=20 + seed, **spoiled),
            part(n, domain="local", split="test", seed=30 + seed, **spoiled),
        ],
        ignore_index=True,
    )


def crossfit(predictions, *, folds=3, repeats=1):
    """Make the local side cross-fitted: all its films tested once, and the splits that go with it."""
    local = predictions["domain"] == "local"
    spoiled = predictions.assign(split=predictions["split"].where(~local, "test"))
    names = sorted(set(spoiled.loc[local, "sample_id"]))
    rows = []
    for repeat in range(repeats):
        place = np.random.default_rng(repeat).permutation(len(names)) % folds
        for fold in range(folds):
            splits = np.where(place == fold, "test", np.where(place == (fold + 1) % folds, "val", "train"))
            rows.append(pd.DataFrame({"sample_id": names, "domain": "local", "repeat": repeat, "fold": fold, "split": splits}))
    return spoiled, pd.concat(rows, ignore_index=True)
