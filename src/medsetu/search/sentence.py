# SPDX-License-Identifier: Apache-2.0
"""What may be said of the winner of a search."""

from collections.abc import Sequence

from medsetu.search.flattery import Flattered
from medsetu.search.plan import SearchPlan
from medsetu.search.trial import FAILED, FINISHED, GIVEN_UP, Trial


def sentences(
    ended: Sequence[Trial], best: Trial, flattered: Flattered, *, monitor: str, fold: int | None, trials: SearchPlan
) -> list[str]:
    """Say what was found, how far it may be believed, and what to quote instead.

    Args:
        ended: All trials.
        best: The best one.
        flattered: How much it is flattered.
        monitor: Log key that judged the trials.
        fold: Fold of a cross-fitted side whose validation judged them; None where there are no folds.
        trials: How it was searched.

    Returns:
        Sentences.
    """
    counts = {state: sum(one.state == state for one in ended) for state in (FINISHED, GIVEN_UP, FAILED)}
    others = "".join(f", {count} {state}" for state, count in counts.items() if state != FINISHED and count)
    where = "" if fold is None else f" in fold {fold}"
    values = ", ".join(f"{key} = {value}" for key, value in best.values.items())
    told = [
        f"Trial {best.number} is best of {len(ended)} ({counts[FINISHED]} finished{others}): {monitor} {best.value:.4f}{where}, "
        f"with {values}.",
        _optimism(flattered, monitor=monitor, value=best.value),
    ]
    if counts[GIVEN_UP]:
        told.append(
            f"Trials that were given up ({trials.pruner}) take no part in this number; they too were looked at, so it is a lower end."
        )
    if fold is not None:
        told.append(
            f"Films that trained or chose the trials are test films of the other folds, so a cross-fitted test of the best recipe is "
            f"flattered too; the test films of fold {fold} have taken no part: `medsetu train ... fold={fold}`."
        )
    told.append("No test was opened. Quote no validation value as a result: study the best recipe.")
    return told


def _optimism(flattered: Flattered, *, monitor: str, value: float) -> str:
    if flattered.note:
        return f"How much the winner's validation value is optimistic cannot be said: {flattered.note}."
    honest = value + flattered.optimism if monitor.endswith("/loss") else value - flattered.optimism
    return (
        f"This value is optimistic: the best of {flattered.trials} trials looks {flattered.optimism:.4f} better than it is on these "
        f"{flattered.films} films of {flattered.patients} patients (nearer {honest:.4f}; {flattered.equal:.4f} if all trials were equal; "
        f"bootstrap of the argmax, {flattered.resamples} resamples). The choice of an epoch within each trial comes on top."
    )
