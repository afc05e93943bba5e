# SPDX-License-Identifier: Apache-2.0
"""Names of what an audit can find: where, what, of which kind, and whether it counts or is only to be known."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from medsetu.privacy.profile import rows

KINDS: Final = (
    "identifier",
    "uid",
    "date",
    "free text",
    "patient characteristic",
    "institution",
    "device",
    "graphic",
    "private",
    "pixels",
    "hidden data",
    "to know",
)
"""Kinds of findings, the gravest first; ``to know`` never counts."""

NOTICE: Final = "to know"
NESTED: Final = "in a sequence"
KEPT: Final = "kept"
_PATTERNS: Final[Mapping[str, str]] = MappingProxyType({"uid": "uid", "date": "date"})
_SOURCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dicom": "DICOM header",
        "path": "file or folder name",
        "png": "PNG metadata",
        "jpeg": "JPEG metadata",
        "tiff": "TIFF tags",
        "pgm": "PGM comment",
        "nifti": "NIfTI header",
        "sheet": "table",
        "json": "JSON",
        "text": "text file",
        "pixels": "pixels",
        "file": "file",
    }
)
_KNOWN: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "dicom/private": ("private attribute that is on no safe list", "private"),
        "dicom/preamble": ("preamble that is neither empty nor that of a TIFF file", "hidden data"),
        "dicom/file meta": ("network address, application title or private text in the file meta information", "device"),
        "dicom/name beside the table": ("person's name in an attribute that Table E.1-1 does not list", "identifier"),
        "dicom/date beside the table": ("date in an attribute that Table E.1-1 does not list", "date"),
        "dicom/address beside the table": ("network address in an attribute that Table E.1-1 does not list", "device"),
        "dicom/repeated": ("name or number of the patient repeated in another attribute", "identifier"),
        "dicom/age above 89": ("age above 89 years that is not pooled", "patient characteristic"),
        "dicom/child": ("age below 18: consent of a parent", NOTICE),
        "dicom/no claim": ("the file does not say that the patient's identity was removed", NOTICE),
        "dicom/claim without a method": ("the file says that the identity was removed, but not how", NOTICE),
        "dicom/burned-in unknown": ("the file does not say whether its pixels hold text", NOTICE),
        "dicom/burned-in declared": ("the file says that its pixels hold text", "pixels"),
        "dicom/gate": ("ultrasound, secondary capture or document whose pixels often hold text, not declared free of it", "pixels"),
        "dicom/document": ("a report, an encapsulated document or a directory instead of an image", "free text"),
        "path/repeated": ("name or number of the patient, as in the file's own header", "identifier"),
        "png/text": ("text chunk", "free text"),
        "png/time": ("time of the last change", "date"),
        "png/exif": ("Exif block", "hidden data"),
        "png/xmp": ("XMP packet", "hidden data"),
        "png/chunk": ("chunk of a private kind", "hidden data"),
        "jpeg/comment": ("comment", "free text"),
        "jpeg/exif": ("Exif tag of a place, time, person or device", "hidden data"),
        "jpeg/xmp": ("XMP packet", "hidden data"),
        "jpeg/iptc": ("IPTC or Photoshop block", "hidden data"),
        "jpeg/segment": ("application segment of an unknown kind", "hidden data"),
        "tiff/description": ("image description", "free text"),
        "tiff/time": ("date and time", "date"),
        "tiff/person": ("artist, copyright or host computer", "identifier"),
        "tiff/device": ("maker, model or serial number", "device"),
        "tiff/block": ("Exif, GPS, XMP, IPTC or Photoshop block", "hidden data"),
        "tiff/private": ("private tag", "hidden data"),
        "file/tail": ("bytes after the end of the picture", "hidden data"),
        "nifti/text": ("text field that no known program wrote", "free text"),
        "nifti/extension": ("header extension", "hidden data"),
        "nifti/original name": ("the original file name in the gzip header", "free text"),
        "sheet/author": ("author or last editor of the workbook", "identifier"),
        "sheet/comment": ("comment in a cell", "free text"),
        "sheet/hidden": ("hidden sheet", "hidden data"),
        "sheet/patient key": ("column of patient keys: they have to be pseudonyms", NOTICE),
        "sheet/column of names": ("column of names", "identifier"),
        "sheet/column of contacts": ("column of addresses, telephone numbers or e-mail addresses", "identifier"),
        "sheet/column of numbers": ("column of identity, insurance or hospital numbers", "identifier"),
        "sheet/column of dates": ("column of dates", "date"),
        "sheet/agreed dates": ("dates of a table, kept or shifted as agreed", NOTICE),
        "sheet/column of places": ("column of places below the state", "identifier"),
        "sheet/column of institutions": ("column of institutions or physicians", "institution"),
        "sheet/age above 89": ("age above 89 years that is not pooled", "patient characteristic"),
        "pixels/text": ("text burned into the pixels", "pixels"),
        "pixels/not looked at": ("pixels that could not be looked at", NOTICE),
        "file/not looked into": ("file of a kind that is not looked into", NOTICE),
        "file/link": ("symbolic link, not followed", NOTICE),
    }
)


@dataclass(frozen=True)
class Described:
    """A rule in words.

    Attributes:
        rule: Its name, as counted.
        where: Kind of place.
        what: What was found there; never a value.
        kind: One of ``KINDS``.
    """

    rule: str
    where: str
    what: str
    kind: str

    @property
    def counts(self) -> bool:
        """Whether it is a finding, not only something to know."""
        return self.kind != NOTICE


def describe(rule: str) -> Described:
    """Say what a rule means.

    Args:
        rule: ``<source>/<what>``, perhaps with ``/in a sequence`` behind it: a tag of Table E.1-1, a name of the catalogue, or
            ``looks like <pattern>``.

    Returns:
        The rule in words.

    Example:
        >>> describe("dicom/00100010/in a sequence").what
        "(0010,0010) Patient's Name, in a sequence"
        >>> describe("path/looks like aadhaar").kind
        'identifier'
    """
    source, _, rest = rule.partition("/")
    name, _, suffix = rest.partition("/")
    where = _SOURCES.get(source, source)
    if name == KEPT:
        row = rows()[suffix]
        return Described(rule, where, f"{_tag(row.tag)}{row.name}, kept under a declared option", NOTICE)
    if source == "dicom" and name in rows():
        row = rows()[name]
        what, kind = (f"{_tag(row.tag)}{row.name}", row.kind)
    elif name.startswith("looks like "):
        what, kind = (
            name.replace("looks like", "what looks like a" + ("n" if name[11] in "ae" else "")),
            _PATTERNS.get(name[11:], "identifier"),
        )
    else:
        what, kind = _KNOWN[f"{source}/{name}"]
    return Described(rule, where, what + (f", {suffix}" if suffix else ""), kind)


def _tag(tag: str) -> str:
    """The tag as the standard writes it; private attributes share one row and have none."""
    return "" if tag == "private" else f"({tag[:4]},{tag[4:]}) "
