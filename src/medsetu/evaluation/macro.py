# SPDX-License-Identifier: Apache-2.0
"""Mean AUROC over a list of findings frozen in the recipe, with one joint variance by patient."""

from collections.abc import Mapping

import numpy as np

from medsetu.evaluation.delong import MINIMUM_CLASS, claim_note, seed_spread
from medsetu.evaluation.interval import NAN, Estimate, join_notes, logit_interval, satterthwaite
from medsetu.evaluation.kernel import kernel_parts
from medsetu.evaluation.score import ScoreMatrix


def macro_auroc(matrices: Mapping[str, ScoreMatrix], *, level: float = 0.95) -> Estimate:
    """Mean AUROC over findings; one undefined finding makes it undefined.

    The contributions of a patient to all findings are added before they are squared, so that findings read on the same patients are not
    taken as independent.

    Args:
        matrices: Matrix of each finding, models with the same seeds.
        level: Confidence level in (0, 1).

    Returns:
        The estimate; NaN with the reason where a finding has fewer than 10 positive or 10 negative patients.
    """
    parts = {name: kernel_parts(matrix.label, matrix.scores, cluster=matrix.cluster) for name, matrix in matrices.items()}
    patients = np.unique(np.concatenate([np.array([], dtype=str), *(matrix.patient for matrix in matrices.values())]))
    samples = np.unique(np.concatenate([np.array([], dtype=str), *(matrix.sample_id for matrix in matrices.values())]))
    counts = (patients.size, samples.size, sum(part.n_positive for part in parts.values()))
    for name, part in parts.items():
        if min(part.positive_patients, part.negative_patients) < MINIMUM_CLASS or part.constant:
            reason = "a constant score" if part.constant else f"fewer than {MINIMUM_CLASS} positive or negative patients"
            return Estimate(NAN, NAN, NAN, *counts, "", f"macro undefined: finding {name} has {reason}")
    if not parts:
        return Estimate(NAN, NAN, NAN, *counts, "", "macro undefined: no findings are named")
    influence, by_seed, freedom = np.zeros(patients.size), [], []
    for name, matrix in matrices.items():
        mean = parts[name].averaged(matrix.seed)
        influence[np.searchsorted(patients, np.unique(matrix.patient))] += (mean.positive + mean.negative)[0] / len(parts)
        by_seed.append(seed_spread(parts[name].auroc, seed=matrix.seed).by_seed)
        freedom.append(float(mean.degrees()[0]))
    spread = seed_spread(np.mean(by_seed, axis=0))
    value = float(spread.by_seed.mean())
    variance = float((influence**2).sum() * patients.size / (patients.size - 1))
    df = satterthwaite(variance, min(freedom), spread=(spread.variance, spread.count - 1))
    low, high = logit_interval(value, variance + spread.variance, df=df, level=level)
    method = f"logit-t, joint by patient over {len(parts)} findings"
    return Estimate(value, float(low), float(high), *counts, method, join_notes(claim_note(spread.count), f"mean of {', '.join(parts)}"))
