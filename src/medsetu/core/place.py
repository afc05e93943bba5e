# SPDX-License-Identifier: Apache-2.0
"""Where the house keeps its configuration (beside the package in a wheel, at the top of a checkout), and which revision it is."""

import subprocess
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
