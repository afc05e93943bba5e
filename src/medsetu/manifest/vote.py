# SPDX-License-Identifier: Apache-2.0
"""Votes of the readers, kept beside the manifest, and labels made of them by the rule that the recipe names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medsetu.core.errors import ConfigError
from medsetu.core.sample import pseudonym
from medsetu.core.vote import MAJORITY, POLICIES, checked_votes, policy_label
from medsetu.manifest.consensus import LEAST_READERS, dawid_skene

DAWID_SKENE, SOFT = "dawid_skene", "soft"
RULES = (*POLICIES, DAWID_SKENE, SOFT)
OWN = "own"  # the label is what the release says
ANY_NAME = "*"
MOST_NAMED = 4  # findings that a sentence names
VOTE_COLUMNS = {"sample_id": "str", "release": "str", "reader": "str", "finding": "str", "vote": "float64"}
DISAGREEMENT_COLUMNS = ("sample_id", "finding", "present", "absent", "label")

_TEXT = pd.StringDtype(na_value=float("nan"))

Consensus = str | Mapping[str, Any]


def no_votes() -> pd.DataFrame:
    """An empty table of votes.

    Example:
        >>> list(no_votes().columns)
        ['sample_id', 'release', 'reader', 'finding', 'vote']
    """
    return pd.DataFrame({name: pd.Series(dtype=_TEXT if kind == "str" else kind) for name, kind in VOTE_COLUMNS.items()})


def votes_of(readings: pd.DataFrame, *, release: str) -> pd.DataFrame:
    """Write the readings of a release as one row per film, reader and finding, with pseudonyms for the readers.

    Args:
        readings: ``sample_id``, ``reader`` and one column per finding: 1 seen, 0 read and not seen, NaN not read.
        release: Name of the release; equal names of readers of two releases stay two readers.

    Returns:
        A table with ``VOTE_COLUMNS``; what was not read has no row.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["s", "s"], "reader": ["Dr A", "Dr B"], "mass": [1.0, float("nan")]})
        >>> votes_of(rows, release="demo")[["sample_id", "finding", "vote"]].values.tolist()
        [['s', 'mass', 1.0]]
    """
    if readings.empty:
        return no_votes()
    name = {reader: reader_pseudonym(release, reader) for reader in readings["reader"].unique()}
    long = readings.melt(id_vars=["sample_id", "reader"], var_name="finding", value_name="vote").dropna(subset=["vote"])
    long = long.assign(release=release, reader=long["reader"].map(name))
    order = ["sample_id", "finding", "reader"]
    return long.sort_values(order, ignore_index=True).astype({key: _TEXT if kind == "str" else kind for key, kind in VOTE_COLUMNS.items()})[
        list(VOTE_COLUMNS)
    ]


def reader_pseudonym(release: str, reader: str) -> str:
    """Name a reader without telling who it is; equal names of two releases stay two readers.

    Example:
        >>> reader_pseudonym("a", "Dr A") == reader_pseudonym("a", "Dr A") != reader_pseudonym("b", "Dr A")
        True
    """
    return "r" + pseudonym(release, f"reader/{reader}")[1:9]


def check_consensus(consensus: Consensus) -> dict[str, Any]:
    """Write the rules of a recipe the long way, and refuse unknown ones.

    Args:
        consensus: One rule for all; or release to a rule, or to a mapping of finding to rule. ``*`` stands for any other name.

    Returns:
        Release to a rule, or to a mapping of finding to rule.

    Raises:
        ConfigError: A rule is unknown.

    Example:
        >>> check_consensus("majority"), check_consensus({"a": {"mass": "soft", "*": "majority"}})
        ({'*': 'majority'}, {'a': {'mass': 'soft', '*': 'majority'}})
    """
    if isinstance(consensus, str):
        consensus = {ANY_NAME: consensus}
    plain = {str(key): dict(rule) if isinstance(rule, Mapping) else rule for key, rule in consensus.items()}
    for rule in [rule for told in plain.values() for rule in (told.values() if isinstance(told, dict) else [told])]:
        if rule not in (*RULES, OWN):
            raise ConfigError(
                what=f"Votes are not read as '{rule}'", where="Key manifest.consensus", value=str(rule), allowed=[*RULES, OWN]
            )
    return plain


def rule_of(consensus: Mapping[str, Any], *, release: str, finding: str) -> str:
    """Say by which rule the votes on a finding become a label.

    Args:
        consensus: As ``check_consensus`` gives it.
        release: Name of the release.
        finding: Name of the finding.

    Returns:
        One of ``RULES``, or ``own`` where the recipe names none.

    Example:
        >>> rule_of({"a": {"mass": "soft"}, "*": "majority"}, release="a", finding="edema")
        'own'
    """
    told = consensus.get(release, consensus.get(ANY_NAME, OWN))
    return str(told.get(finding, told.get(ANY_NAME, OWN)) if isinstance(told, Mapping) else told)


def decide(samples: pd.DataFrame, votes: pd.DataFrame, *, consensus: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """Make labels of votes, finding by finding; a film nobody voted on keeps the label of its release.

    Args:
        samples: Rows with ``sample_id`` and finding columns.
        votes: Table with ``VOTE_COLUMNS``.
        consensus: As ``check_consensus`` gives it.

    Returns:
        The rows with these labels, and the rule that made them by release and finding. ``soft`` gives the majority here, for a test needs a
        class; ``to_learn`` gives the share of votes to training.

    Raises:
        ConfigError: The recipe names a release or a finding without votes, or asks ``dawid_skene`` of fewer than three readers.
        DataError: A vote is neither 1 nor 0.
    """
    _check_names(consensus, votes)
    table, rules = samples.copy(), dict[str, dict[str, str]]()
    for (release, finding), rows in votes.groupby(["release", "finding"], sort=True):
        rule = rules.setdefault(str(release), {})[str(finding)] = rule_of(consensus, release=str(release), finding=str(finding))
        if rule != OWN:
            label = fused(rows, rule=rule, where=f"Release '{release}', finding '{finding}'")
            found = table["sample_id"].map(label)
            table[finding] = found.where(table["sample_id"].isin(label.index), table[finding])
    return table, rules


def fused(rows: pd.DataFrame, *, rule: str, where: str) -> "pd.Series[float]":
    """Fuse the votes on one finding.

    Args:
        rows: ``sample_id``, ``reader``, ``vote`` of one release and finding.
        rule: One of ``RULES``.
        where: For messages.

    Returns:
        Label by sample: 1, 0, or NaN where the rule does not decide.

    Raises:
        ConfigError: ``dawid_skene`` with fewer than three readers.
        DataError: A vote is neither 1 nor 0.
    """
    table = rows.pivot(index="sample_id", columns="reader", values="vote").astype("float64")
    votes = checked_votes(table.to_numpy(), where=where)
    if rule != DAWID_SKENE:
        return pd.Series(policy_label(votes, MAJORITY if rule == SOFT else rule), index=table.index)
    if table.shape[1] < LEAST_READERS:
        raise ConfigError(
            what=f"The errors of {table.shape[1]} readers cannot be told apart",
            where=where,
            remedy=f"Choose another rule under manifest.consensus: {DAWID_SKENE} needs at least {LEAST_READERS} readers",
        )
    one_class = np.unique(votes[~np.isnan(votes)]).size < 2  # all readers say the same of all films
    return pd.Series(policy_label(votes, MAJORITY) if one_class else dawid_skene(votes).label, index=table.index)


def to_learn(
    manifest: pd.DataFrame, assignment: "pd.Series[str]", *, votes: pd.DataFrame, rules: Mapping[str, Mapping[str, str]]
) -> pd.DataFrame:
    """Give training films the share of their readers who saw a finding, where the rule is ``soft``; every other label stays.

    Args:
        manifest: Samples with findings.
        assignment: sample_id -> split; only ``train`` is changed, so that selection and tests know classes.
        votes: Table with ``VOTE_COLUMNS``.
        rules: Rule by release and finding, as ``decide`` gives it.

    Returns:
        The manifest itself where no rule is ``soft``; else a copy with labels in [0, 1].

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["s"], "mass": [1.0]})
        >>> said = pd.DataFrame({"sample_id": ["s"] * 4, "release": "a", "reader": list("wxyz"), "finding": "mass", "vote": [1, 1, 1, 0]})
        >>> to_learn(rows, pd.Series({"s": "train"}), votes=said, rules={"a": {"mass": "soft"}})["mass"].tolist()
        [0.75]
    """
    soft = [(release, finding) for release, told in rules.items() for finding, rule in told.items() if rule == SOFT]
    table = manifest.copy() if soft else manifest
    learned = table["sample_id"].map(assignment) == "train"
    for release, finding in soft:
        rows = votes[(votes["release"] == release) & (votes["finding"] == finding)]
        share = table["sample_id"].map(rows.groupby("sample_id")["vote"].mean())
        table[finding] = share.where(learned & share.notna(), table[finding])
    return table


def disagreements(votes: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """List the films on which readers differ, for a further reading; no fact of a patient.

    Args:
        votes: Table with ``VOTE_COLUMNS``.
        manifest: Samples with findings.

    Returns:
        ``sample_id, finding, present, absent, label``: counts of votes, and the label as it stands (NaN unknown).
    """
    counts = votes.groupby(["sample_id", "finding"])["vote"].agg(["sum", "size"]).reset_index()
    split = counts[(counts["sum"] > 0) & (counts["sum"] < counts["size"])]
    findings = [name for name in split["finding"].unique() if name in manifest]
    label = manifest[["sample_id", *findings]].melt("sample_id", var_name="finding", value_name="label")
    told = split.assign(present=split["sum"].astype("int64"), absent=(split["size"] - split["sum"]).astype("int64"))
    return told.merge(label, on=["sample_id", "finding"], how="left")[list(DISAGREEMENT_COLUMNS)].reset_index(drop=True)


def table_of_readers(votes: pd.DataFrame, *, finding: str) -> pd.DataFrame | None:
    """Votes on one finding as a table of films by readers.

    Args:
        votes: Table with ``VOTE_COLUMNS``.
        finding: Name of the finding.

    Returns:
        Index ``sample_id``, one column per reader, 1 / 0 / NaN; None where nobody voted.
    """
    rows = votes[votes["finding"] == finding]
    return None if rows.empty else rows.pivot(index="sample_id", columns="reader", values="vote").astype("float64")


def rule_notes(rules: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Say by which rule votes became labels, a sentence per release.

    Example:
        >>> rule_notes({"a": {"mass": "majority", "edema": "soft"}, "b": {"mass": "own"}})
        ['a: votes of readers became labels by majority (mass), soft (edema)']
    """
    notes = []
    for release, told in rules.items():
        by_rule = {rule: [name for name, other in told.items() if other == rule] for rule in dict.fromkeys(told.values()) if rule != OWN}
        parts = [f"{rule} ({_listed(names)})" for rule, names in by_rule.items()]
        notes += [f"{release}: votes of readers became labels by {', '.join(parts)}"] if parts else []
    return notes


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= MOST_NAMED else f"{len(names)} findings"


def _check_names(consensus: Mapping[str, Any], votes: pd.DataFrame) -> None:
    known = sorted(votes["release"].unique())
    for release, told in consensus.items():
        if release != ANY_NAME and release not in known:
            raise ConfigError(
                what=f"Release '{release}' has no votes of readers", where="Key manifest.consensus", value=release, allowed=known
            )
        findings = sorted(votes.loc[votes["release"] == release, "finding"].unique()) if release != ANY_NAME else votes["finding"].unique()
        for finding in told if isinstance(told, Mapping) else ():
            if finding != ANY_NAME and finding not in findings:
                raise ConfigError(
                    what=f"There are no votes on '{finding}'",
                    where=f"Key manifest.consensus.{release}",
                    value=str(finding),
                    allowed=[str(name) for name in findings],
                )
