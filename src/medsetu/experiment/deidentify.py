# SPDX-License-Identifier: Apache-2.0
"""``medsetu deidentify``: a copy of a folder without what identifies patients, audited again before it gets its name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from medsetu.core.errors import ConfigError, DataError, PrivacyError, ResourceError
from medsetu.core.line import LineStore
from medsetu.core.lock import locked
from medsetu.core.number import whole
from medsetu.core.run import write_json
from medsetu.core.worker import cores, run_batches
from medsetu.experiment.audit import run_audit, settings_of
from medsetu.experiment.journal import journal
from medsetu.manifest.progress import progress
from medsetu.privacy.column import check_columns
from medsetu.privacy.deidentify import HOLD, REDACT, Cleaned, Cleaning, DeidentifyPlan, check_folders, clean_batch, lost
from medsetu.privacy.plan import audit_plan
from medsetu.privacy.pseudonym import load_key
from medsetu.privacy.resume import STORE, finished, keyed
from medsetu.privacy.walk import FolderAudit, list_files
from medsetu.report.audit_page import AuditReport, verdict, write_audit


@dataclass(frozen=True)
class Outcome:
    """What a de-identification did.

    Attributes:
        files: What became of every file.
        audit: The second audit, over the output.
        folder: Where the output lies: under its name when nothing was left, else beside it with ``.partial``.
    """

    files: Sequence[Cleaned]
    audit: FolderAudit
    folder: Path


def main(config: Mapping[str, Any]) -> None:
    """De-identify a folder into another one, audit the output, and refuse when anything is left.

    Args:
        config: Resolved configuration of ``configs/deidentify.yaml``.

    Raises:
        ConfigError: A key is wrong.
        DataError: The folder is missing or empty.
        PrivacyError: The second audit has a finding, or the key lies in one of the folders.
        ResourceError: The output is not empty or cannot be written.
    """
    source, out, report, key = (Path(str(config[name])).expanduser() for name in ("in", "out", "report", "key"))
    workers = whole(config, "workers")
    check_folders(source, out)
    with journal(None):
        plan = _plan(config, key=key, folders=(source, out))
        outcome = deidentify(source, out, plan=plan, workers=workers, report=report)
    console = Console()
    for line in summary(outcome):
        console.print(Text(line, overflow="fold"))
    if outcome.audit.total:
        raise PrivacyError(
            what=f"The second audit has {outcome.audit.total} findings in {outcome.audit.affected} files",
            where=f"Rules and counts stand in {report / 'audit.html'}; the output was not given its name",
            remedy="Look at the rules, adjust columns, retain or gated, remove the .partial folder, and start again",
        )


def deidentify(source: Path, out: Path, *, plan: DeidentifyPlan, workers: int, report: Path) -> Outcome:
    """De-identify a folder; the output gets its name only when the second audit finds nothing.

    Killed and started again with the same settings, it goes on with the files that are not finished.

    Args:
        source: Folder that is read, and never changed.
        out: Folder that is written.
        plan: What is asked.
        workers: Processes; 0 takes one per usable core.
        report: Folder of the audit's report and of ``deidentify.json``.

    Returns:
        What was done.

    Raises:
        DataError: There is no file, or nothing could be written.
        ResourceError: The output cannot be written.
    """
    try:
        alone = locked(report / "deidentify.lock")
    except OSError as error:
        raise ResourceError(
            what=f"The report cannot be written ({error.strerror})", where="Key report", remedy="Correct the path or its permissions"
        ) from error
    with alone:  # a second start would take what this one is writing for what a killed one left
        check_folders(source, out)
        return _deidentify(source, out, plan=plan, workers=workers, report=report)


def _deidentify(source: Path, out: Path, *, plan: DeidentifyPlan, workers: int, report: Path) -> Outcome:
    partial = out.with_name(out.name + ".partial")
    store = LineStore(report / STORE, Cleaned)
    jobs = keyed([Cleaning(source / path, path, partial, plan) for path in list_files(source)[0]])
    done = finished(jobs, partial, store)
    check_folders(source, partial, going_on=bool(done))
    rest = [job for job in jobs if job.ref not in done]
    with progress(len(rest), label="De-identifying") as advance:
        for batch in run_batches(rest, clean_batch, lost=lost, workers=workers or cores()):
            store.add(batch)
            done |= {record.ref: record for record in batch}
            advance(len(batch))
    files = [done[job.ref] for job in jobs]
    write_json(report / "deidentify.json", _told(files, plan))
    if all(record.held for record in files):
        raise DataError(
            what=f"All {len(files)} files were held back, most: {_most(files)}",
            where=f"Reasons stand in {report / 'deidentify.json'}",
            remedy="Look at the files by hand, or choose gated=redact knowingly",
        )
    audit = run_audit(partial, plan=plan.audit, workers=workers, output=None)
    write_audit(AuditReport(audit=audit, day=datetime.now(UTC).date(), settings=settings_of(plan.audit)), report)
    if not audit.total:
        try:
            partial.rename(out)
        except OSError as error:
            raise ResourceError(
                what=f"The output cannot be given its name ({error.strerror})", where="Key out", remedy="Rename the .partial folder"
            ) from error
        store.forget()
        return Outcome(files, audit, out)
    return Outcome(files, audit, partial)


def summary(outcome: Outcome) -> list[str]:
    """Say what was done, without a value and without a file name of the input."""
    held = [record for record in outcome.files if record.held]
    painted = sum(record.painted for record in outcome.files)
    moved = sum(record.renamed for record in outcome.files)
    reasons = Counter(record.held for record in held)
    return [
        f"Written {len(outcome.files) - len(held)} of {len(outcome.files)} files, {len(held)} held back.",
        f"Lines of text painted over: {painted}.",
        *(f"  {number} held back: {reason}" for reason, number in reasons.most_common()),
        *([f"Renamed, as their path told of a patient: {moved}. Tables that name such files no longer find them."] if moved else []),
        f"Second audit: {verdict(outcome.audit)}",
        f"Output: {outcome.folder}",
    ]


def _most(files: Sequence[Cleaned]) -> str:
    return Counter(record.held for record in files).most_common(1)[0][0]


def _plan(config: Mapping[str, Any], *, key: Path, folders: tuple[Path, ...]) -> DeidentifyPlan:
    if config["gated"] not in (HOLD, REDACT):
        raise ConfigError(what="An unknown way with gated images", where="Key gated", value=str(config["gated"]), allowed=(HOLD, REDACT))
    audit = audit_plan(retain=config["retain"], safe_private=config["safe_private"], pixels=bool(config["pixels"]))
    columns = check_columns({str(name): str(action) for name, action in (config["columns"] or {}).items()})
    return DeidentifyPlan(audit, load_key(key, away_from=folders), columns, str(config["gated"]))


def _told(files: Sequence[Cleaned], plan: DeidentifyPlan) -> dict[str, Any]:
    return {
        "written": sum(not record.held for record in files),
        "held": [{"ref": record.ref, "kind": record.kind, "reason": record.held} for record in files if record.held],
        "painted": {record.ref: record.painted for record in files if record.painted},
        "renamed": sum(record.renamed for record in files),
        "settings": settings_of(plan.audit) | {"gated": plan.gated},
    }
