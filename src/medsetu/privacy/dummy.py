# SPDX-License-Identifier: Apache-2.0
"""Values that tell nothing: empty ones, what de-identified files usually hold, and what ``medsetu deidentify`` writes."""

import re
from collections.abc import Sequence
from typing import Any, Final

from pydicom.dataset import Dataset

TEXT: Final = "REMOVED"
DATE: Final = "19000101"
TIME: Final = "000000"
NUMBER: Final = "0"
UID_ROOT: Final = "2.25."
"""Root of UIDs made from a UUID (PS3.5 B.2): they belong to no organisation."""

PSEUDONYM: Final = re.compile(r"MS-[A-Z2-7]{13}")
_NOTHING: Final = frozenset(
    {
        *("anon", "anonym", "anonymous", "anonymized", "anonymised", "deidentified", "de-identified", "removed", "none", "unknown"),
        *("unspecified", "dummy", "n/a", "na", "null", "nil", "patient^anonymous", "anonymous^patient", "anonymous^anonymous"),
        *("xxx", "xxxx", "xxxxx", "0", "00", "000", "000y", "-", ".", "?"),
    }
)
_ZERO_DATE: Final = re.compile(r"(?:19000101|00010101|00000000)(?:0*(?:\.0*)?)?|0+(?:\.0+)?(?:[+-]0+)?")


def is_empty(value: Any) -> bool:  # noqa: ANN401 - whatever a header holds
    r"""Whether a value of a header tells nothing at all: missing, blank, zero bytes, or a sequence of empty items.

    Example:
        >>> is_empty("  "), is_empty(["", None]), is_empty(b"\0\0"), is_empty("x")
        (True, True, True, False)
    """
    if value is None:
        return True
    if isinstance(value, bytes | bytearray):
        return not bytes(value).strip(b"\0 ")
    if isinstance(value, Dataset):
        return all(is_empty(element.value) for element in value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(is_empty(part) for part in value)
    return not str(value).strip(" \0^=")


def is_dummy(value: Any, *, vr: str) -> bool:  # noqa: ANN401 - whatever a header holds
    """Whether a value stands in the place of a removed one.

    Args:
        value: Value of an element.
        vr: Its value representation.

    Returns:
        True for empty values, the words that de-identified files use, dates of 1900-01-01, zeros, pseudonyms of ``medsetu deidentify``, and
        UIDs that are no organisation's or belong to the standard.

    Example:
        >>> is_dummy("ANONYMOUS", vr="PN"), is_dummy("19000101", vr="DA"), is_dummy("2.25.7", vr="UI"), is_dummy("19450312", vr="DA")
        (True, True, True, False)
    """
    if is_empty(value):
        return True
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return all(is_dummy(part, vr=vr) for part in value)
    if isinstance(value, bytes | bytearray | Dataset):
        return False
    text = str(value).strip(" \0^=")
    if vr == "UI":
        return text.startswith((UID_ROOT, "1.2.840.10008."))
    if vr in ("DA", "DT", "TM"):
        return bool(_ZERO_DATE.fullmatch(text))
    if vr in ("DS", "IS", "US", "UL", "SS", "SL", "FL", "FD"):
        return text.strip("0.+-") == ""
    return text.lower() in _NOTHING or bool(PSEUDONYM.fullmatch(text))
