# SPDX-License-Identifier: Apache-2.0
"""Stratified assignment of whole groups to parts: seeded, and equal on every platform and library version."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.table import finding_columns


def draw_number(seed: str | int, name: str) -> int:
    """Draw a 64-bit number for a name: no generator state, so it depends neither on row order nor on the numpy version.

    Args:
        seed: Seed.
        name: What the number is for.

    Returns:
        A number in [0, 2**64).

    Example:
        >>> draw_number(0, "p1") == draw_number(0, "p1"), draw_number(0, "p1") == draw_number(1, "p1")
        (True, False)
    """
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{name}".encode(), digest_size=8).digest(), "big")


def strata(rows: pd.DataFrame) -> pd.DataFrame:
    """Count, per group, what should be spread evenly: samples of each release and site, and both classes of each finding in it.

    Args:
        rows: Rows with ``group_id``, ``release``, ``site`` and finding columns.

    Returns:
        int64 table, one row per group, one column per stratum; the first column counts all samples.
    """
    marks: dict[str, pd.Series] = {"": pd.Series(data=True, index=rows.index)}
    findings = finding_columns(rows)
    for release, of_release in rows.groupby("release", sort=True):
        inside = rows["release"] == release
        marks[f"{release}"] = inside
        sites = sorted(of_release["site"].unique())
        marks |= {f"{release}/{site}": inside & (rows["site"] == site) for site in sites if len(sites) > 1}
        for finding in findings:
            marks |= {f"{release} {finding}={value}": inside & (rows[finding] == value) for value in (0, 1)}
    place, groups = rows["group_id"].factorize(sort=True)
    counts = {name: np.bincount(place[mark.to_numpy(dtype=bool)], minlength=len(groups)) for name, mark in marks.items()}
    table = pd.DataFrame(counts, index=pd.Index(groups, name="group_id"), dtype="int64")
    return table.loc[:, (table > 0).any()]


def assign(table: pd.DataFrame, *, shares: Sequence[float], seed: str | int) -> pd.Series:
    """Give each group to a part by iterative stratification (Sechidis et al. 2011), on whole groups.

    The rarest stratum is dealt out first, each group to the part that still wants most of it.

    Args:
        table: Counts per group and stratum, the first column counting all samples.
        shares: Wanted share of each part; a part with share 0 stays empty.
        seed: Seed.

    Returns:
        Part of each group, 0 to len(shares) - 1.

    Example:
        >>> table = pd.DataFrame({"": [1] * 4, "edema=1": [1, 1, 0, 0]}, index=list("abcd"))
        >>> parts = assign(table, shares=[0.5, 0.5], seed=0)
        >>> sorted(parts[["a", "b"]]), sorted(parts[["c", "d"]])
        ([0, 1], [0, 1])
    """
    order = sorted(range(len(table)), key=lambda row: draw_number(seed, str(table.index[row])))
    counts = table.to_numpy()[order]
    wanted = np.outer(counts.sum(axis=0), np.asarray(shares, dtype=np.float64))
    wanted[:, np.asarray(shares) == 0] = -np.inf
    part = np.full(len(table), -1)
    while (part < 0).any():
        left = counts[part < 0].sum(axis=0)
        stratum = int(np.argmin(np.where(left > 0, left, np.iinfo(np.int64).max)))
        for row in np.flatnonzero((part < 0) & (counts[:, stratum] > 0)):
            part[row] = _most_wanting(wanted, stratum, tie=draw_number(seed, f"tie {table.index[order[row]]}"))
            wanted[:, part[row]] -= counts[row]
    return pd.Series(part, index=table.index[order]).reindex(table.index)


def _most_wanting(wanted: NDArray[np.float64], stratum: int, *, tie: int) -> int:
    parts = np.flatnonzero(wanted[stratum] == wanted[stratum].max())
    parts = parts[wanted[0, parts] == wanted[0, parts].max()]
    return int(parts[tie % len(parts)])


def classes(rows: pd.DataFrame, finding: str) -> pd.Series:
    """Tell the class of each patient (group): present when any of its samples is, absent when all known ones are.

    Args:
        rows: Rows with ``group_id`` and the finding.
        finding: Name of the finding.

    Returns:
        1.0 or 0.0 per group; groups without a known label are left out.

    Example:
        >>> classes(pd.DataFrame({"group_id": ["p", "p", "q"], "edema": [0.0, 1.0, float("nan")]}), "edema").to_dict()
        {'p': 1.0}
    """
    return rows.groupby("group_id")[finding].max().dropna()


def take_patients(frame: pd.DataFrame, k: int, *, finding: str, seed: int) -> pd.DataFrame:
    """Take k patients of each class with all their samples, for learning curves: the patients for k are among those for any larger k.

    Args:
        frame: Rows with ``group_id`` and the finding, normally the local training part.
        k: Number of patients per class, 0 or more.
        finding: Finding that defines the classes; patients without a known label are not taken.
        seed: Seed; another seed is another draw.

    Returns:
        The rows of these patients, in the order of ``frame``.

    Raises:
        ConfigError: k is negative.
        DataError: A class has fewer than k patients.

    Example:
        >>> frame = pd.DataFrame({"group_id": ["p", "p", "q", "r"], "edema": [1.0, 1.0, 0.0, 0.0]})
        >>> len(take_patients(frame, 1, finding="edema", seed=0)["group_id"].unique())
        2
    """
    if k < 0:
        raise ConfigError(what=f"{k} patients cannot be taken", where=f"Sampling for finding '{finding}'", remedy="Ask for 0 or more")
    known = classes(frame, finding)
    taken: list[str] = []
    for value, word in ((1.0, "present"), (0.0, "absent")):
        names = sorted(known.index[known == value], key=lambda name: draw_number(seed, str(name)))
        if len(names) < k:
            raise DataError(
                what=f"{k} patients with {finding} {word} are asked for, {len(names)} are there",
                where="Training part of the split",
                remedy=f"Ask for at most {len(names)} patients per class",
            )
        taken += names[:k]
    return frame[frame["group_id"].isin(taken)]
