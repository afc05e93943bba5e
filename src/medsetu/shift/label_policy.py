# SPDX-License-Identifier: Apache-2.0
"""What the AUROC becomes when the votes of several readers are read as a label in another way."""

from collections.abc import Mapping

import numpy as np

from medsetu.core.errors import ConfigError
from medsetu.evaluation.delong import difference_from, estimate_from
from medsetu.evaluation.interval import Estimate, Floats
from medsetu.evaluation.kernel import KernelParts, kernel_parts
from medsetu.shift.cohort import Films

POLICIES = ("any-positive", "majority", "unanimous")
AGREEMENT = 0.95  # share of labels a policy must reproduce before it is called the policy of a side


def policy_label(votes: Floats, policy: str) -> Floats:
    """Read votes as labels.

    Args:
        votes: (n, R) 1 / 0 / NaN of R readers.
        policy: ``any-positive`` (one vote is enough), ``majority`` (more than half of those who voted; a tie is unknown) or
            ``unanimous`` (all who voted).

    Returns:
        (n,) 1.0, 0.0, or NaN where nobody voted.

    Raises:
        ConfigError: The policy is unknown.

    Example:
        >>> votes = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
        >>> [policy_label(votes, name).tolist() for name in POLICIES]
        [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    if policy not in POLICIES:
        raise ConfigError(what=f"The label policy '{policy}' is unknown", where="label policy", value=policy, allowed=POLICIES)
    cast = (~np.isnan(votes)).sum(axis=1)
    share = np.divide(np.nansum(votes, axis=1), cast, out=np.full(len(votes), np.nan), where=cast > 0)
    if policy == "majority":
        label = np.where(share == 0.5, np.nan, (share > 0.5).astype(np.float64))
    else:
        label = (share > 0 if policy == "any-positive" else share == 1).astype(np.float64)
    return np.where(np.isnan(share), np.nan, label)


def policy_of(films: Films) -> tuple[str, float]:
    """Policy that reproduces the labels of a side best, and the share of labels it reproduces.

    Args:
        films: Films of a side.

    Returns:
        Policy and share; ("", NaN) without votes of two readers, or where no policy reproduces 95 % of the labels; a tie goes to the
        majority.
    """
    if films.votes is None or films.votes.shape[1] < 2:
        return "", float("nan")
    found = {}
    for name in ("majority", "any-positive", "unanimous"):
        label = policy_label(films.votes, name)
        known = ~np.isnan(label) & ~np.isnan(films.label)
        found[name] = float((label[known] == films.label[known]).mean()) if known.any() else 0.0
    best = max(found, key=lambda name: found[name])
    return (best, found[best]) if found[best] >= AGREEMENT else ("", found[best])


def policy_aurocs(films: Films, *, level: float) -> dict[str, Estimate]:
    """AUROC of a side under each label policy.

    Args:
        films: Films of a side with votes.
        level: Confidence level.

    Returns:
        Policy to AUROC; empty without votes of two readers.
    """
    return {name: estimate_from(parts, seed=films.seed, level=level) for name, parts in _parts(films).items()}


def policy_gaps(sides: tuple[Films, Films], *, level: float) -> dict[str, Estimate]:
    """Gap with both sides labelled by the same policy.

    Args:
        sides: Films of the global and the local side.
        level: Confidence level.

    Returns:
        Policy to G - L; empty where a side lacks votes.
    """
    first, second = (_parts(films) for films in sides)
    seeds = (sides[0].seed, sides[1].seed)
    return {name: difference_from(first[name], second[name], paired=False, seeds=seeds, level=level) for name in first if name in second}


def _parts(films: Films) -> Mapping[str, KernelParts]:
    if films.votes is None or films.votes.shape[1] < 2:
        return {}
    labels = {name: policy_label(films.votes, name) for name in POLICIES}
    return {name: kernel_parts(label, films.scores, cluster=films.cluster) for name, label in labels.items()}
