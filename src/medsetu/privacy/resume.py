# SPDX-License-Identifier: Apache-2.0
"""A de-identification that was killed goes on: what is finished is believed only where its output is still the one that was written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medsetu import __version__
from medsetu.core.line import LineStore
from medsetu.core.run import content_key, sha256_file
from medsetu.privacy.audit import reference
from medsetu.privacy.deidentify import Cleaned, Cleaning, DeidentifyPlan

SCHEMA = 1
STORE = "cleaned.jsonl"  # beside the report; references, kinds and counts, neither a path nor a value


def keyed(jobs: Sequence[Cleaning]) -> list[Cleaning]:
    """Name the result of each file by its place, size, modification time, and all that was asked.

    Args:
        jobs: Files to de-identify, of one plan.

    Returns:
        The same files with keys; the key of the pseudonyms goes in as a hash under itself, and cannot be had back.
    """
    settings = _settings(jobs[0].plan) if jobs else []
    return [replace(job, key=_key(job, settings)) for job in jobs]


def finished(jobs: Sequence[Cleaning], folder: Path, store: LineStore[Cleaned]) -> dict[str, Cleaned]:
    """Tell what an earlier start has finished, and remove from its output whatever else lies there: what was under way when it ended.

    Nothing is removed from a folder in which no file is one that such a start has written.

    Args:
        jobs: Files to de-identify, with keys.
        folder: Output of the earlier start.
        store: What that start noted.

    Returns:
        Reference of the original -> what became of it; empty when there is nothing to go on from.
    """
    known = store.load() if folder.is_dir() else {}
    noted = {job.ref: known[job.key] for job in jobs if job.key in known}
    if not noted:
        return {}
    there = {reference(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    whole = {record.target for record in noted.values() if record.target in there and sha256_file(there[record.target]) == record.sha256}
    if not whole:
        return {}
    for ref, path in there.items():
        if ref not in whole:
            path.unlink()
    return {ref: record for ref, record in noted.items() if record.held or record.target in whole}


def _settings(plan: DeidentifyPlan) -> list[object]:
    proof = plan.pseudonyms.digest("resume", "").hex()
    return [SCHEMA, __version__, plan.audit.stated, sorted(plan.columns.items()), plan.gated, proof]


def _key(job: Cleaning, settings: list[object]) -> str:
    try:
        status = job.path.stat()
    except OSError:
        return ""
    return content_key([settings, job.relative.as_posix(), status.st_size, status.st_mtime_ns], length=32)
