# SPDX-License-Identifier: Apache-2.0
"""Where the house keeps its configuration (beside the package in a wheel, at the top of a checkout), and which revision it is."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path

from medsetu.core.errors import ResourceError

_PACKAGE = Path(__file__).resolve().parents[1]


def config_folder() -> Path:
    """Find the folder ``configs/`` that came with this copy of medsetu.

    An installed wheel carries it inside the package (``medsetu/configs``), a checkout at its top (``configs``).

    Returns:
        The folder.

    Raises:
        ResourceError: The installation is incomplete.

    Example:
        >>> config_folder().name
        'configs'
    """
    for folder in (_PACKAGE / "configs", _PACKAGE.parents[1] / "configs"):
        if folder.is_dir():
            return folder
    raise ResourceError(
        what="The configuration folder that belongs to medsetu is missing",
        where=str(_PACKAGE / "configs"),
        remedy="Install medsetu again from its wheel or from a complete checkout",
    )


def code_revision() -> str:
    """Say which revision of the code runs.

    Returns:
        The git revision of the checkout, with ``-dirty`` after uncommitted changes; empty for an installed wheel.
    """
    top = _PACKAGE.parents[1]
    if not (top / ".git").exists():
        return ""
    command = ["git", "-C", str(top), "describe", "--always", "--dirty", "--abbrev=40"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    return found.stdout.strip()


@cache
def source_hash() -> str:
    """Hash the source files of this copy of medsetu: equal for a checkout and a wheel of one revision, and it knows uncommitted changes.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\x1f".encode() + path.read_bytes() + b"\x1e")
    return digest.hexdigest()


def lock_path() -> Path | None:
    """Find ``requirements.lock`` of the checkout; None for an installed wheel, which carries none."""
    lock = _PACKAGE.parents[1] / "requirements.lock"
    return lock if lock.is_file() else None


def lock_hash() -> str:
    """Hash ``requirements.lock`` of the checkout; empty for an installed wheel."""
    lock = lock_path()
    return "" if lock is None else hashlib.sha256(lock.read_bytes()).hexdigest()
