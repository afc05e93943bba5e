# SPDX-License-Identifier: Apache-2.0
"""The manifest with everything that was decided on the way to it, and the fingerprint of its content."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from medsetu.core.table import finding_columns
from medsetu.manifest.vote import no_votes, to_learn
from medsetu.release.drawing import no_drawings

REMOVED_COLUMNS = ("sample_id", "release", "domain", "reason")
DUPLICATE_COLUMNS = ("a", "b", "kind", "distance", "correlation", "action")
SPLIT_COLUMNS = {"sample_id": "str", "domain": "str", "repeat": "int64", "fold": "int64", "split": "str"}
LINK_COLUMNS = {  # of the leakage ledger
    "sample_id": "str",
    "release": "str",
    "domain": "str",
    "split": "str",
    "group_id": "str",
    "rule": "str",  # patient, study, exact, near, inverted, mirrored, mirrored and inverted, listed, catalogue, release, backbone
    "other": "str",  # release, pretraining list or weights at the other end
    "other_sample": "str",  # "" where no single sample is known
    "other_domain": "str",
    "other_split": "str",  # "" where it is the same or not known, "left" where that sample left, "pretraining"
    "certainty": "str",  # proven, likely, stated, possible
    "distance": "float64",  # bits
    "correlation": "float64",
    "action": "str",
}
FIXED = -1  # repeat and fold of a side that is not cross-fitted

_TEXT = pd.StringDtype(na_value=float("nan"))


@dataclass(frozen=True)
class Prepared:
    """Who is in, on which side, and what was left out.

    Attributes:
        manifest: One row per sample: ``MANIFEST_COLUMNS``, then one float64 column per finding.
        splits: Long table ``sample_id, domain, repeat, fold, split``; repeat and fold are -1 where a side is not cross-fitted.
        quarantine: Files that cannot be used, with the reason: ``sample_id, release, domain, reason``.
        excluded: Samples left out by rule, with the reason: same columns.
        duplicates: Pairs ``a, b``, their kind (exact, near, inverted, mirrored, both), distance in bits, correlation, and what was done.
        fingerprint: Hash of sample ids, file hashes, labels, groups and splits; equal content has an equal fingerprint.
        facts: Plan, seed, counts, notes, and how fast the files were read.
        links: The leakage ledger, ``LINK_COLUMNS``; not frozen, because cards and lists of what was seen may grow.
        votes: What each reader said, ``medsetu.manifest.vote.VOTE_COLUMNS``; empty where no release tells.
        drawn: What was drawn, as the releases keep it, ``medsetu.release.drawing.DRAWN_COLUMNS``: not frozen and not in the fingerprint,
            for nothing is trained on it; ``medsetu.manifest.drawing`` places it on the films.
    """

    manifest: pd.DataFrame
    splits: pd.DataFrame
    quarantine: pd.DataFrame
    excluded: pd.DataFrame
    duplicates: pd.DataFrame
    fingerprint: str
    facts: dict[str, Any] = field(default_factory=dict)
    votes: pd.DataFrame = field(default_factory=no_votes)
    drawn: pd.DataFrame = field(default_factory=no_drawings)
    links: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(LINK_COLUMNS), dtype=_TEXT))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a reader of any later table should know."""
        return tuple(self.facts.get("notes", ()))

    def learned(self, assignment: "pd.Series[str]") -> pd.DataFrame:
        """Samples with the labels that training learns from: where the rule is ``soft``, the share of readers on training films."""
        return to_learn(self.manifest, assignment, votes=self.votes, rules=self.facts.get("consensus", {}))


def removed(rows: pd.DataFrame, reason: str) -> pd.DataFrame:
    """List samples that leave, with one reason.

    Args:
        rows: Rows with sample_id, release and domain.
        reason: Why they leave; a rule, so that equal reasons can be counted.

    Returns:
        A table with ``REMOVED_COLUMNS``.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["a/1"], "release": ["a"], "domain": ["local"]})
        >>> removed(rows, "unreadable").values.tolist()
        [['a/1', 'a', 'local', 'unreadable']]
    """
    return rows[["sample_id", "release", "domain"]].assign(reason=reason)[list(REMOVED_COLUMNS)].astype(_TEXT)


def stack(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join lists of removed samples; an empty sequence gives an empty table with the right columns.

    Example:
        >>> list(stack([]).columns)
        ['sample_id', 'release', 'domain', 'reason']
    """
    empty = pd.DataFrame(columns=list(REMOVED_COLUMNS), dtype=_TEXT)
    return pd.concat([empty, *tables], ignore_index=True)


def fingerprint(manifest: pd.DataFrame, splits: pd.DataFrame, votes: pd.DataFrame | None = None) -> str:
    """Hash what decides a study: samples, their bytes, labels, groups, splits, and votes where there are any.

    Order of rows and columns does not matter.

    Args:
        manifest: Manifest with finding columns.
        splits: Splits table.
        votes: Votes of readers; None for none.

    Returns:
        64 hexadecimal digits (SHA-256).

    Example:
        >>> manifest = pd.DataFrame({"sample_id": ["a"], "sha256": ["0"], "domain": ["local"], "group_id": ["a"], "edema": [1.0]})
        >>> splits = pd.DataFrame({"sample_id": ["a"], "repeat": [-1], "fold": [-1], "split": ["test"]})
        >>> fingerprint(manifest, splits) == fingerprint(manifest.assign(edema=0.0), splits)
        False
    """
    findings = sorted(finding_columns(manifest))
    rows = manifest.sort_values("sample_id")[["sample_id", "sha256", "domain", "group_id", *findings]]
    cells = splits.sort_values(["sample_id", "repeat", "fold"])[["sample_id", "repeat", "fold", "split"]]
    digest = hashlib.sha256("\x1f".join(findings).encode())
    said = [] if votes is None or votes.empty else [votes.sort_values(["sample_id", "finding", "reader"])[["sample_id", "finding", "vote"]]]
    for table in (rows, cells, *said):
        text = table.to_csv(index=False, header=False, lineterminator="\n")
        digest.update(b"\x1e" + text.encode())
    return digest.hexdigest()
