# SPDX-License-Identifier: Apache-2.0
"""A pool of the counterfactual benchmark that nobody has drawn: every effect is a number."""

import numpy as np
import pandas as pd

from medsetu.shift.counterfactual import Pool


def pool(*, films: int = 400, columns: int = 3, seed: int = 0) -> Pool:
    """Draw scores that know the finding, less so in the second acquisition, and that rise with the marker.

    Args:
        films: Films of the pool, half of them with the finding, half of them AP; AP films look less ill.
        columns: Features; the first is the logit of the score, the second the acquisition, the others noise.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    number = np.arange(films)
    present, bedside = number % 2 == 1, number % 4 < 2
    state, marker = np.array([0.0, 1.0])[:, None, None], np.array([0.0, 1.0])[None, :, None]
    own = rng.normal(size=films)
    looks = own + (1.8 - 0.7 * state) * (1 - 0.4 * bedside) * (present - 0.5) + marker
    features = np.stack([looks, np.broadcast_to(3 * state + rng.normal(size=films), looks.shape)], axis=-1)
    noise = np.broadcast_to(rng.normal(size=(films, columns - 2)), (2, 2, films, columns - 2))
    facts = pd.DataFrame({"sex": np.where(rng.random(films) < 0.5, "F", "M"), "age_years": rng.normal(50, 15, films).round()})
    facts = facts.assign(view=np.where(bedside, "AP", "PA"), site="")
    return Pool(number, present, facts, 1 / (1 + np.exp(-looks)), np.concatenate([features, noise], axis=-1).astype(np.float32))
