# SPDX-License-Identifier: Apache-2.0
"""Votes of several readers read as one label, by a rule that is named."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError, DataError

Floats = NDArray[np.float64]
ANY, MAJORITY, UNANIMOUS = "any-positive", "majority", "unanimous"
POLICIES = (ANY, MAJORITY, UNANIMOUS)


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
    if policy == MAJORITY:
        label = np.where(share == 0.5, np.nan, (share > 0.5).astype(np.float64))
    else:
        label = (share > 0 if policy == ANY else share == 1).astype(np.float64)
    return np.where(np.isnan(share), np.nan, label)


def fuse_votes(readings: pd.DataFrame, *, key: str, findings: Sequence[str], policy: str) -> pd.DataFrame:
    """Fuse one row per film and reader into one row per film, finding by finding.

    Args:
        readings: Columns ``key``, ``reader`` and the findings: 1 seen, 0 read and not seen, NaN not read; rows in any order.
        key: Column that names the film.
        findings: Columns to fuse.
        policy: One of ``POLICIES``.

    Returns:
        One row per film in the order of the names, index ``key``; 1, 0 or NaN per finding.

    Raises:
        ConfigError: The policy is unknown.
        DataError: A reading is not 1, 0 or NaN.

    Example:
        >>> rows = pd.DataFrame({"film": ["s"] * 3, "reader": ["a", "b", "c"], "mass": [1, 0, 1]})
        >>> fuse_votes(rows, key="film", findings=["mass"], policy="majority").loc["s"].tolist()
        [1.0]
    """
    fused = {}
    for name in findings:
        votes = readings.pivot(index=key, columns="reader", values=name).astype(np.float64)
        fused[name] = pd.Series(policy_label(checked_votes(votes.to_numpy(), where=f"Finding '{name}'"), policy), index=votes.index)
    return pd.DataFrame(fused, columns=list(findings)).sort_index()


def checked_votes(votes: Floats, *, where: str) -> Floats:
    """Refuse votes that are none.

    Args:
        votes: (n, R) votes.
        where: For the message.

    Returns:
        The votes.

    Raises:
        DataError: One is neither 1, 0 nor NaN.
    """
    if not (np.isnan(votes) | np.isin(votes, (0.0, 1.0))).all():
        raise DataError(what="A reading is neither 1, 0 nor empty", where=where, remedy="Write 1 seen, 0 not seen, nothing for not read")
    return votes
