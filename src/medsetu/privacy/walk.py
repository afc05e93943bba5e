# SPDX-License-Identifier: Apache-2.0
"""Audit a folder in several processes; a killed audit goes on where it stopped."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medsetu import __version__
from medsetu.core.errors import DataError
from medsetu.core.line import LineStore
from medsetu.core.run import content_key
from medsetu.core.worker import cores, run_batches
from medsetu.privacy.audit import Audited, Job, audit_batch, crashed, reference
from medsetu.privacy.path import audit_path
from medsetu.privacy.plan import AuditPlan
from medsetu.privacy.rule import KINDS, describe

SCHEMA = 1


@dataclass(frozen=True)
class FolderAudit:
    """What an audit says of a folder.

    Attributes:
        files: One row per file: ref, kind, findings, notices, reason.
        findings: One row per rule: rule, where, what, kind, counts, files, count, first (references).
        known: Files whose result was known from before.
    """

    files: pd.DataFrame
    findings: pd.DataFrame
    known: int

    @property
    def total(self) -> int:
        """Number of findings that count."""
        return int(self.findings.loc[self.findings["counts"], "count"].sum())

    @property
    def affected(self) -> int:
        """Number of files with at least one finding that counts."""
        return int((self.files["findings"] > 0).sum())

    @property
    def unreadable(self) -> int:
        """Number of files that could not be read."""
        return int((self.files["reason"] != "").sum())


def list_files(folder: Path, *, skip: Path | None = None) -> tuple[list[Path], list[Path]]:
    """List the files below a folder in a fixed order; links to folders are not followed.

    Args:
        folder: The folder, or one file.
        skip: A folder that is left out: where the report goes.

    Returns:
        Relative paths of the files, and of the links to folders.

    Raises:
        DataError: The folder is missing or empty.
    """
    if folder.is_file():
        return [Path(folder.name)], []
    left_out = skip.resolve() if skip else None
    files: list[Path] = []
    links: list[Path] = []
    for top, folders, names in os.walk(folder, followlinks=False):
        here = Path(top)
        folders[:] = sorted(name for name in folders if left_out is None or (here / name).resolve() != left_out)
        links += [(here / name).relative_to(folder) for name in folders if (here / name).is_symlink()]
        files += [(here / name).relative_to(folder) for name in sorted(names)]
    if not files:
        raise DataError(
            what="There is no file to audit" if folder.is_dir() else "The folder does not exist",
            where="Key folder",
            remedy="Correct the path: medsetu audit FOLDER",
        )
    return files, links


def locate(folder: Path, ref: str) -> Path | None:
    """Find the file behind a reference of a report.

    Args:
        folder: The audited folder.
        ref: Twelve hexadecimal digits.

    Returns:
        Its relative path; None when no file has this reference.
    """
    return next((path for path in list_files(folder)[0] if reference(path) == ref), None)


def audit_folder(
    folder: Path, *, plan: AuditPlan, workers: int = 0, store: LineStore[Audited] | None = None, skip: Path | None = None
) -> "Walk":
    """Begin the audit of a folder.

    Args:
        folder: The folder, or one file.
        plan: What is accepted.
        workers: Processes; 0 takes one per usable core.
        store: Where results are kept.
        skip: A folder that is left out.

    Returns:
        The audit, ready to run.

    Raises:
        DataError: The folder is missing or empty.
    """
    files, links = list_files(folder, skip=skip)
    top = folder.parent if folder.is_file() else folder
    settings = [SCHEMA, __version__, plan.stated]
    jobs = [Job(top / path, path, plan, _key(top / path, path, settings)) for path in files]
    return Walk(jobs, links, workers=workers or cores(), store=store or LineStore(None, Audited))


def _key(path: Path, relative: Path, settings: list[Any]) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return content_key([settings, relative.as_posix(), status.st_size, status.st_mtime_ns], length=32)


class Walk:
    """An audit that can be watched while it runs.

    Args:
        jobs: Files to audit.
        links: Links to folders, relative.
        workers: Processes.
        store: Where results are kept.
    """

    def __init__(self, jobs: Sequence[Job], links: Sequence[Path], *, workers: int, store: LineStore[Audited]) -> None:
        self._links, self._workers, self._store = links, workers, store
        known = store.load()
        self._done = {job.ref: known[job.key] for job in jobs if job.key in known}
        self.known = len(self._done)
        self._open = [job for job in jobs if job.key not in known]
        self._order = [job.ref for job in jobs]
        self.total = len(self._open)

    def run(self) -> Iterator[int]:
        """Audit what is not known yet.

        Yields:
            How many files were just done.
        """
        for batch in run_batches(self._open, audit_batch, lost=crashed, workers=self._workers):
            self._store.add([record for record in batch if not record.reason])  # what could not be read is asked again next time
            self._done |= {record.ref: record for record in batch}
            yield len(batch)

    def result(self) -> FolderAudit:
        """Sum up; call it after ``run`` is through."""
        links = [Audited(reference(path), "link", {"file/link": 1} | dict(audit_path(path))) for path in self._links]
        return summarise([*(self._done[ref] for ref in self._order), *links], known=self.known)


def summarise(records: Sequence[Audited], *, known: int = 0) -> FolderAudit:
    """Sum up results per file.

    Args:
        records: Results in the order of the files.
        known: How many were known from before.

    Returns:
        The audit; rules sorted by kind, the gravest first.
    """
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        for rule, count in record.found.items():
            row = rows.setdefault(rule, {**_in_words(rule), "files": 0, "count": 0, "first": []})
            row["files"] += 1
            row["count"] += count
            row["first"] = [*row["first"], record.ref][:3]
    ordered = sorted(rows.values(), key=lambda row: (KINDS.index(row["kind"]), -row["count"], row["rule"]))
    columns = ["rule", "where", "what", "kind", "counts", "files", "count", "first"]
    files = [
        {
            "ref": record.ref,
            "kind": record.kind,
            "findings": sum(count for rule, count in record.found.items() if describe(rule).counts),
            "notices": sum(count for rule, count in record.found.items() if not describe(rule).counts),
            "reason": record.reason,
        }
        for record in records
    ]
    return FolderAudit(
        pd.DataFrame(files, columns=["ref", "kind", "findings", "notices", "reason"]),
        pd.DataFrame(ordered, columns=columns).astype({"counts": bool, "count": "int64", "files": "int64"}),
        known,
    )


def _in_words(rule: str) -> dict[str, Any]:
    described = describe(rule)
    return {
        "rule": rule,
        "where": described.where,
        "what": described.what,
        "kind": described.kind,
        "counts": described.counts,
    }
