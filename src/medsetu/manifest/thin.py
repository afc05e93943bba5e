# SPDX-License-Identifier: Apache-2.0
"""Fewer patients to learn from, for learning curves: nested, by patient, stratified by class, seeded; the test stays as it is."""

import pandas as pd

from medsetu.core.errors import ConfigError
from medsetu.manifest.assign import draw_number

LEARNED_FROM = ("train", "val")  # both spend labels


def keep_share(rows: pd.DataFrame, share: float, *, finding: str, seed: str | int) -> pd.DataFrame:
    """Keep a share of the patients of each class with all their samples: those of a share are among those of any larger share.

    Args:
        rows: Rows with ``group_id`` and the finding, of one part of a split.
        share: Share of the patients to keep, in (0, 1]; at least one of each class.
        finding: Finding that defines the classes; patients without a known label are a class of their own, which may be left out.
        seed: Seed; another seed is another draw.

    Returns:
        The rows of these patients, in the order of ``rows``.

    Raises:
        ConfigError: The share is outside (0, 1].

    Example:
        >>> rows = pd.DataFrame({"group_id": list("ppqrst"), "edema": [1.0, 1, 1, 0, 0, 0]})
        >>> len(keep_share(rows, 0.5, finding="edema", seed=0)["group_id"].unique())
        3
    """
    if not 0 < share <= 1:
        raise ConfigError(what=f"A share of {share:g} cannot be kept", where="Key curve", remedy="Give shares above 0 and at most 1")
    found = rows.groupby("group_id")[finding].max()
    kept: list[str] = []
    for members, least in ((found == 1, 1), (found == 0, 1), (found.isna(), 0)):
        ordered = sorted(found.index[members], key=lambda name: draw_number(seed, str(name)))
        kept += ordered[: max(least, int(share * len(ordered) + 0.5))]
    return rows[rows["group_id"].isin(kept)]


def thin(
    manifest: pd.DataFrame, assignment: "pd.Series[str]", *, domain: str, share: float, finding: str, seed: str | int
) -> "pd.Series[str]":
    """Leave out part of the training and validation patients of a side; every other sample stays where it stands.

    Args:
        manifest: Samples with ``group_id``, ``domain`` and the finding.
        assignment: sample_id -> split.
        domain: Side that is thinned.
        share: Share of its training patients, and of its validation patients, that are kept, in (0, 1].
        finding: Finding that defines the classes.
        seed: Seed; each part has its own draw.

    Returns:
        sample_id -> split, without the samples left out.

    Raises:
        ConfigError: The share is outside (0, 1].
    """
    split = manifest["sample_id"].map(assignment)
    dropped: set[str] = set()
    for part in LEARNED_FROM:
        rows = manifest[(manifest["domain"] == domain) & (split == part)]
        dropped |= set(rows["sample_id"]) - set(keep_share(rows, share, finding=finding, seed=f"{seed}/{part}")["sample_id"])
    return assignment[~assignment.index.isin(dropped)]


def count_learned(manifest: pd.DataFrame, assignment: "pd.Series[str]", *, domain: str) -> tuple[int, int]:
    """Count the patients and the samples of a side that training or validation may see.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["a", "b", "c"], "domain": "local", "group_id": ["p", "p", "q"]})
        >>> count_learned(rows, pd.Series({"a": "train", "b": "val", "c": "test"}), domain="local")
        (1, 2)
    """
    found = manifest[(manifest["domain"] == domain) & manifest["sample_id"].map(assignment).isin(LEARNED_FROM)]
    return int(found["group_id"].nunique()), len(found)
