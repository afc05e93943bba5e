# SPDX-License-Identifier: Apache-2.0
"""Identifiers in DICOM: Table E.1-1 at every depth, private attributes, file meta, preamble, text, and what the file claims of itself."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.tag import BaseTag

from medsetu.privacy.dummy import is_dummy, is_empty
from medsetu.privacy.jpeg import audit_jpeg
from medsetu.privacy.pattern import looks_like, repeats, words_of
from medsetu.privacy.plan import AuditPlan
from medsetu.privacy.profile import OPTIONS, row_of
from medsetu.privacy.rule import KEPT, NESTED
from medsetu.reader.dicom import open_header
from medsetu.reader.guard import guarded

FAULTS: Final = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError, OSError)
"""What pydicom raises while it converts one broken value."""

REFERENCES: Final = "X/Z/U*"
"""Action of sequences that may stay when the UIDs inside them are replaced: what counts is inside."""

_TEXT: Final = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_BESIDE: Final = {"PN": "name", "DA": "date", "DT": "date", "AE": "address", "UR": "address"}
_WORDS_FROM: Final = ("PatientName", "PatientID", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName", "AccessionNumber")
_META_QUIET: Final = (0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013)
_CODES: Final = {code: name for name, (code, _) in OPTIONS.items()}
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GATED_SOP: Final = tuple(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("7", "7.1", "7.2", "7.3", "7.4", "6.1", "6.2", "3.1", "104.1"))
_GATED_MODALITY: Final = ("US", "IVUS", "OT", "XC", "ES", "GM", "DOC", "SC", "DG", "HC")
_GATED_CONVERSION: Final = ("WSD", "DF", "DV", "DI", "SD", "SI", "DRW", "SYN")
_CROSS_SECTION: Final = ("CT", "MR", "PT", "NM")  # whose reformatted images are called secondary
_DOCUMENT: Final = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.", "1.2.840.10008.1.3.10")
_OLDEST, _OF_AGE = 89.0, 18.0  # years
_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.25}


@dataclass(frozen=True)
class _Frame:
    """What stays the same while one file is walked through."""

    plan: AuditPlan
    retained: frozenset[str]
    shifted: bool
    words: frozenset[str]
    found: Counter[str]


@guarded("DICOM")
def audit_dicom(data: bytes, *, plan: AuditPlan, sample_id: str = "") -> tuple[Counter[str], frozenset[str]]:
    """Audit a DICOM file: header, file meta information, preamble, and the metadata of a JPEG codestream; not the pixels.

    Args:
        data: The whole file.
        plan: What is accepted.
        sample_id: Named in errors.

    Returns:
        Rule -> count, and the words by which the patient could be recognised elsewhere (kept in memory only).

    Raises:
        DataError: The file cannot be parsed.
    """
    del sample_id  # used by the guard
    header = open_header(data)
    if not len(header) and not len(header.file_meta):
        raise ValueError
    found, words = audit_header(header, plan=plan)
    if data[128:132] == b"DICM" and data[:128].strip(b"\0") and not data.startswith(_TIFF):
        found["dicom/preamble"] += 1
    found += _codestream(header)
    return found, words


def audit_header(header: Dataset, *, plan: AuditPlan) -> tuple[Counter[str], frozenset[str]]:
    """Audit a parsed header and the file meta information that hangs on it.

    Args:
        header: The data set.
        plan: What is accepted.

    Returns:
        As ``audit_dicom``.
    """
    claims = _text(header, "PatientIdentityRemoved") == "YES"
    declared = _declared(header) if claims and plan.trust_claims else frozenset()
    retained = declared | frozenset(plan.retain)
    words = words_of(text for name in _WORDS_FROM for text in _texts(header, name) if not is_dummy(text, vr="LO"))
    frame = _Frame(plan, retained, _text(header, "LongitudinalTemporalInformationModified") == "MODIFIED", words, Counter())
    _walk(header, frame, depth=0)
    meta = getattr(header, "file_meta", None)
    if meta is not None:
        _walk_meta(meta, frame)
    frame.found.update(_claims(header, claims=claims))
    frame.found.update(_ages(header, kept="patient_characteristics" in retained))
    frame.found.update(_gate(header))
    return +frame.found, words


def elements(dataset: Dataset) -> Iterator[tuple[BaseTag, str, Any, DataElement | None]]:
    """Go through the elements of one level; one that pydicom cannot convert comes with its bytes.

    Args:
        dataset: A data set.

    Yields:
        Tag, value representation, value, and the element itself where it could be converted.
    """
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
        except FAULTS:
            raw = dataset.get_item(tag)
            yield tag, str(getattr(raw, "VR", None) or "UN"), getattr(raw, "value", b"?"), None
        else:
            yield tag, str(element.VR), element.value, element


def _walk(dataset: Dataset, frame: _Frame, *, depth: int) -> None:
    for tag, vr, value, element in elements(dataset):
        suffix = f"/{NESTED}" if depth else ""
        verdict = _verdict(dataset, tag, vr, value, frame)
        if verdict:
            frame.found[f"dicom/{verdict}" if verdict.startswith(KEPT) else f"dicom/{verdict}{suffix}"] += 1
        if vr == "SQ" and element is not None:
            for item in value:
                _walk(item, frame, depth=depth + 1)
        elif not verdict or verdict.startswith(KEPT):
            _read(vr, value, frame, suffix)


def _verdict(dataset: Dataset, tag: BaseTag, vr: str, value: Any, frame: _Frame) -> str:  # noqa: ANN401 - a value of a header
    """Name the rule an element breaks, by its tag and whether it holds more than a dummy; empty when it breaks none."""
    row = row_of(int(tag))
    if row is None:
        return f"{_BESIDE[vr]} beside the table" if vr in _BESIDE and not is_dummy(value, vr=vr) else ""
    if row.tag == "private":
        return "" if is_empty(value) or is_safe(dataset, tag, frame.plan) else "private"
    if is_dummy(value, vr=vr) or row.basic == REFERENCES:
        return ""
    action = row.action(frame.retained)
    if action == "C" and "modified_dates" in row.options and "modified_dates" in frame.retained:
        return f"{KEPT}/{row.tag}" if frame.shifted else row.tag
    return f"{KEPT}/{row.tag}" if action in ("K", "C") else row.tag


def is_safe(dataset: Dataset, tag: BaseTag, plan: AuditPlan) -> bool:
    """Whether a private element stands on the safe list; the creator of a block counts where the list knows it.

    Args:
        dataset: The level it stands on.
        tag: Its tag.
        plan: Holds the list.

    Returns:
        True when it may stay.
    """
    names = {creator for creator, _ in plan.safe_private}
    if not names:
        return False
    if tag.elem <= 0xFF:
        return str(dataset[tag].value).strip() in names
    block = BaseTag((tag.group << 16) | (tag.elem >> 8))
    creator = str(dataset[block].value).strip() if block in dataset else ""
    return (creator, tag.elem & 0xFF) in plan.safe_private


def _read(vr: str, value: Any, frame: _Frame, suffix: str) -> None:  # noqa: ANN401 - a value of a header
    """Look into the text of an element that may stay."""
    if vr not in _TEXT or is_empty(value):
        return
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) or hasattr(value, "append") else str(value)
    for pattern, count in looks_like(text).items():
        frame.found[f"dicom/looks like {pattern}{suffix}"] += count
    if repeats(text, frame.words):
        frame.found[f"dicom/repeated{suffix}"] += 1


def _walk_meta(meta: Dataset, frame: _Frame) -> None:
    for tag, vr, value, _ in elements(meta):
        verdict = _verdict(meta, tag, vr, value, frame) if row_of(int(tag)) else ""
        if verdict:
            frame.found[f"dicom/{verdict}"] += 1
        elif int(tag) not in _META_QUIET and not is_empty(value):
            frame.found["dicom/file meta"] += 1


def _declared(header: Dataset) -> frozenset[str]:
    """Options that the file names in its De-identification Method Code Sequence."""
    try:
        items = list(header.get("DeidentificationMethodCodeSequence") or [])
    except FAULTS:
        return frozenset()
    return frozenset(_CODES[code] for item in items if (code := _text(item, "CodeValue")) in _CODES)


def _claims(header: Dataset, *, claims: bool) -> Counter[str]:
    if not claims:
        return Counter({"dicom/no claim": 1})
    method = bool(_text(header, "DeidentificationMethod")) or "DeidentificationMethodCodeSequence" in header
    return Counter({} if method else {"dicom/claim without a method": 1})


def age_years(text: str) -> float:
    """Read an age string; NaN where it is none.

    Example:
        >>> age_years("045Y"), age_years("006M") < 1, age_years("old")
        (45.0, True, nan)
    """
    text = text.strip()
    if len(text) < 2 or not text[:-1].isdigit() or text[-1] not in _DAYS:
        return float("nan")
    return int(text[:-1]) * _DAYS[text[-1]] / _DAYS["Y"]


def _ages(header: Dataset, *, kept: bool) -> Counter[str]:
    age = age_years(_text(header, "PatientAge"))
    return Counter({"dicom/age above 89": int(kept and age > _OLDEST and int(age) != 90), "dicom/child": int(0 <= age < _OF_AGE)})


def _gate(header: Dataset) -> Counter[str]:
    """Judge by header whether pixels may hold text (PS3.3 C.7.6.1: absent is not NO)."""
    if is_document(header):
        return Counter({"dicom/document": 1})
    declared = _text(header, "BurnedInAnnotation")
    if "PixelData" not in header or declared == "NO":
        return Counter()
    if declared == "YES":
        return Counter({"dicom/burned-in declared": 1})
    return Counter({"dicom/gate" if is_gated(header) else "dicom/burned-in unknown": 1})


def is_document(header: Dataset) -> bool:
    """Whether a file is a structured report, an encapsulated document or a directory.

    Args:
        header: Its header.

    Returns:
        True by its SOP class.
    """
    sop = _text(header, "SOPClassUID") or _text(getattr(header, "file_meta", Dataset()), "MediaStorageSOPClassUID")
    return sop.startswith(_DOCUMENT)


def is_gated(header: Dataset) -> bool:
    """Whether an image is of a kind that often has text in its pixels: ultrasound, secondary capture, digitised film, screen shots.

    Args:
        header: Header of an image.

    Returns:
        True where SOP class, modality, conversion or image type says so.

    Example:
        >>> header = Dataset()
        >>> header.Modality = "US"
        >>> is_gated(header)
        True
    """
    modality = _text(header, "Modality")
    kinds = _texts(header, "ImageType")
    secondary = len(kinds) > 1 and kinds[1] == "SECONDARY" and modality not in _CROSS_SECTION
    conversion = _text(header, "ConversionType") in _GATED_CONVERSION
    return _text(header, "SOPClassUID") in _GATED_SOP or modality in _GATED_MODALITY or conversion or secondary


def _codestream(header: Dataset) -> Counter[str]:
    """Comments and application segments inside an encapsulated JPEG."""
    syntax = header.file_meta.get("TransferSyntaxUID")
    if "PixelData" not in header or syntax not in uid.JPEGTransferSyntaxes:
        return Counter()
    try:
        return audit_jpeg(get_frame(header.PixelData, 0, number_of_frames=1))
    except FAULTS:
        return Counter({"pixels/not looked at": 1})  # what cannot be taken apart may still hold a comment


def _texts(header: Dataset, keyword: str) -> list[str]:
    try:
        value = header.get(keyword)
    except FAULTS:
        return []
    if is_empty(value):
        return []
    parts = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return [str(part).strip(" \0") for part in parts]


def _text(header: Dataset, keyword: str) -> str:
    return next(iter(_texts(header, keyword)), "").upper()
