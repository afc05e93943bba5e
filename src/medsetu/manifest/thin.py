# SPDX-License-Identifier: Apache-2.0
"""Fewer patients to learn from, for learning curves: nested, by patient, stratified by class, seeded; the test stays as it is."""

from collections.abc import Sequence

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
    kept: list[str] = []
    for ordered, least in zip(_ordered(rows, finding=finding, seed=seed), (1, 1, 0), strict=True):
        kept += ordered[: max(least, int(share * len(ordered) + 0.5))]
    return rows[rows["group_id"].isin(kept)]


def _ordered(rows: pd.DataFrame, *, finding: str, seed: str | int) -> tuple[list[str], list[str], list[str]]:
    """Put the patients with the finding, without it, and with no known label each into the order in which they are drawn."""
    found = rows.groupby("group_id")[finding].max()
    with_it, without, unknown = (
        sorted(map(str, found.index[members]), key=lambda name: draw_number(seed, name))
        for members in (found == 1, found == 0, found.isna())
    )
    return with_it, without, unknown


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


def thin_to(
    manifest: pd.DataFrame, assignment: "pd.Series[str]", *, domain: str, patients: int, finding: str, seed: str | int
) -> "pd.Series[str]":
    """Keep k patients per class of a side whose labels are spent, training and validation together; the rest stays where it stands.

    The k patients of a class are parted between training and validation as all its patients are, with at least one on each side; those of
    a smaller k are among those of any larger one, on the same side. Patients without a known label are left out.

    Args:
        manifest: Samples with ``group_id``, ``domain`` and the finding; a patient keeps all samples.
        assignment: sample_id -> split.
        domain: Side that is thinned.
        patients: k, at least 2.
        finding: Finding that defines the classes, by the worst label of a patient.
        seed: Seed; each part has its own draw.

    Returns:
        sample_id -> split, without the samples left out.

    Raises:
        ConfigError: k is below 2, or a class has fewer patients.
    """
    split = manifest["sample_id"].map(assignment)
    rows = {part: manifest[(manifest["domain"] == domain) & (split == part)] for part in LEARNED_FROM}
    ordered = {part: _ordered(rows[part], finding=finding, seed=f"{seed}/{part}")[:2] for part in LEARNED_FROM}
    kept: set[str] = set()
    for train, val in zip(*ordered.values(), strict=True):
        own = shots_of(patients, train=len(train), val=len(val))
        kept |= {*train[: own[0]], *val[: own[1]]}
    dropped = {name for part in rows.values() for name in part.loc[~part["group_id"].astype(str).isin(kept), "sample_id"]}
    return assignment[~assignment.index.isin(dropped)]


def shots_of(patients: int, *, train: int, val: int) -> Sequence[int]:
    """Part k patients of a class between training and validation.

    Args:
        patients: k.
        train: Patients of the class in training.
        val: Patients of the class in validation.

    Returns:
        Patients for training and for validation; neither ever falls when k rises.

    Raises:
        ConfigError: k is below 2, or above what there is.

    Example:
        >>> [shots_of(k, train=33, val=8) for k in (2, 4, 8, 32)]
        [(1, 1), (3, 1), (6, 2), (26, 6)]
    """
    if patients < 2 or patients > train + val:
        raise ConfigError(
            what=f"{patients} local patients per class cannot be drawn",
            where="Key shots",
            remedy=f"Give 2 to {train + val}: the smallest class has {train} patients in training and {val} in validation",
        )
    share = int(patients * val / (train + val) + 0.5)
    chosen = max(min(1, val), patients - train, min(share, val, patients - 1))
    return patients - chosen, chosen


def count_learned(manifest: pd.DataFrame, assignment: "pd.Series[str]", *, domain: str) -> tuple[int, int]:
    """Count the patients and the samples of a side that training or validation may see.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["a", "b", "c"], "domain": "local", "group_id": ["p", "p", "q"]})
        >>> count_learned(rows, pd.Series({"a": "train", "b": "val", "c": "test"}), domain="local")
        (1, 2)
    """
    found = manifest[(manifest["domain"] == domain) & manifest["sample_id"].map(assignment).isin(LEARNED_FROM)]
    return int(found["group_id"].nunique()), len(found)
