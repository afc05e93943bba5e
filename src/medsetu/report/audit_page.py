# SPDX-License-Identifier: Apache-2.0
"""The report of an audit: what was found, by rule and count, what the law says of it, and what could not be looked into."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from medsetu import __version__
from medsetu.core.run import atomic_write, write_json
from medsetu.core.table import write_table
from medsetu.privacy.law import CAVEAT, touched
from medsetu.privacy.profile import EDITION
from medsetu.privacy.walk import FolderAudit
from medsetu.report.grid import Entry, Grid, heads
from medsetu.report.number import count
from medsetu.report.render import page_loader

_MOST_UNREADABLE = 100  # rows on the page; the JSON has all


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """An audit and what it was asked.

    Attributes:
        audit: What was found.
        day: The day of the audit.
        settings: What was accepted; name -> value.
    """

    audit: FolderAudit
    day: date
    settings: Mapping[str, Any]


def write_audit(report: AuditReport, folder: Path) -> Path:
    """Write ``audit.html``, ``audit.json``, ``findings.csv`` and ``files.csv``; no value and no file name stands in them.

    Args:
        report: What to tell.
        folder: Target folder.

    Returns:
        Path of the HTML file.

    Raises:
        ResourceError: A file cannot be written.
    """
    audit = report.audit
    write_json(folder / "audit.json", to_plain(report))
    write_table(audit.findings.assign(first=[" ".join(refs) for refs in audit.findings["first"]]), folder / "findings.csv")
    write_table(audit.files, folder / "files.csv")
    return atomic_write(folder / "audit.html", to_page(report).encode())


def verdict(audit: FolderAudit) -> str:
    """Say the result in one sentence; the word is audited, never anonymous.

    Args:
        audit: What was found.

    Returns:
        The sentence.
    """
    files = f"{count(len(audit.files))} file{'s' if len(audit.files) != 1 else ''}"
    unread = f"; {count(audit.unreadable)} could not be read" if audit.unreadable else ""
    if audit.total:
        return f"Audited {files}: {count(audit.total)} findings in {count(audit.affected)} of them{unread}."
    return f"Audited {files}: no findings by these rules{unread}."


def to_plain(report: AuditReport) -> dict[str, Any]:
    """Write an audit as JSON-like data."""
    audit = report.audit
    return {
        "medsetu": __version__,
        "day": report.day.isoformat(),
        "verdict": verdict(audit),
        "caveat": CAVEAT,
        "profile": EDITION,
        "settings": dict(report.settings),
        "files": {"audited": len(audit.files), "with_findings": audit.affected, "unreadable": audit.unreadable, "kinds": _kinds(audit)},
        "findings": audit.findings[audit.findings["counts"]].drop(columns="counts").to_dict("records"),
        "notices": audit.findings[~audit.findings["counts"]].drop(columns="counts").to_dict("records"),
        "law": [asdict(line) for line in _law(report)],
        "unreadable": audit.files.loc[audit.files["reason"] != "", ["ref", "kind", "reason"]].to_dict("records"),
    }


def to_page(report: AuditReport) -> str:
    """Render an audit as the text of one HTML file."""
    environment = Environment(loader=page_loader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    findings = report.audit.findings
    flags = findings["counts"]
    return environment.get_template("audit.html.j2").render(
        verdict=verdict(report.audit),
        caveat=CAVEAT,
        day=report.day.isoformat(),
        profile=EDITION,
        version=__version__,
        settings=report.settings,
        style=Markup(page_loader().get_source(environment, "report.css")[0]),  # noqa: S704 - our own file
        grids=[grid for grid in (_rules("Findings", findings[flags]), _rules("To know", findings[~flags])) if grid.rows],
        law=_law_grid(report),
        kinds=_kind_grid(report.audit),
        unreadable=_unreadable_grid(report.audit),
    )


def _law(report: AuditReport) -> Sequence[Any]:
    findings = report.audit.findings
    flags = findings["counts"]
    by_kind = {str(kind): int(total) for kind, total in findings[flags].groupby("kind")["count"].sum().items()}
    return touched(by_kind, set(findings["rule"]), day=report.day)


def _kinds(audit: FolderAudit) -> dict[str, int]:
    return {str(kind): int(number) for kind, number in audit.files["kind"].value_counts().sort_index().items()}


def _rules(caption: str, findings: Any) -> Grid:  # noqa: ANN401 - part of a DataFrame
    rows = [
        [
            Entry(row["what"], small=[row["rule"]], kind="head"),
            Entry(row["where"]),
            Entry(row["kind"]),
            Entry(count(row["count"]), kind="number"),
            Entry(count(row["files"]), kind="number"),
            Entry(" ".join(row["first"]), kind="code"),
        ]
        for row in findings.to_dict("records")
    ]
    return Grid(caption, heads("what", " where", " kind", "count", "files", " first files"), rows)


def _law_grid(report: AuditReport) -> Grid:
    rows = [
        [
            Entry(line.cite, small=[line.status], kind="head"),
            Entry(line.duty),
            Entry(", ".join(line.kinds)),
            Entry(count(line.count), kind="number"),
        ]
        for line in _law(report)
    ]
    return Grid(
        f"Provisions, and what is in force on {report.day.isoformat()}", heads("provision", " duty", " touched by", "findings"), rows
    )


def _kind_grid(audit: FolderAudit) -> Grid:
    return Grid(
        "Files", heads("kind", "files"), [[Entry(kind, kind="head"), Entry(count(n), kind="number")] for kind, n in _kinds(audit).items()]
    )


def _unreadable_grid(audit: FolderAudit) -> Grid:
    files = audit.files[audit.files["reason"] != ""]
    rows = [
        [Entry(row["ref"], kind="code"), Entry(row["kind"]), Entry(row["reason"])]
        for row in files.head(_MOST_UNREADABLE).to_dict("records")
    ]
    return Grid("Files that could not be read", heads("reference", " kind", " reason"), rows)
