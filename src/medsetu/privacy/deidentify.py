# SPDX-License-Identifier: Apache-2.0
"""De-identify one file of any kind into a copy; what cannot be cleaned is held back, and the original is only read."""

import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom import dcmwrite

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.run import atomic_write, sha256_bytes
from medsetu.privacy.audit import Job, audit_file, kind_of, reference
from medsetu.privacy.burned_in import find_text
from medsetu.privacy.column import clean_table
from medsetu.privacy.dicom import is_document, is_gated
from medsetu.privacy.path import audit_path
from medsetu.privacy.plan import AuditPlan
from medsetu.privacy.pseudonym import Pseudonyms
from medsetu.privacy.redact import redact_dicom, redact_raster
from medsetu.privacy.scrub import Scrubber
from medsetu.privacy.strip import strip_jpeg, strip_nifti, strip_pgm, strip_png, strip_tiff
from medsetu.reader.dicom import open_header
from medsetu.reader.guard import guarded
from medsetu.reader.image import MAX_BYTES, read_image

HOLD, REDACT = "hold", "redact"
_STRIP: Final[Mapping[str, Callable[[bytes], bytes]]] = {"png": strip_png, "jpeg": strip_jpeg, "tiff": strip_tiff, "pgm": strip_pgm}
_FAULTS: Final = (OSError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class DeidentifyPlan:
    """What de-identification is asked to do.

    Attributes:
        audit: Options retained, private elements known to be safe, and whether pixels are looked at.
        pseudonyms: Pseudonyms of the key.
        columns: Column name -> ``keep``, ``drop``, ``pseudonym`` or ``date``.
        gated: Ultrasound, secondary captures and the like, which often have text: ``hold`` them back, or ``redact`` what is found.
    """

    audit: AuditPlan
    pseudonyms: Pseudonyms
    columns: Mapping[str, str] = field(default_factory=dict)
    gated: str = HOLD


@dataclass(frozen=True)
class Cleaning:
    """A file to de-identify.

    Attributes:
        path: The original.
        relative: Its path below the folder that is read.
        out: Folder that is written.
        plan: What is asked.
        key: Name of the result in the store.
    """

    path: Path
    relative: Path
    out: Path
    plan: DeidentifyPlan
    key: str = ""

    @property
    def ref(self) -> str:
        """Reference of the original."""
        return reference(self.relative)


@dataclass(frozen=True)
class Cleaned:
    """What became of a file.

    Attributes:
        ref: Reference of the original.
        kind: As in ``Audited``.
        held: Why it was held back; empty when it was written.
        painted: Lines of text painted over.
        renamed: Whether its path had to change.
        key: Name of the result in the store.
        target: Reference of what was written; empty when it was held back.
        sha256: Of the bytes written.
    """

    ref: str
    kind: str
    held: str = ""
    painted: int = 0
    renamed: bool = False
    key: str = ""
    target: str = ""
    sha256: str = ""


def clean_file(job: Cleaning) -> Cleaned:
    """De-identify one file.

    Args:
        job: The file.

    Returns:
        What became of it; no value of the file is in it.

    Raises:
        ResourceError: The output cannot be written.
    """
    ref, kind = job.ref, "other"
    try:
        kind = kind_of(job.path)
        data, words, painted = _clean(job, kind)
    except DataError as error:
        return Cleaned(ref, kind, held=error.what, key=job.key)
    except _FAULTS as error:
        return Cleaned(ref, kind, held=f"the file cannot be read ({type(error).__name__})")
    target = renamed(job.relative, words=words, pseudonyms=job.plan.pseudonyms)
    moved = target != job.relative
    if kind == "jpeg" and painted:
        target = target.with_name(target.name + ".png")
    atomic_write(job.out / target, data)
    written = {"target": reference(target), "sha256": sha256_bytes(data)}
    return Cleaned(ref, kind, painted=painted, renamed=moved, key=job.key, **written)


def clean_batch(jobs: list[Cleaning]) -> list[Cleaned]:
    """De-identify several files in a worker."""
    return [clean_file(job) for job in jobs]


def lost(job: Cleaning) -> Cleaned:
    """Hold back a file that killed its process."""
    return Cleaned(job.ref, "other", held="the decoder crashed on this file")


def renamed(relative: Path, *, words: frozenset[str], pseudonyms: Pseudonyms) -> Path:
    """Replace the parts of a path that give a patient away.

    Args:
        relative: Path of the original.
        words: Words by which the file's header names its patient.
        pseudonyms: Pseudonyms of the key.

    Returns:
        The path of the copy; suffixes stay.
    """
    parts = []
    for place, part in enumerate(relative.parts):
        last = place == len(relative.parts) - 1
        suffix = "".join(Path(part).suffixes[-2:]) if last and part.endswith(".gz") else Path(part).suffix if last else ""
        suffix = suffix if suffix[1:2].isalpha() and len(suffix) <= 8 else ""
        telling = audit_path(Path(part if last else f"{part}/x"), words=words)
        parts.append(pseudonyms.name(part.removesuffix(suffix), kind="path") + suffix if telling else part)
    return Path(*parts)


def _clean(job: Cleaning, kind: str) -> tuple[bytes, frozenset[str], int]:
    """Cleaned bytes, words of the patient, and lines painted over."""
    if kind == "dicom":
        _check_size(job.path)
        return clean_dicom(job.path.read_bytes(), plan=job.plan)
    if kind in _STRIP:
        _check_size(job.path)
        return _clean_raster(job, kind)
    if kind == "nifti":
        return strip_nifti(job.path), frozenset(), 0
    if kind == "table":
        return clean_table(job.path, columns=job.plan.columns, pseudonyms=job.plan.pseudonyms), frozenset(), 0
    if kind == "other" or any(_findings(job).values()):
        raise DataError(what=f"a file of this kind ({kind}) cannot be cleaned", where="Key in", remedy="Look at it by hand")
    return job.path.read_bytes(), frozenset(), 0


def _findings(job: Cleaning) -> Counter[str]:
    """Findings inside a text, JSON or workbook, which are copied only when there are none."""
    record = audit_file(Job(job.path, job.relative, job.plan.audit))
    return Counter({rule: count for rule, count in record.found.items() if not rule.startswith("path/")}) + Counter(
        {record.reason: 1} if record.reason else {}
    )


def _check_size(path: Path) -> None:
    if path.stat().st_size > MAX_BYTES:
        raise DataError(what="the file is larger than any single image", where="Key in", remedy="Split it")


def _clean_raster(job: Cleaning, kind: str) -> tuple[bytes, frozenset[str], int]:
    data = job.path.read_bytes()
    boxes = find_text(read_image(job.path).pixels) if job.plan.audit.pixels else []
    bare = _STRIP[kind](data)
    return (redact_raster(bare, boxes, kind=kind) if boxes else bare), frozenset(), len(boxes)


@guarded("DICOM")
def clean_dicom(data: bytes, *, plan: DeidentifyPlan, sample_id: str = "") -> tuple[bytes, frozenset[str], int]:
    """De-identify a DICOM file: header, file meta information, preamble and pixels.

    Args:
        data: The file.
        plan: What is asked.
        sample_id: Named in errors.

    Returns:
        The new file, the words of the patient, and the lines of text painted over.

    Raises:
        DataError: It is a report, a directory or a document, its pixels cannot be decoded, or its kind is to be held back.
    """
    del sample_id  # used by the guard
    header = open_header(data)
    if "SOPInstanceUID" not in header or is_document(header):
        raise DataError(what="a report, document or directory cannot be cleaned", where="Key in", remedy="Look at it by hand")
    pixels = "PixelData" in header
    declared = str(header.get("BurnedInAnnotation") or "").upper()
    suspicious = pixels and declared != "NO" and (declared == "YES" or is_gated(header))
    if suspicious and (plan.gated == HOLD or not plan.audit.pixels):
        raise DataError(
            what="an image of a kind that often has text in its pixels", where="Key in", remedy="Look at it, or set gated=redact"
        )
    painted = redact_dicom(header) if pixels and plan.audit.pixels else 0
    words = Scrubber(plan.audit, plan.pseudonyms, cleaned_pixels=pixels and plan.audit.pixels).scrub(header)
    if pixels and plan.audit.pixels:
        header.BurnedInAnnotation = "NO"
    header.preamble = bytes(128)
    buffer = io.BytesIO()
    dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue(), words, painted


def check_folders(source: Path, out: Path, *, going_on: bool = False) -> None:
    """Refuse folders that lie in each other, and an output that is not empty.

    Args:
        source: Folder that is read.
        out: Folder that is written.
        going_on: Let the output hold what an earlier start has finished.

    Raises:
        DataError: The folder that is read is missing.
        ResourceError: The output is not empty, or one folder lies in the other.
    """
    if not source.is_dir():
        raise DataError(what="The folder does not exist", where="Key in", remedy="Correct the path: in=<folder>")
    here, there = source.resolve(), out.resolve()
    if here == there or here.is_relative_to(there) or there.is_relative_to(here):
        raise ResourceError(what="One folder lies in the other", where="Keys in and out", remedy="Write to a folder of its own")
    if not going_on and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ResourceError(what="The output is not empty", where="Key out", remedy="Give a new folder, or remove the old one")
