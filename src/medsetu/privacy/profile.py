# SPDX-License-Identifier: Apache-2.0
"""DICOM PS3.15 Table E.1-1 as data: what the Basic Application Level Confidentiality Profile and its options do with each attribute."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from medsetu.core.errors import ConfigError

EDITION: Final = "DICOM PS3.15 2026d, Table E.1-1"
OPTIONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "clean_graphics": ("113103", "Clean Graphics Option"),
        "clean_structured_content": ("113104", "Clean Structured Content Option"),
        "clean_descriptors": ("113105", "Clean Descriptors Option"),
        "full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
        "modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
        "patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
        "device_identity": ("113109", "Retain Device Identity Option"),
        "uids": ("113110", "Retain UIDs Option"),
        "safe_private": ("113111", "Retain Safe Private Option"),
        "institution_identity": ("113112", "Retain Institution Identity Option"),
    }
)
"""Option by name: code and meaning of PS3.16 CID 7050, coding scheme DCM."""

BASIC: Final = ("113100", "Basic Application Confidentiality Profile")
CLEAN_PIXELS: Final = ("113101", "Clean Pixel Data Option")
_KINDS: Final = (
    ("uids", "uid"),
    ("full_dates", "date"),
    ("patient_characteristics", "patient characteristic"),
    ("device_identity", "device"),
    ("institution_identity", "institution"),
    ("clean_graphics", "graphic"),
    ("clean_descriptors", "free text"),
    ("clean_structured_content", "free text"),
)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        tag: Eight hexadecimal digits, ``X`` for any; ``private``.
        name: Name of the attribute.
        basic: Action of the Basic Profile: D dummy, Z zero length or dummy, X remove, U replace the UID; alternatives with a slash.
        options: Action of each option that has one: K keep, C clean.
    """

    tag: str
    name: str
    basic: str
    options: Mapping[str, str]

    @property
    def kind(self) -> str:
        """What the attribute tells: uid, date, patient characteristic, device, institution, graphic, free text, private, identifier."""
        if self.tag == "private":
            return "private"
        return next((kind for option, kind in _KINDS if option in self.options), "uid" if self.basic == "U" else "identifier")

    def action(self, retained: Collection[str]) -> str:
        """Say what is done with the attribute under the chosen options.

        Args:
            retained: Names of ``OPTIONS``.

        Returns:
            ``K``, ``C``, or the action of the Basic Profile; K wins over C where two options are chosen.

        Example:
            >>> row_of(0x00101010).action(()), row_of(0x00101010).action(["patient_characteristics"])
            ('X', 'K')
        """
        chosen = {action for option, action in self.options.items() if option in retained}
        return "K" if "K" in chosen else "C" if "C" in chosen else self.basic


@cache
def rows() -> Mapping[str, Row]:
    """Read the whole table.

    Returns:
        Rows by tag, as written in the table.
    """
    found = {}
    for line in files("medsetu.privacy").joinpath("profile.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            tag, basic, options, name = line.split("\t")
            pairs = [pair.partition("=") for pair in options.split(";") if pair]
            found[tag] = Row(tag, name, basic, MappingProxyType({option: action for option, _, action in pairs}))
    return MappingProxyType(found)


def row_of(tag: int) -> Row | None:
    """Find the row of an attribute.

    Args:
        tag: Group and element as one number.

    Returns:
        Its row: that of private attributes for an odd group, those of the repeating groups 50xx and 60xx; None where the table has none.

    Example:
        >>> row_of(0x00100010).name, row_of(0x00091001).tag, row_of(0x60023000).name, row_of(0x00280010)
        ("Patient's Name", 'private', 'Overlay Data', None)
    """
    group, element = tag >> 16, tag & 0xFFFF
    table = rows()
    if group % 2:
        return table["private"]
    if 0x5000 <= group <= 0x50FF:
        return table["50XXXXXX"]
    if 0x6000 <= group <= 0x60FF:
        return table.get(f"60XX{element:04X}")
    return table.get(f"{tag:08X}")


def check_options(names: Collection[str]) -> frozenset[str]:
    """Check names of options.

    Args:
        names: What a configuration asks for.

    Returns:
        The names.

    Raises:
        ConfigError: A name is unknown, or both kinds of dates are asked for.
    """
    for name in names:
        if name not in OPTIONS:
            raise ConfigError(what=f"'{name}' is no option of the profile", where="Key retain", value=str(name), allowed=list(OPTIONS))
    if {"full_dates", "modified_dates"} <= set(names):
        raise ConfigError(
            what="Dates cannot be kept in full and modified at once", where="Key retain", remedy="Choose full_dates or modified_dates"
        )
    return frozenset(names)
