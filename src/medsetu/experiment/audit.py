# SPDX-License-Identifier: Apache-2.0
"""``medsetu audit``: what in a folder could identify a patient, by rule and count, and never by value."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from medsetu.core.errors import DataError, PrivacyError
from medsetu.core.line import LineStore
from medsetu.core.number import whole
from medsetu.experiment.journal import journal
from medsetu.manifest.progress import progress
from medsetu.privacy.audit import Audited
from medsetu.privacy.plan import AuditPlan, audit_plan
from medsetu.privacy.walk import FolderAudit, audit_folder, locate
from medsetu.report.audit_page import AuditReport, verdict, write_audit

STORE = "seen.jsonl"
_SHOWN = 25  # rules in the terminal


def main(config: Mapping[str, Any]) -> None:
    """Audit a folder, write ``audit.html`` and ``audit.json``, and refuse when there is a finding.

    Args:
        config: Resolved configuration of ``configs/audit.yaml``.

    Raises:
        ConfigError: A key is wrong.
        DataError: The folder is missing or empty; or there is no finding, but a file could not be read. The report is written before.
        PrivacyError: There is at least one finding; the report is written before.
        ResourceError: The report cannot be written.
    """
    folder = Path(str(config["folder"])).expanduser()
    if config.get("locate"):
        Console().print(Text(str(_located(folder, str(config["locate"])))))
        return
    plan = audit_plan(
        retain=config["retain"],
        trust_claims=bool(config["trust_claims"]),
        safe_private=config["safe_private"],
        pixels=bool(config["pixels"]),
    )
    output, workers = Path(str(config["output"])).expanduser(), whole(config, "workers")
    with journal(None):
        audit = run_audit(folder, plan=plan, workers=workers, output=output)
        page = write_audit(AuditReport(audit=audit, day=datetime.now(UTC).date(), settings=settings_of(plan)), output)
    console = Console()
    console.print(view(audit))
    console.print(Text(f"Report: {page}", overflow="fold"))
    if audit.total:
        raise PrivacyError(
            what=f"The audit has {audit.total} findings in {audit.affected} of {len(audit.files)} files",
            where=f"Most: {_most(audit)}; all rules and counts stand in {page}",
            remedy="Run `medsetu deidentify in=... out=...` and audit its output, or agree on options with retain=[...]",
        )
    if audit.unreadable:
        raise DataError(
            what=f"{audit.unreadable} of {len(audit.files)} files could not be read, so the audit says nothing of them",
            where=f"All are listed with their reason in {page}",
            remedy="Bring the files back whole, or take them out of the folder, and audit again",
        )


def run_audit(folder: Path, *, plan: AuditPlan, workers: int, output: Path | None) -> FolderAudit:
    """Audit a folder with a progress bar; results per file are kept, so that a killed audit goes on.

    Args:
        folder: The folder, or one file.
        plan: What is accepted.
        workers: Processes; 0 takes one per usable core.
        output: Where the results are kept, left out of the audit; None keeps nothing.

    Returns:
        What was found.

    Raises:
        DataError: The folder is missing or empty.
        ResourceError: Results cannot be kept.
    """
    walk = audit_folder(folder, plan=plan, workers=workers, store=LineStore(output / STORE if output else None, Audited), skip=output)
    with progress(walk.total, label="Auditing") as advance:
        for done in walk.run():
            advance(done)
    return walk.result()


def settings_of(plan: AuditPlan) -> dict[str, Any]:
    """Say what an audit accepted, for its report."""
    return {
        "options agreed upon": ", ".join(plan.retain) or "none",
        "options declared by a file": "accepted" if plan.trust_claims else "not accepted",
        "private elements on the safe list": len(plan.safe_private),
        "pixels": "looked at" if plan.pixels else "not looked at",
    }


def view(audit: FolderAudit) -> Group:
    """Lay out an audit for a terminal.

    Args:
        audit: What was found.

    Returns:
        What ``rich.console.Console.print`` can show.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name, side in (("kind", "left"), ("what", "left"), ("where", "left"), ("count", "right"), ("files", "right")):
        table.add_column(name, justify="right" if side == "right" else "left", overflow="fold")
    for row in audit.findings.head(_SHOWN).to_dict("records"):
        table.add_row(
            Text(row["kind"], style="bold" if row["counts"] else "dim"), row["what"], row["where"], str(row["count"]), str(row["files"])
        )
    rest = [Text(line, style="dim") for line in _more(audit)]
    reasons = audit.files.loc[audit.files["reason"] != "", "reason"].value_counts()
    unread = [Text(f"{number} not read: {reason}", style="dim") for reason, number in reasons.head(5).items()]
    rows: list[RenderableType] = [Text(), table] if len(audit.findings) else []
    return Group(Text(verdict(audit), style="bold"), *rows, *rest, *unread)


def _more(audit: FolderAudit) -> list[str]:
    """Say of which kinds the rules are that the terminal leaves out: text in the pixels must not be missed behind many dates."""
    left = audit.findings.iloc[_SHOWN:]
    counts = left["kind"].value_counts(sort=False)
    kinds = ", ".join(f"{count} of kind '{kind}'" for kind, count in counts.items())
    return [f"and {len(left)} more rules: {kinds}"] if len(left) else []


def _most(audit: FolderAudit) -> str:
    first = audit.findings[audit.findings["counts"]].sort_values("count", ascending=False, kind="stable").iloc[0]
    return f"{first['what']} ({first['count']})"


def _located(folder: Path, ref: str) -> Path:
    path = locate(folder, ref)
    if path is None:
        raise DataError(what="No file has this reference", where="Key locate", remedy="Take a reference of the report of this very folder")
    return path
