# SPDX-License-Identifier: Apache-2.0
"""Read what medsetu wrote beside the tensors of a weights file, without reading a tensor. No torch here."""

import json
from pathlib import Path
from typing import Any

from medsetu.core.errors import DataError, WeightError
from medsetu.core.run import sha256_file, verify_sidecar

NOTE = "medsetu"  # key of our own note in the header of a safetensors file
LONGEST = 100_000_000  # bytes of a header; what the format allows


def read_header(path: Path) -> tuple[str, dict[str, Any], list[str]]:
    """Read the header of a safetensors file.

    Args:
        path: The file.

    Returns:
        SHA-256 of the file, medsetu's note (empty for files of others), names of the tensors.

    Raises:
        WeightError: The file is missing, no safetensors file, or not the one that was written.
    """
    try:
        verify_sidecar(path)
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if 0 < length <= LONGEST else None
        note = json.loads((header or {})["__metadata__"][NOTE]) if NOTE in (header or {}).get("__metadata__", {}) else {}
    except DataError as error:
        raise WeightError(what=error.what, where=error.where, remedy="Fetch or write the weights again") from error
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(path) from error
    if not isinstance(header, dict):
        raise _unreadable(path)
    return sha256_file(path), note, [name for name in header if name != "__metadata__"]


def _unreadable(path: Path) -> WeightError:
    return WeightError(
        what="The header of a weights file is missing or damaged", where=str(path), remedy="Fetch or write the weights again"
    )
