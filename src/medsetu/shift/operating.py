# SPDX-License-Identifier: Apache-2.0
"""The operating point that comes with the model: thresholds of the global validation films, carried to the test films of both sides."""

import numpy as np
import pandas as pd

from medsetu.evaluation.decision import ESTABLISHED, Fitted, Rule, fit_all
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.evaluation.transport import Draws, missing_threshold
from medsetu.shift.cohort import Cohort, Films
from medsetu.shift.plan import ShiftPlan

MEASURES = ("sensitivity", "specificity")
NO_VALIDATION = "no threshold: no validation films of the global side"


def rules_of(evaluation: EvaluationPlan) -> tuple[Rule, ...]:
    """Rules of the plan, in its order.

    Example:
        >>> [rule.name for rule in rules_of(EvaluationPlan(primary="tuberculosis"))]
        ['sensitivity_0.90', 'specificity_0.70', 'specificity_0.95']
    """
    kinds = (("sensitivity", evaluation.sensitivity_targets), ("specificity", evaluation.specificity_targets))
    found = [Rule(kind, float(target)) for kind, targets in kinds for target in targets]
    return (*found, *([Rule("youden")] if evaluation.youden else []))


def transported(cohort: Cohort, plan: ShiftPlan, *, evaluation: EvaluationPlan) -> list[Fitted]:
    """Choose the thresholds of the arm on the global validation films, and resample their patients.

    Args:
        cohort: Both sides; ``global_val`` is read.
        plan: Resamples and seed.
        evaluation: Rules of the thresholds.

    Returns:
        One entry per rule; empty without labelled validation films.
    """
    if cohort.global_val is None:
        return []
    return fit_all(
        _long(cohort.global_val.known()),
        rules=rules_of(evaluation),
        kind="transported",
        origin="val/global",
        replicates=plan.bootstrap,
        seed=plan.seed,
    )


def fixed(films: Films, *, value: float) -> Fitted:
    """A threshold that is given, not chosen: a probability at which one would treat.

    Args:
        films: Films whose seeds it applies to.
        value: The threshold, in [0, 1].

    Returns:
        The threshold, without resamples.
    """
    models = {(int(seed), -1): value for seed in films.seed}
    return Fitted("given", Rule("youden"), "the plan", models, {model: np.zeros(0) for model in models}, (0, 0, ESTABLISHED))


def draws(films: Films, fitted: Fitted, *, plan: ShiftPlan, stream: int) -> tuple[Draws | None, str]:
    """Carry thresholds to test films.

    Args:
        films: Films of one side; those without a label are left out.
        fitted: Thresholds of the same seeds.
        plan: Level and seed.
        stream: Which draws of the seed: one number per set of films.

    Returns:
        The draws, or None with the reason.
    """
    matrix = films.matrix
    reason = missing_threshold(matrix, fitted)
    if reason:
        return None, reason
    seed = int(np.random.SeedSequence([plan.seed, stream]).generate_state(1)[0])
    return Draws.make(matrix, fitted, level=plan.level, seed=seed), ""


def _long(films: Films) -> pd.DataFrame:
    """Validation films as a predictions table: one row per film and seed."""
    size = len(films)
    return pd.DataFrame(
        {
            "seed": np.repeat(films.seed, size),
            "fold": -1,
            "sample_id": np.tile(films.sample_id, films.seed.size),
            "patient_id": np.tile(films.patient, films.seed.size),
            "label": np.tile(films.label, films.seed.size),
            "score": films.scores.ravel(),
        }
    )
