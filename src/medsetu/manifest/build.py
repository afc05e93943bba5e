# SPDX-License-Identifier: Apache-2.0
"""From folders to a manifest: index every release, open every file once, settle duplicates, draw splits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.sample import DOMAINS
from medsetu.core.table import MANIFEST_COLUMNS, conform, read_table
from medsetu.manifest import leakage, overlap, split
from medsetu.manifest.drawing import drawing_notes
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.prepared import Prepared as Prepared
from medsetu.manifest.prepared import fingerprint, removed, stack
from medsetu.manifest.progress import working
from medsetu.manifest.quarantine import refuse_too_many
from medsetu.manifest.scan import cores
from medsetu.manifest.survey import survey
from medsetu.manifest.vote import check_consensus, decide, no_votes, rule_notes, votes_of
from medsetu.release.base import Release

FILLED = {"modality": "", "view": "", "laterality": "", "sex": "", "device": ""}  # facts the file may add where the release is silent
FROM_FILE = ("file_format", "color_mode", "height", "width", "bits", "spacing_mm", "file_bytes")


@dataclass
class _Indexed:
    samples: pd.DataFrame
    excluded: pd.DataFrame
    notes: list[str]
    votes: pd.DataFrame
    drawn: pd.DataFrame
    names: dict[str, str]


def build(
    sides: Mapping[str, Sequence[Release]],
    *,
    plan: SplitPlan,
    seed: int,
    workers: int | None = None,
    folder: Path | None = None,
    cache: Path | None = None,
) -> Prepared:
    """Build the manifest of a study.

    Args:
        sides: Releases by side: global, local, external.
        plan: What the recipe chose.
        seed: Seed of the splits.
        workers: Processes that open files; None takes one per usable core.
        folder: Where a refusal for too many unreadable files is listed; None lists it nowhere.
        cache: Where results per file are kept, so that a later call opens only what is new; None keeps nothing.

    Returns:
        The manifest with everything decided on the way.

    Raises:
        ConfigError: A side is unknown, or no release is named.
        DataError: Too many files are unreadable, sample ids repeat, or a side is too small.
        LeakageError: A patient stands on two sides.
        ResourceError: A result cannot be written.
    """
    indexed = _index(sides)
    indexed.samples, rules = decide(indexed.samples, indexed.votes, consensus=check_consensus(plan.consensus))
    told, pictures, speed = survey(indexed.samples, workers=cores() if workers is None else workers, cache=cache)
    unreadable = stack([removed(rows, str(reason)) for reason, rows in indexed.samples[told["reason"] != ""].groupby(told["reason"])])
    refuse_too_many(unreadable, indexed.samples, limit=plan.max_quarantine, folder=folder)
    readable = told["reason"] == ""
    manifest, notes = _with_facts(indexed.samples[readable], told[readable])
    indexed.samples = indexed.samples.head(0)  # of a million rows each copy of the table counts
    del told, readable
    pairs = leakage.find_pairs(manifest, pictures, near=plan.near)
    known = {name: read_table(Path(path)) for name, path in plan.known.items()}
    judged = overlap.judge(manifest, pairs, policy=plan.leakage, known=known, names=indexed.names)
    looked, settled = overlap.looked_at(manifest, known, judged), judged.settled
    manifest = settled.manifest.sort_values("sample_id", ignore_index=True)
    drawn = split.draw(manifest, plan=plan, seed=seed)
    manifest = conform(manifest.assign(split=split.split_column(manifest, drawn)), MANIFEST_COLUMNS, name="manifest")
    leakage.check_overlap(manifest, drawn.splits)
    votes = indexed.votes[indexed.votes["sample_id"].isin(manifest["sample_id"])].reset_index(drop=True)
    notes = [
        *indexed.notes,
        *rule_notes(rules),
        *drawing_notes(indexed.drawn, rule=plan.drawing),
        *notes,
        *_grouping_notes(manifest, indexed.notes),
        *_duplicate_notes(settled),
        *drawn.notes,
    ]
    facts = {"plan": asdict(plan), "seed": seed, "sides": _side_facts(manifest, drawn), "notes": list(dict.fromkeys(notes)), **speed}
    facts |= {"consensus": rules, "looked_at": looked}
    return Prepared(
        manifest=manifest,
        splits=drawn.splits,
        quarantine=stack([unreadable, settled.quarantine]),
        excluded=stack([indexed.excluded, settled.excluded]),
        duplicates=settled.duplicates,
        fingerprint=fingerprint(manifest, drawn.splits, votes),
        facts=facts,
        votes=votes,
        drawn=indexed.drawn,
        links=overlap.links(manifest, judged),
    )


def _index(sides: Mapping[str, Sequence[Release]]) -> _Indexed:
    for name in sides:
        if name not in DOMAINS:
            raise ConfigError(what=f"Side '{name}' is not known", where="Key sides", value=name, allowed=DOMAINS)
    samples, excluded, notes, votes, drawn = [], [], [], [], []
    names = overlap.names_of([release for releases in sides.values() for release in releases])
    for domain in DOMAINS:
        for release in sides.get(domain, ()):
            with working(f"Indexing {release.name}"):
                index = release.index()
            samples.append(index.samples.assign(domain=domain, root=str(release.root)))
            excluded.append(index.excluded.assign(release=release.name, domain=domain))
            votes.append(votes_of(index.readings, release=release.name))
            drawn.append(index.drawn)
            notes += [f"{release.name}: {note}" for note in index.notes]
    if not samples:
        raise ConfigError(what="No release is named", where="Key sides", remedy="Name at least one release on the global or local side")
    table = pd.concat(samples, ignore_index=True)
    repeated = table.loc[table["sample_id"].duplicated(), "sample_id"]
    if len(repeated):
        raise DataError(
            what=f"{len(repeated)} sample ids stand twice in the study",
            where=f"Sides {', '.join(table.loc[table['sample_id'] == repeated.iloc[0], 'domain'])}, first: {repeated.iloc[0]}",
            remedy="Name each release on one side only, and give two folders of one kind two names",
        )
    said = [rows for rows in votes if len(rows)]
    heard = pd.concat(said, ignore_index=True) if said else no_votes()
    return _Indexed(table, stack(excluded), notes, heard, pd.concat(drawn, ignore_index=True), names)


def _with_facts(samples: pd.DataFrame, files: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add what the files say; where the release says something else about a patient, the release is believed and the count noted."""
    table = samples.assign(
        **{name: files[name] for name in (*FROM_FILE, "sha256", "phash")},
        seen=samples["seen"].fillna("") if "seen" in samples else "",
        split="",
        group_id="",
    )
    notes = []
    for name, blank in FILLED.items():
        silent = table[name].fillna(blank) == blank
        differs = ~silent & (files[name] != blank) & (files[name] != table[name])
        notes += [f"{int(differs.sum())} files say another {name} than their release, which is believed"] if differs.any() else []
        table[name] = table[name].where(~silent, files[name].astype(table[name].dtype))
    table["age_years"] = table["age_years"].fillna(files["age_years"].astype("float64"))
    columns = [name for name in table.columns if name not in MANIFEST_COLUMNS]
    return conform(table, MANIFEST_COLUMNS, name="manifest").astype(dict.fromkeys(columns, "float64")), notes


def _side_facts(manifest: pd.DataFrame, drawn: split.Drawn) -> dict[str, Any]:
    facts = {}
    for domain, rows in manifest.groupby("domain"):
        grouping = {False: "patient", True: "image"}
        kinds = sorted({grouping[bool(missing)] for missing in rows["patient_id"].isna()})
        facts[str(domain)] = {
            "mode": drawn.modes[str(domain)],
            "grouping": kinds[0] if len(kinds) == 1 else "patient where known, else image",
            "releases": sorted(set(rows["release"])),
            "samples": len(rows),
            "groups": int(rows["group_id"].nunique()),
        }
    return facts


def _grouping_notes(manifest: pd.DataFrame, said: Sequence[str]) -> list[str]:
    """Say where the image, not the patient, is the unit, unless the release says so itself."""
    notes: list[str] = []
    for release, rows in manifest.groupby("release"):
        missing = int(rows["patient_id"].isna().sum())
        if any(note.startswith(f"{release}: No patient ids") for note in said):
            continue
        if missing == len(rows):
            notes.append(f"{release} has no patient ids: its samples are split and counted by image")
        elif missing:
            notes.append(f"{release}: {missing} of {len(rows)} samples have no patient id and are split and counted by image")
    return notes


def _duplicate_notes(settled: leakage.Settled) -> list[str]:
    counts = {str(kind): len(rows) for kind, rows in settled.duplicates.groupby("kind")}
    if not counts:
        return []
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return [f"Duplicate pairs found: {told}; {len(settled.excluded)} samples left for it, {len(settled.quarantine)} were quarantined"]
