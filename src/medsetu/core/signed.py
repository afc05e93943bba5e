# SPDX-License-Identifier: Apache-2.0
"""JSON files that carry their own SHA-256, so that a changed or half-lost one is refused instead of believed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsetu.core.errors import DataError
from medsetu.core.run import content_key, write_json

_DIGEST = "sha256"


def signature(value: Mapping[str, Any]) -> str:
    """Hash plain data by content.

    Args:
        value: JSON-like data without NaN.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> signature({"a": 1, "b": 2}) == signature({"b": 2, "a": 1})
        True
    """
    return content_key(value, length=64)


def write_signed(path: Path, value: Mapping[str, Any]) -> str:
    """Write plain data with its hash, atomically.

    Args:
        path: Target, ending in .json.
        value: JSON-like data without NaN and without a key ``sha256``.

    Returns:
        The hash.

    Raises:
        ResourceError: The file cannot be written.
    """
    digest = signature(value)
    write_json(path, {**value, _DIGEST: digest})
    return digest


def read_signed(path: Path, *, name: str, remedy: str) -> tuple[dict[str, Any], str]:
    """Read what ``write_signed`` wrote.

    Args:
        path: The file.
        name: What it is, for the message.
        remedy: What to do when it is damaged.

    Returns:
        The data without its hash, and the hash.

    Raises:
        DataError: The file cannot be read, is no JSON, or its content is not what was written.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        value = None
    digest = value.pop(_DIGEST, "") if isinstance(value, dict) else ""
    if not isinstance(value, dict) or signature(value) != digest:
        raise DataError(what=f"The {name} is damaged or was changed: its SHA-256 differs", where=str(path), remedy=remedy)
    return value, str(digest)
