# SPDX-License-Identifier: Apache-2.0
"""The same patient or picture twice: found within and across releases, kept together, and never on two sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from medsetu.core.errors import LeakageError
from medsetu.core.sample import EXTERNAL, GLOBAL, LOCAL
from medsetu.core.table import finding_columns
from medsetu.manifest.alike import Sketches
from medsetu.manifest.neighbour import near_pairs
from medsetu.manifest.plan import REFUSE, TAG, LeakagePolicy, Similarity
from medsetu.manifest.prepared import DUPLICATE_COLUMNS, FIXED, removed, stack
from medsetu.manifest.similarity import MIRROR, NEGATIVE
from medsetu.manifest.spool import Pictures

UNCONFIRMED = 4  # bits: 3 of the 932,295 pairs of 1,366 distinct films are as close as this, so a hash alone may be believed
PRECEDENCE = (GLOBAL, LOCAL, EXTERNAL)  # a sample leaves the earlier side when the later one has it too

KEPT, TAGGED = "kept in one group", "kept on both sides and tagged"
EXACT, NEAR, INVERTED, MIRRORED, TURNED = "exact", "near", "inverted", "mirrored", "mirrored and inverted"
CHANGES = {NEAR: 0, INVERTED: NEGATIVE, MIRRORED: MIRROR, TURNED: MIRROR ^ NEGATIVE}  # bits of the hash that each change turns

_TEXT = pd.StringDtype(na_value=float("nan"))


@dataclass(frozen=True)
class Settled:
    """What remains after duplicates were dealt with.

    Attributes:
        manifest: Remaining samples with ``group_id``.
        quarantine: Pairs of equal files with contradicting labels.
        excluded: Copies, and samples that stand on a later side too.
        duplicates: All pairs, with what was done.
    """

    manifest: pd.DataFrame
    quarantine: pd.DataFrame
    excluded: pd.DataFrame
    duplicates: pd.DataFrame


def find_pairs(manifest: pd.DataFrame, thumbnails: Pictures, *, near: Similarity) -> pd.DataFrame:
    """Find equal files by SHA-256 and near duplicates, also negatives and mirror images, by perceptual hash, confirmed on the thumbnails.

    Args:
        manifest: Rows with ``sample_id``, ``sha256`` and ``phash``.
        thumbnails: (n, 32, 32), in row order: an array, or what reads them when they are asked for.
        near: When two pictures count as near duplicates.

    Returns:
        ``a, b, kind, distance, correlation, action`` with an empty action; equal files are paired with the first of them only.
    """
    first = manifest.groupby("sha256", sort=False)["sample_id"].transform("first")
    copies = manifest["sample_id"] != first
    exact = pd.DataFrame({"a": first[copies], "b": manifest.loc[copies, "sample_id"], "kind": EXACT, "distance": 0, "correlation": 1.0})
    single = np.flatnonzero(~copies.to_numpy())
    hashes = _hashes(manifest["phash"].iloc[single])
    sketches = Sketches(thumbnails, single)
    found = [exact]
    for kind in CHANGES:
        table = _alike(hashes, sketches, kind=kind, near=near)
        names = {side: manifest["sample_id"].take(single[table[side]]).to_numpy() for side in ("a", "b")}
        found.append(table.assign(**names, kind=kind))
    pairs = pd.concat([table for table in found if len(table)] or [exact], ignore_index=True).drop_duplicates(["a", "b"], ignore_index=True)
    return pairs.assign(action="").astype({"distance": "int64", "correlation": "float64"})[list(DUPLICATE_COLUMNS)]


def _alike(hashes: NDArray[np.uint64], sketches: Sketches, *, kind: str, near: Similarity) -> pd.DataFrame:
    """Near pairs of one kind that look alike: places ``a`` and ``b``, ``distance`` and ``correlation``, in a fixed order."""
    mirror, negative = kind in (MIRRORED, TURNED), kind in (INVERTED, TURNED)
    least = near.mirrored if mirror else near.correlation
    found = [pd.DataFrame({"a": [], "b": [], "distance": [], "correlation": []}).astype({"a": "int64", "b": "int64"})]
    for left, right, bits in near_pairs(hashes, distance=near.distance, mask=CHANGES[kind]):
        sure, alike = sketches.alike(left, right, least=least, mirror=mirror, negative=negative)
        found.append(pd.DataFrame({"a": left[sure], "b": right[sure], "distance": bits[sure], "correlation": alike}))
    return pd.concat(found[1:] or found, ignore_index=True).sort_values(["a", "b"], ignore_index=True)


def group(manifest: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Name the unit that never straddles splits: samples joined by patient, study or duplicate.

    Args:
        manifest: Rows with ``sample_id``, ``patient_id`` and ``study_id`` (both may be missing).
        pairs: Duplicates ``a, b``.

    Returns:
        Group of each row: the smallest patient id (study id, sample id where there is none) in it.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["1", "2", "3"], "patient_id": ["p", "p", None], "study_id": None})
        >>> group(rows, pd.DataFrame({"a": ["2"], "b": ["3"]})).tolist()
        ['p', 'p', 'p']
    """
    position = pd.Series(np.arange(len(manifest)), index=manifest["sample_id"])
    links = [(position[pairs["a"]].to_numpy(), position[pairs["b"]].to_numpy())]
    names = manifest[["patient_id", "study_id", "sample_id"]].astype(_TEXT)
    for column in ("patient_id", "study_id"):
        known = np.flatnonzero(names[column].notna())
        first = pd.Series(known).groupby(names[column].iloc[known].to_numpy()).transform("first").to_numpy()
        links.append((known, first.astype(np.intp)))
    rows, columns = (np.concatenate(side) for side in zip(*links, strict=True))
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(manifest), len(manifest)))
    _, component = connected_components(graph, directed=False)
    name = names["patient_id"].fillna(names["study_id"]).fillna(names["sample_id"])
    order = pd.DataFrame({"component": component, "nameless": manifest["patient_id"].isna().to_numpy(), "name": name.to_numpy()})
    best = order.sort_values(["component", "nameless", "name"]).groupby("component")["name"].first()
    return pd.Series(best.reindex(component).to_numpy(), index=manifest.index, dtype=name.dtype)


def settle(manifest: pd.DataFrame, pairs: pd.DataFrame, *, policy: LeakagePolicy) -> Settled:
    """Decide on every duplicate, and on every patient and study that stands on two sides.

    Equal files with contradicting labels are quarantined, all of them. What stands on two sides is refused, or leaves the earlier one
    (global before local before external) with all films of its group. Of equal files on one side the first stays. Near duplicates stay,
    in one group; those on two sides too where the policy only tags them, each in the group of its own side.

    Args:
        manifest: Samples of all sides.
        pairs: Result of ``find_pairs``.
        policy: What the recipe chose for patients, studies, equal files and near duplicates.

    Returns:
        What remains, and what was decided.

    Raises:
        LeakageError: Something stands on two sides that the policy refuses there.
    """
    contradicting = _contradicting(manifest)
    apart = _across(manifest, pairs)
    _refuse_across(manifest, pairs[apart & ~pairs["a"].isin(manifest.loc[contradicting, "sample_id"])], policy)
    tagged = apart & (pairs["kind"] != EXACT) & (policy.near == TAG)
    manifest = manifest.assign(group_id=group(manifest, pd.concat([pairs[~tagged], _own_copies(manifest, pairs[tagged])])))
    later = _on_a_later_side(manifest.loc[~contradicting], unit="group_id")
    patient, study = (_on_a_later_side(manifest, unit=unit) != "" for unit in ("patient_id", "study_id"))
    leaving = manifest.loc[later[later != ""].index]
    words = (patient | study)[leaving.index].map({True: "patient or study of", False: "duplicate, or patient of a duplicate, of"})
    excluded = [removed(rows, str(reason)) for reason, rows in leaving.groupby(words + " a " + later[leaving.index] + " sample")]
    rest = manifest.loc[~contradicting].drop(index=leaving.index)
    copies = rest["sha256"].duplicated()
    excluded.append(removed(rest.loc[copies], "exact copy of another sample"))
    quarantine = removed(manifest.loc[contradicting], "equal files with contradicting labels")
    left_out = stack(excluded)
    actions = pd.concat([left_out, quarantine]).set_index("sample_id")["reason"]
    told = _with_actions(pairs, actions)
    told.loc[tagged & (told["action"] == KEPT), "action"] = TAGGED
    return Settled(rest.loc[~copies], quarantine, left_out, told)


def check_overlap(manifest: pd.DataFrame, splits: "pd.DataFrame | pd.Series[str]") -> None:
    """Refuse a manifest in which a group or a patient stands on two sides, or in two parts of one split.

    Args:
        manifest: Rows with ``sample_id, domain, group_id, patient_id``.
        splits: Splits table, or one cell of it (sample_id -> split).

    Raises:
        LeakageError: Something straddles.
    """
    facts = manifest[["sample_id", "group_id", "patient_id", "domain"]]
    if isinstance(splits, pd.Series):
        one = splits.rename("split").rename_axis("sample_id").reset_index()
        splits = one.assign(repeat=FIXED, fold=FIXED)
    rows = splits[["sample_id", "repeat", "fold", "split"]].merge(facts, on="sample_id", how="left")
    for unit in ("group_id", "patient_id"):
        _refuse_straddling(manifest, unit=unit, keys=[], part="domain")
        _refuse_straddling(rows, unit=unit, keys=["domain", "repeat", "fold"], part="split")


def listed(manifest: pd.DataFrame, known: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Find the samples that stand in lists of what weights have seen in pretraining.

    Args:
        manifest: Rows with ``sample_id``, ``sha256`` and ``phash``.
        known: Name of the pretraining list to a table with ``sha256``, ``phash`` (hexadecimal), or both.

    Returns:
        One row per sample and list that holds it: ``sample_id``, ``list``, and ``same``: whether the bytes are, or the hash alone is alike.
    """
    found = [pd.DataFrame({"sample_id": manifest["sample_id"].iloc[:0], "list": "", "same": False})]
    for name, table in known.items():
        same = manifest["sha256"].isin(table["sha256"].dropna()) if "sha256" in table else pd.Series(data=False, index=manifest.index)
        alike = pd.Series(data=False, index=manifest.index)
        if "phash" in table:
            hashes = [_hashes(column.dropna()) for column in (manifest["phash"], table["phash"])]
            for kind in (NEAR, INVERTED):  # without its picture a mirror image is not believed: 6 pairs of distinct films are as close
                for rows, _, _ in near_pairs(hashes[0], hashes[1], distance=UNCONFIRMED, mask=CHANGES[kind]):
                    alike.iloc[rows] = True
        hit = same | alike
        found.append(pd.DataFrame({"sample_id": manifest.loc[hit, "sample_id"], "list": name, "same": same[hit]}))
    return pd.concat(found, ignore_index=True)


def _hashes(texts: pd.Series) -> NDArray[np.uint64]:
    return np.frombuffer(bytes.fromhex("".join(texts)), dtype=">u8").astype(np.uint64)


def _across(manifest: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Mark the pairs whose two samples stand on two sides."""
    side = manifest.set_index("sample_id")["domain"]
    return pairs["a"].map(side).ne(pairs["b"].map(side))


def _own_copies(manifest: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Pair, for near duplicates on two sides, each of them with an equal file of the other that stands on its own side."""
    facts = manifest.set_index("sample_id")[["sha256", "domain"]]
    first = manifest.drop_duplicates(["sha256", "domain"]).set_index(["sha256", "domain"])["sample_id"]
    found = []
    for one, other in (("a", "b"), ("b", "a")) if len(pairs) else ():
        wanted = pd.MultiIndex.from_arrays([pairs[other].map(facts["sha256"]), pairs[one].map(facts["domain"])])
        found.append(pd.DataFrame({"a": pairs[one].to_numpy(), "b": first.reindex(wanted).to_numpy()}).dropna())
    return pd.concat(found) if found else pairs[["a", "b"]]


def _refuse_across(manifest: pd.DataFrame, pairs: pd.DataFrame, policy: LeakagePolicy) -> None:
    """Refuse what the policy refuses on two sides."""
    for unit, rule in (("patient_id", policy.patient), ("study_id", policy.study)):
        if rule == REFUSE:
            _refuse_straddling(manifest, unit=unit, keys=[], part="domain")
    exact = pairs["kind"] == EXACT
    for rule, rows, words in (
        (policy.exact, pairs[exact], "An equal file stands on two sides"),
        (policy.near, pairs[~exact], "A picture stands on two sides"),
    ):
        if rule == REFUSE and len(rows):
            own = manifest[manifest["sample_id"].isin(pd.concat([rows["a"], rows["b"]]))]
            earlier = own[own["domain"] != max(own["domain"], key=PRECEDENCE.index)]
            raise LeakageError(rule=words, splits=sorted(set(own["domain"])), count=len(earlier), sample_ids=earlier["sample_id"].tolist())


def _refuse_straddling(rows: pd.DataFrame, *, unit: str, keys: Sequence[str], part: str) -> None:
    distinct = rows.dropna(subset=[unit]).drop_duplicates([*keys, unit, part])
    twice = distinct[distinct.duplicated([*keys, unit], keep=False)]
    if len(twice):
        name = {"patient_id": "A patient", "study_id": "A study"}.get(unit, "A patient or a set of duplicates")
        raise LeakageError(
            rule=f"{name} stands in two {'sides' if part == 'domain' else 'parts of a split'}",
            splits=sorted(set(twice[part].astype(str))),
            count=int(twice[unit].nunique()),
            sample_ids=twice["sample_id"].tolist(),
        )


def _contradicting(manifest: pd.DataFrame) -> pd.Series:
    """Mark equal files of which one says present and another absent."""
    findings = finding_columns(manifest)
    labels = manifest.groupby("sha256")[findings]
    return (labels.transform("max") > labels.transform("min")).any(axis=1)


def _on_a_later_side(manifest: pd.DataFrame, *, unit: str) -> pd.Series:
    """Name, for samples whose group (patient, study) stands on a later side too, that side; empty for all others."""
    rank = manifest["domain"].map({name: place for place, name in enumerate(PRECEDENCE)})
    last = rank.groupby(manifest[unit]).transform("max")
    return last.map(dict(enumerate(PRECEDENCE))).where(rank < last, "")


def _with_actions(pairs: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    first, second = (pairs[side].map(reasons).astype(_TEXT).fillna("") for side in ("a", "b"))
    left = [(first != "") & (second != ""), first != "", second != ""]
    action = np.select(left, ["both left: " + second, "a left: " + first, "b left: " + second], KEPT)
    return pairs.assign(action=action)
