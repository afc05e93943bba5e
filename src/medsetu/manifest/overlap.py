# SPDX-License-Identifier: Apache-2.0
"""The leakage ledger: every link of a sample to another side, another part or the pretraining, how certain it is, and what was done."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.catalog.card import load_cards
from medsetu.catalog.relation import Relation, catalogue_name, related_pairs
from medsetu.core.errors import LeakageError
from medsetu.core.sample import DOMAINS
from medsetu.core.table import conform
from medsetu.manifest.leakage import EXACT, KEPT, PRECEDENCE, TAGGED, Settled, listed, settle
from medsetu.manifest.plan import DROP, REFUSE, LeakagePolicy
from medsetu.manifest.prepared import LINK_COLUMNS, removed, stack
from medsetu.release.base import Release
from medsetu.release.harmonised import kind_of

PATIENT, STUDY, LISTED, CATALOGUE, TOLD, BACKBONE = "patient", "study", "listed", "catalogue", "release", "backbone"
PROVEN, LIKELY, STATED, POSSIBLE = "proven", "likely", "stated", "possible"  # equal bytes or ids, alike, a release or card says so, may be
MARKED, COMPARED, GONE = "tagged", "pictures alike share one part", "the other left"
TESTED = ("test", "crossfit")  # parts of which every film is tested


@dataclass(frozen=True)
class Judged:
    """What was decided about leakage, before splits are drawn.

    Attributes:
        settled: What remains, ``seen`` filled in, and what left.
        before: ``sample_id, release, domain, patient_id, study_id`` of every sample, also those that left.
        told: ``seen`` as the releases say it themselves.
        listed: Samples in lists of pretraining, see ``medsetu.manifest.leakage.listed``.
        related: Releases that share images, says the catalogue.
    """

    settled: Settled
    before: pd.DataFrame
    told: pd.Series
    listed: pd.DataFrame
    related: Sequence[Relation]


def names_of(releases: Iterable[Release]) -> dict[str, str]:
    """Name each release as the catalogue does.

    Args:
        releases: Releases of a study.

    Returns:
        Name in the recipe -> name in the catalogue.
    """
    cards = load_cards()
    return {release.name: catalogue_name(release.name, kind_of(release), cards) for release in releases}


def judge(
    manifest: pd.DataFrame, pairs: pd.DataFrame, *, policy: LeakagePolicy, known: Mapping[str, pd.DataFrame], names: Mapping[str, str]
) -> Judged:
    """Refuse, drop or tag by the policy of the recipe.

    Args:
        manifest: Samples of all sides.
        pairs: Result of ``medsetu.manifest.leakage.find_pairs``.
        policy: What the recipe chose.
        known: Name of a pretraining list to a table with ``sha256``, ``phash`` (hexadecimal), or both.
        names: Release -> its name in the catalogue.

    Returns:
        What remains, and what was decided.

    Raises:
        LeakageError: Something was found that the policy refuses.
    """
    settled = settle(manifest, pairs, policy=policy)
    related = related_pairs({name: names[name] for name in manifest["release"].unique() if name in names}, load_cards())
    hits = listed(settled.manifest, known)
    _refuse_listed(settled.manifest, hits, policy)
    gone = settled.manifest["sample_id"].isin(hits["sample_id"]) & (policy.listed == DROP)
    left = [removed(settled.manifest[gone], "in a pretraining list")]
    rows, dropped = _without_relatives(settled.manifest[~gone], related, policy)
    told = rows["seen"]
    rows = rows.assign(seen=_seen(rows, settled.duplicates, hits, related))
    settled = replace(settled, manifest=rows, excluded=stack([settled.excluded, *left, *dropped]))
    return Judged(settled, manifest[["sample_id", "release", "domain", "patient_id", "study_id"]], told, hits, related)


def links(manifest: pd.DataFrame, judged: Judged) -> pd.DataFrame:
    """Write the ledger: a row for each link of each sample that stayed.

    Args:
        manifest: The finished manifest, with ``split``.
        judged: What was decided.

    Returns:
        ``LINK_COLUMNS``; distance in bits and correlation are NaN where no pictures were compared.
    """
    everyone = judged.before.merge(manifest[["sample_id", "split"]], on="sample_id", how="left")
    told = judged.told.set_axis(judged.settled.manifest["sample_id"])
    parts = [
        *(_same_id(manifest, everyone, unit=unit, rule=rule) for unit, rule in (("patient_id", PATIENT), ("study_id", STUDY))),
        _pictures(manifest, everyone, judged.settled.duplicates),
        _of_lists(manifest, judged.listed),
        *_of_relatives(manifest, judged.related),
        _of_releases(manifest, manifest["sample_id"].map(told)),
    ]
    return _ledger([part for part in parts if len(part)])


def backbone_links(manifest: pd.DataFrame, reasons: Mapping[str, str], *, weights: str) -> pd.DataFrame:
    """Write what the weights of the backbone may have seen: a row for each sample of such a release.

    Args:
        manifest: The manifest, with ``split``.
        reasons: Release -> why, as ``medsetu.catalog.weights.seen_releases`` says it.
        weights: Name of the weights.

    Returns:
        ``LINK_COLUMNS``.
    """
    rows = manifest[manifest["release"].isin(reasons)]
    certainty = rows["release"].map({name: POSSIBLE if reason.startswith("shares") else STATED for name, reason in reasons.items()})
    part = _rows(rows, rule=BACKBONE, action=MARKED).assign(other=weights, other_split="pretraining", certainty=certainty)
    return _ledger([part] if len(part) else [])


def ledger_table(ledger: pd.DataFrame) -> pd.DataFrame:
    """Count the ledger.

    Args:
        ledger: Rows of ``links`` and ``backbone_links``.

    Returns:
        ``rule, certainty, domain, release, other, action, rows, tested, groups``: samples, those that are tested, and their patients
        (images where there are no ids).
    """
    keys = ["rule", "certainty", "domain", "release", "other", "action"]
    once = ledger.drop_duplicates([*keys, "sample_id"])
    counted = once.assign(tested=once["split"].isin(TESTED)).groupby(keys, sort=False)
    return counted.agg(rows=("sample_id", "size"), tested=("tested", "sum"), groups=("group_id", "nunique")).reset_index()


def looked_at(manifest: pd.DataFrame, known: Mapping[str, pd.DataFrame], judged: Judged) -> dict[str, int]:
    """Count what was looked at, so that nothing found means something.

    Args:
        manifest: Samples of all sides, also those that left.
        known: Pretraining lists.
        judged: What was decided.

    Returns:
        Numbers of files, of patient and study ids, of entries in lists, of releases and of pairs of related ones.
    """
    entries = sum(len(table) for table in known.values())
    counts = {"files": len(manifest), "patient ids": manifest["patient_id"].nunique(), "study ids": manifest["study_id"].nunique()}
    return counts | {"entries": entries, "releases": manifest["release"].nunique(), "related": len(judged.related)}


def _refuse_listed(rows: pd.DataFrame, hits: pd.DataFrame, policy: LeakagePolicy) -> None:
    if policy.listed == REFUSE and len(hits):
        sides = sorted(set(rows.loc[rows["sample_id"].isin(hits["sample_id"]), "domain"]))
        raise LeakageError(
            rule="Samples stand in a pretraining list",
            splits=[*sides, *sorted(set(hits["list"]))],
            count=int(hits["sample_id"].nunique()),
            sample_ids=hits["sample_id"].tolist(),
        )


def _without_relatives(rows: pd.DataFrame, related: Sequence[Relation], policy: LeakagePolicy) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Refuse or drop releases that share images with one of a later side."""
    side = rows.drop_duplicates("release").set_index("release")["domain"]
    gone = []
    for relation in related:
        sides = {name: side[name] for name in (relation.release, relation.other) if name in side.index}
        if len(set(sides.values())) <= 1:  # both on one side, or one has left
            continue
        earlier, later = sorted(sides, key=lambda name: PRECEDENCE.index(sides[name]))
        own = rows[rows["release"] == earlier]
        if policy.catalogue == REFUSE:
            raise LeakageError(
                rule=f"{relation}, says the catalogue",
                splits=[sides[earlier], sides[later]],
                count=len(own),
                sample_ids=own["sample_id"].tolist(),
                remedy="Leave one of the two releases out, or set manifest.leakage.catalogue to drop or tag",
            )
        if policy.catalogue == DROP:
            gone.append(removed(own, f"release shares films with {later} of the {sides[later]} side, says the catalogue"))
            rows = rows[rows["release"] != earlier]
            side = side.drop(earlier)
    return rows, gone


def _seen(rows: pd.DataFrame, pairs: pd.DataFrame, hits: pd.DataFrame, related: Sequence[Relation]) -> pd.Series:
    """Add to ``seen`` what is tagged."""
    seen, ids = rows["seen"], rows["sample_id"]
    for name, own in hits.groupby("list", sort=False):
        seen = _add(seen, ids.isin(own["sample_id"]), f"in the pretraining list {name}")
    tagged = pairs[pairs["action"] == TAGGED]
    both = pd.DataFrame({"one": pd.concat([tagged["a"], tagged["b"]]), "other": pd.concat([tagged["b"], tagged["a"]])})
    side = both["other"].map(rows.set_index("sample_id")["domain"])
    for domain in DOMAINS:
        seen = _add(seen, ids.isin(both.loc[side == domain, "one"]), f"alike a film of the {domain} side")
    for relation, one, _, domain in _ends(rows, related):
        seen = _add(seen, rows["release"] == one, f"{relation}, says the catalogue") if domain else seen
    return seen


def _ends(rows: pd.DataFrame, related: Sequence[Relation]) -> Iterator[tuple[Relation, str, str, str]]:
    """Both ends of each relation between releases that stayed: relation, release, other release, and its side where that is another one."""
    side = rows.drop_duplicates("release").set_index("release")["domain"].to_dict()
    for relation in related:
        for one, other in ((relation.release, relation.other), (relation.other, relation.release)):
            if one in side and other in side:
                yield relation, one, other, side[other] if side[one] != side[other] else ""


def _add(seen: pd.Series, hit: pd.Series, words: str) -> pd.Series:
    return seen.where(~hit, (seen + "; ").where(seen != "", "") + words)


def _same_id(manifest: pd.DataFrame, everyone: pd.DataFrame, *, unit: str, rule: str) -> pd.DataFrame:
    """Samples that share a patient or a study with another, whether that stayed or left."""
    known = everyone.dropna(subset=[unit])
    count = known.groupby(unit)["sample_id"].transform("size")
    sides = known.groupby(unit)["domain"].transform("nunique")
    shared = known[count > 1].set_index("sample_id")
    rows = manifest[manifest["sample_id"].isin(shared.index)]
    apart = rows["sample_id"].map(sides.set_axis(known["sample_id"])) > 1
    action = np.where(apart, GONE, KEPT)
    place = known[[unit, "release", "domain"]].drop_duplicates()
    ends = rows.loc[apart, ["sample_id", unit, "domain"]].merge(place, on=unit, suffixes=("", "_there"))
    ends = ends[ends["domain"] != ends["domain_there"]].drop_duplicates("sample_id").set_index("sample_id")
    other, domain = (rows[name].to_numpy(object, copy=True) for name in ("release", "domain"))
    away = rows.loc[apart, "sample_id"]
    other[apart], domain[apart] = away.map(ends["release"]), away.map(ends["domain_there"])
    return _rows(rows, rule=rule, action=action).assign(other=other, other_domain=domain, certainty=PROVEN)


def _pictures(manifest: pd.DataFrame, everyone: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Both ends of every pair of equal or alike pictures."""
    facts = everyone.set_index("sample_id")[["release", "domain", "split"]]
    ends = []
    for one, other in (("a", "b"), ("b", "a")):
        end = pairs.rename(columns={one: "sample_id", other: "other_sample", "kind": "rule"})
        end = end[["sample_id", "other_sample", "rule", "distance", "correlation", "action"]]
        there = facts.reindex(end["other_sample"]).set_axis(end.index)
        end = end.assign(other=there["release"], other_domain=there["domain"], other_split=there["split"].fillna("left"))
        ends.append(end.assign(action=end["action"].where(end["action"].isin([KEPT, TAGGED]), GONE)))
    both = pd.concat(ends, ignore_index=True).merge(manifest[["sample_id", "release", "domain", "split", "group_id"]], on="sample_id")
    return both.assign(certainty=np.where(both["rule"] == EXACT, PROVEN, LIKELY))


def _of_lists(manifest: pd.DataFrame, hits: pd.DataFrame) -> pd.DataFrame:
    rows = hits.merge(manifest[["sample_id", "release", "domain", "split", "group_id"]], on="sample_id")
    part = _rows(rows, rule=LISTED, action=MARKED)
    return part.assign(other=rows["list"], other_split="pretraining", certainty=np.where(rows["same"], PROVEN, LIKELY))


def _of_relatives(manifest: pd.DataFrame, related: Sequence[Relation]) -> list[pd.DataFrame]:
    parts = []
    for _, one, other, domain in _ends(manifest, related):
        part = _rows(manifest[manifest["release"] == one], rule=CATALOGUE, action=MARKED if domain else COMPARED)
        parts.append(part.assign(other=other, other_domain=domain or part["domain"], certainty=POSSIBLE))
    return parts


def _of_releases(manifest: pd.DataFrame, told: pd.Series) -> pd.DataFrame:
    hit = told.fillna("") != ""
    return _rows(manifest[hit], rule=TOLD, action=MARKED).assign(other=told[hit], certainty=STATED)


def _rows(rows: pd.DataFrame, *, rule: str, action: str | NDArray[np.str_]) -> pd.DataFrame:
    return rows[["sample_id", "release", "domain", "split", "group_id"]].assign(rule=rule, action=action)


def _ledger(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    blank = {name: "" if kind == "str" else float("nan") for name, kind in LINK_COLUMNS.items()}
    filled = [part.assign(**{name: value for name, value in blank.items() if name not in part}) for part in parts]
    table = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(LINK_COLUMNS))
    return conform(table, LINK_COLUMNS, name="leakage")[list(LINK_COLUMNS)]
