# SPDX-License-Identifier: Apache-2.0
"""The manifest on disk: written once, verified at every load, and never silently replaced."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.run import sha256_file, write_json
from medsetu.core.table import MANIFEST_COLUMNS, conform, finding_columns, read_table, write_table
from medsetu.manifest.leakage import check_overlap
from medsetu.manifest.prepared import DUPLICATE_COLUMNS, REMOVED_COLUMNS, Prepared, fingerprint
from medsetu.manifest.quarantine import LISTING
from medsetu.manifest.vote import no_votes

FORMAT = 1
SUMMARY = "prepare.json"  # written last: a folder without it is not finished
TABLES = {
    "manifest": "manifest.parquet",
    "splits": "splits.parquet",
    "quarantine": LISTING,
    "excluded": "excluded.csv",
    "duplicates": "duplicates.csv",
}
VOTES = "votes.parquet"  # only where a release tells what each reader said
_TEXT = pd.StringDtype(na_value=float("nan"))


def save(prepared: Prepared, folder: Path) -> Path:
    """Freeze a manifest.

    Args:
        prepared: What was built.
        folder: Target; existing tables are replaced, the summary last.

    Returns:
        The folder.

    Raises:
        LeakageError: A group straddles a split.
        ResourceError: The disk is full, or the folder cannot be written; nothing half-written stays.
    """
    check_overlap(prepared.manifest, prepared.splits)
    paths = {name: write_table(getattr(prepared, name), folder / file) for name, file in TABLES.items()}
    if len(prepared.votes):
        paths["votes"] = write_table(prepared.votes, folder / VOTES)
    files = {path.name: sha256_file(path) for path in paths.values()}
    write_json(folder / SUMMARY, {"format": FORMAT, "fingerprint": prepared.fingerprint, "facts": prepared.facts, "files": files})
    return folder


def is_frozen(folder: Path) -> bool:
    """Tell whether a folder holds a finished manifest."""
    return (folder / SUMMARY).is_file()


def load(folder: Path) -> Prepared:
    """Load a frozen manifest, verifying every file, the fingerprint and that nothing straddles.

    Args:
        folder: What ``save`` wrote.

    Returns:
        The manifest.

    Raises:
        DataError: A file is missing or was changed.
        LeakageError: A group straddles a split.
    """
    summary = _summary(folder)
    for name, promised in summary["files"].items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != promised:
            raise DataError(
                what=f"The frozen file '{name}' is {'missing' if not path.is_file() else 'not the one that was written'}",
                where=str(folder),
                remedy=f"Restore it from a copy, or remove {folder / SUMMARY} and run `medsetu prepare` to freeze anew",
            )
    tables = {name: read_table(folder / file) for name, file in TABLES.items() if file.endswith(".parquet")}
    tables["manifest"] = conform(tables["manifest"], MANIFEST_COLUMNS, name="manifest")
    tables |= {name: _listing(folder / TABLES[name], REMOVED_COLUMNS) for name in ("quarantine", "excluded")}
    tables["duplicates"] = _listing(folder / TABLES["duplicates"], DUPLICATE_COLUMNS).astype(
        {"distance": "int64", "correlation": "float64"}
    )
    tables["votes"] = read_table(folder / VOTES) if VOTES in summary["files"] else no_votes()
    if fingerprint(tables["manifest"], tables["splits"], tables["votes"]) != summary["fingerprint"]:
        raise DataError(
            what="The frozen manifest does not have the fingerprint that was promised",
            where=str(folder),
            remedy=f"Restore the folder from a copy, or remove {folder / SUMMARY} and run `medsetu prepare` to freeze anew",
        )
    check_overlap(tables["manifest"], tables["splits"])
    return Prepared(**tables, fingerprint=summary["fingerprint"], facts=summary["facts"])


def freeze(prepared: Prepared, folder: Path) -> tuple[Prepared, bool]:
    """Save what was built, or return what was frozen before when it has the same content.

    Args:
        prepared: What was built now.
        folder: Where it is, or shall be, frozen.

    Returns:
        The frozen manifest, and whether it was there before.

    Raises:
        DataError: Another content is frozen there; the message counts what differs.
        ResourceError: The folder cannot be written.
    """
    if not is_frozen(folder):
        save(prepared, folder)
        return load(folder), False
    before = load(folder)
    if before.fingerprint == prepared.fingerprint and _rules(before) == _rules(prepared):  # a soft label may leave every class as it was
        return replace(before, manifest=prepared.manifest), True  # facts that decide no split (age, folder, seen) are those of today
    raise DataError(
        what=f"The data or the plan changed since the splits were frozen: {'; '.join(changes(before, prepared))}",
        where=str(folder),
        remedy=f"Give the former data and settings, or remove {folder / SUMMARY} to freeze anew; former runs then compare no more",
    )


def changes(before: Prepared, after: Prepared) -> list[str]:
    """Count what differs between two manifests, in words.

    Args:
        before: The frozen manifest.
        after: The one built now.

    Returns:
        Phrases such as "3 samples added"; one at least when the fingerprints differ.
    """
    old, new = (table.set_index("sample_id") for table in (before.manifest, after.manifest))
    both = old.index.intersection(new.index)
    told = {"samples added": len(new.index.difference(old.index)), "samples gone": len(old.index.difference(new.index))}
    findings = sorted(set(finding_columns(before.manifest)) ^ set(finding_columns(after.manifest)))
    told["findings added or gone"] = len(findings)
    shared = [name for name in finding_columns(before.manifest) if name not in findings]
    for words, columns in {"files with other bytes": ["sha256"], "labels changed": shared, "samples on another side": ["domain"]}.items():
        told[words] = _differing(old.loc[both, columns], new.loc[both, columns])
    told["samples in another group"] = _differing(old.loc[both, ["group_id"]], new.loc[both, ["group_id"]])
    told["votes of readers added or gone"] = len(_votes(before) ^ _votes(after))
    phrases = [f"{count} {words}" for words, count in told.items() if count]
    settings = {"seed": (before.facts.get("seed"), after.facts.get("seed"))}
    plans = [_plain(prepared.facts.get("plan", {})) for prepared in (before, after)]
    settings |= {f"manifest.{name}": (plans[0].get(name), plans[1].get(name)) for name in plans[1]}
    phrases += [f"{name} was {was} and is {now}" for name, (was, now) in settings.items() if was != now]
    return phrases or ["the samples are the same and are split differently"]


def _rules(prepared: Prepared) -> Any:  # noqa: ANN401 - a JSON-like value
    return _plain(prepared.facts.get("consensus", {}))


def _votes(prepared: Prepared) -> set[tuple[object, ...]]:
    return set(prepared.votes.itertuples(index=False, name=None))


def _differing(old: pd.DataFrame, new: pd.DataFrame) -> int:
    return int((~((old == new) | (old.isna() & new.isna()))).to_numpy().sum())


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Write data as JSON would give it back, so that tuples and lists compare equal."""
    return json.loads(json.dumps(value, default=str))


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY
    if not path.is_file():
        raise DataError(what="No frozen manifest is here", where=str(path), remedy="Run `medsetu prepare` first")
    try:
        summary: dict[str, Any] = json.loads(path.read_text())
        complete = {"format", "fingerprint", "facts", "files"} <= set(summary) and summary["format"] == FORMAT
    except (ValueError, TypeError):
        complete = False
    if not complete:
        raise DataError(
            what="The summary of a frozen manifest cannot be understood",
            where=str(path),
            remedy="Remove it and run `medsetu prepare` to freeze anew",
        )
    return summary


def _listing(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.read_csv(path, dtype=_TEXT, keep_default_na=False)[list(columns)]
