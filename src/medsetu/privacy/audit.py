# SPDX-License-Identifier: Apache-2.0
"""Audit one file of any kind: its first bytes decide what looks into it, and what it gives away is counted, never shown."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medsetu.core.errors import DataError, MedsetuError
from medsetu.core.run import sha256_bytes
from medsetu.privacy.burned_in import find_text
from medsetu.privacy.dicom import audit_dicom
from medsetu.privacy.jpeg import audit_jpeg
from medsetu.privacy.nifti import audit_nifti, is_nifti
from medsetu.privacy.path import audit_path
from medsetu.privacy.plan import AuditPlan
from medsetu.privacy.raster import audit_pgm, audit_png, audit_tiff
from medsetu.privacy.redact import count_text
from medsetu.privacy.sheet import audit_delimited, audit_json, audit_text, audit_workbook
from medsetu.reader.dicom import is_dicom
from medsetu.reader.image import MAX_BYTES, read_image

CRASHED: Final = "the decoder crashed on this file"
_HEAD: Final = 4096  # bytes
_RASTER: Final[dict[bytes, str]] = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"P2": "pgm",
    b"P5": "pgm",
}
_BY_SUFFIX: Final[dict[str, str]] = {
    ".csv": "table",
    ".tsv": "table",
    ".xlsx": "workbook",
    ".xlsm": "workbook",
    ".xls": "workbook",
    ".json": "json",
    **dict.fromkeys((".txt", ".md", ".xml", ".html", ".htm", ".yaml", ".yml", ".log", ".rst", ".ini", ".bib"), "text"),
}
_ON_PATH: Final[dict[str, Callable[..., Counter[str]]]] = {
    "nifti": audit_nifti,
    "table": audit_delimited,
    "workbook": audit_workbook,
    "json": audit_json,
}
_ON_BYTES: Final[dict[str, Callable[[bytes], Counter[str]]]] = {
    "png": audit_png,
    "jpeg": audit_jpeg,
    "tiff": audit_tiff,
    "pgm": audit_pgm,
}
_PICTURES: Final = ("dicom", *_ON_BYTES)
_FAULTS: Final = (OSError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Job:
    """A file to audit.

    Attributes:
        path: The file.
        relative: Its path below the audited folder.
        plan: What is accepted.
        key: Name of the result in the store.
    """

    path: Path
    relative: Path
    plan: AuditPlan
    key: str = ""

    @property
    def ref(self) -> str:
        """How a report names the file: twelve digits of the SHA-256 of its relative path, which itself may name a patient."""
        return reference(self.relative)


@dataclass(frozen=True)
class Audited:
    """What an audit says of one file.

    Attributes:
        ref: Its reference.
        kind: dicom, png, jpeg, tiff, pgm, nifti, table, workbook, json, text, other.
        found: Rule -> count.
        reason: Why it could not be read; empty when it could.
        key: Name of the result in the store.
        seconds: Time it took.
    """

    ref: str
    kind: str
    found: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    key: str = ""
    seconds: float = 0.0


def reference(relative: Path) -> str:
    """Make the reference of a file from its relative path.

    Example:
        >>> reference(Path("a/b.png"))
        '88f7ec7982e1'
    """
    return sha256_bytes(relative.as_posix().encode())[:12]


def audit_file(job: Job) -> Audited:
    """Audit one file; a file that cannot be read is named with its reason, and its name is audited all the same.

    Args:
        job: The file.

    Returns:
        What was found; no value of the file is in it.
    """
    begun = time.monotonic()
    kind, found, words, reason = "other", Counter[str](), frozenset[str](), ""
    try:
        kind = kind_of(job.path)
        found, words = _look(job.path, kind, job.plan)
    except MedsetuError as error:
        reason = error.what
    except _FAULTS as error:
        reason = f"the file cannot be read ({type(error).__name__})"
    if job.plan.pixels and kind in _PICTURES and not reason:
        found += audit_pixels(job.path, kind)
    found += audit_path(job.relative, words=words)
    return Audited(job.ref, kind, dict(sorted(found.items())), reason, job.key, time.monotonic() - begun)


def audit_pixels(path: Path, kind: str) -> Counter[str]:
    """Look for text burned into the pixels of a file.

    Args:
        path: The file.
        kind: ``dicom``, of which every frame is looked at, or ``png``, ``jpeg``, ``tiff``, ``pgm``.

    Returns:
        ``pixels/text`` with the number of lines, or ``pixels/not looked at`` where no reader opens the pixels.
    """
    try:
        lines = count_text(path.read_bytes()) if kind == "dicom" else len(find_text(read_image(path).pixels))
    except (MedsetuError, *_FAULTS):
        return Counter({"pixels/not looked at": 1})
    return +Counter({"pixels/text": lines})


def audit_batch(jobs: list[Job]) -> list[Audited]:
    """Audit several files in a worker."""
    return [audit_file(job) for job in jobs]


def crashed(job: Job) -> Audited:
    """Name a file that killed its process."""
    return Audited(job.ref, "other", dict(audit_path(job.relative)), CRASHED, job.key)


def kind_of(path: Path) -> str:
    """Tell what looks into a file.

    Args:
        path: The file.

    Returns:
        Kind, as in ``Audited``; by its first bytes, and for text by its suffix.

    Raises:
        DataError: It is no regular file, or empty.
        OSError: It cannot be opened.
    """
    if not path.is_file():
        raise DataError(what="it is no regular file", where="Audited folder", remedy="Remove it")
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise DataError(what="the file is empty", where="Audited folder", remedy="Obtain it again")
    if head[128:132] == b"DICM":  # before the others: its preamble may be that of a TIFF file
        return "dicom"
    raster = next((kind for magic, kind in _RASTER.items() if head.startswith(magic)), "")
    if raster:
        return raster
    if is_nifti(head):
        return "nifti"
    suffix = _BY_SUFFIX.get(path.suffix.lower(), "")
    if suffix:
        return suffix
    return "dicom" if is_dicom(head) else "text" if _is_text(head) else "other"


def agreed(found: Counter[str], plan: AuditPlan) -> Counter[str]:
    """Make of the dates of a table something to know, where dates are agreed upon, in full or shifted.

    Args:
        found: Rule -> count.
        plan: What is agreed.

    Returns:
        The same counts under the rules that hold then.

    Example:
        >>> agreed(Counter({"sheet/column of dates": 2}), AuditPlan(retain=("modified_dates",)))
        Counter({'sheet/agreed dates': 2})
    """
    if not {"full_dates", "modified_dates"} & set(plan.retain):
        return found
    dates = ("sheet/column of dates", "sheet/looks like date", "json/looks like date")
    moved = sum(found[rule] for rule in dates)
    return Counter({rule: count for rule, count in found.items() if rule not in dates}) + Counter({"sheet/agreed dates": moved})


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and sum(byte < 32 and byte not in b"\t\r\n\f\x1b" for byte in head) == 0


def _look(path: Path, kind: str, plan: AuditPlan) -> tuple[Counter[str], frozenset[str]]:
    if kind == "other":
        return Counter({"file/not looked into": 1}), frozenset()
    if kind == "text":
        return audit_text(path), frozenset()
    if kind in _ON_PATH:
        return agreed(_ON_PATH[kind](path), plan), frozenset()
    if path.stat().st_size > MAX_BYTES:
        raise DataError(what="the file is larger than any single image", where="Audited folder", remedy="Split it")
    data = path.read_bytes()
    return audit_dicom(data, plan=plan) if kind == "dicom" else (_ON_BYTES[kind](data), frozenset())
