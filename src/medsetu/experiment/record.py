# SPDX-License-Identifier: Apache-2.0
"""What runs and outcomes write down of themselves: the environment they were made in, and the hashes of their parts. No torch here."""

import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from medsetu import __version__
from medsetu.core.place import code_revision, lock_hash, source_hash
from medsetu.core.run import sha256_file

TABLE_PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy")  # from predictions to tables
PACKAGES = (
    *TABLE_PACKAGES,
    "hydra-core",
    "lightly",
    "monai",
    "peft",
    "pillow",
    "pydicom",
    "pylibjpeg-openjpeg",
    "python-gdcm",
    "pytorch-lightning",
    "safetensors",
    "timm",
    "torch",
    "torchvision",
    "torchxrayvision",
    "wandb",
)


def environment() -> dict[str, Any]:
    """Say which code and which libraries run here.

    Returns:
        ``medsetu`` and ``git`` (versions), ``source`` (hash of the source files), ``lock`` (hash of the lock file, empty without one),
        ``python``, and ``packages`` (name -> version of those that are installed).
    """
    installed = {str(one.name).lower(): one.version for one in distributions()}
    return {
        "medsetu": __version__,
        "git": code_revision(),
        "source": source_hash(),
        "lock": lock_hash(),
        "python": sys.version.split()[0],
        "packages": {name: installed[name] for name in sorted(PACKAGES) if name in installed},
    }


def machine() -> dict[str, Any]:
    """Say on which kind of machine this runs: architecture, processor and cores, nothing that names it."""
    return {"machine": platform.machine(), "processor": _processor(), "cores": os.cpu_count()}


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines() if listing.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def part_hashes(folder: Path, parts: Iterable[Path]) -> dict[str, str]:
    """Hash files of a folder.

    Args:
        folder: The folder.
        parts: Files in it; those that are not there are left out.

    Returns:
        Relative path with forward slashes -> SHA-256.
    """
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in parts if path.is_file()}
