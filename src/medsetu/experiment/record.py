# SPDX-License-Identifier: Apache-2.0
"""What runs and outcomes write down of themselves: the environment they were made in, and the hashes of their parts. No torch here."""

import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medsetu import __version__
from medsetu.core.place import code_revision, lock_hash, source_hash
from medsetu.core.run import RunFolder, sha256_file
from medsetu.core.signed import write_signed

OUTCOME, RECIPE, PREDICTIONS = "outcome.json", "recipe.yaml", "predictions.parquet"  # in the folder of an outcome
CONTEST = "contest.json"  # what a tournament rests on, in its folder
FORMAT = 1
TABLE_PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy")  # from predictions to tables
PACKAGES = (
    *TABLE_PACKAGES,
    "hydra-core",
    "lightly",
    "monai",
    "optuna",
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
    return {
        "medsetu": __version__,
        "git": code_revision(),
        "source": source_hash(),
        "lock": lock_hash(),
        "python": sys.version.split()[0],
        "packages": {name: found for name in sorted(PACKAGES) if (found := _installed(name))},
    }


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


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


def write_record(folder: Path, parts: Sequence[str], *, runs: Sequence[RunFolder], facts: Mapping[str, Any], name: str = OUTCOME) -> str:
    """Write down what an outcome rests on, signed: its runs with the hash of their predictions, its files, its environment.

    Args:
        folder: Folder of the outcome.
        parts: Names of its files.
        runs: The runs behind it.
        facts: What else must be known to derive it again: verb, recipe, manifest, labels, standing.
        name: Name of the record.

    Returns:
        The hash of the record.

    Raises:
        ResourceError: The folder cannot be written.
    """
    files = part_hashes(folder, [folder / part for part in parts])
    behind = {run.path.name: sha256_file(run.predictions) for run in runs}
    return write_signed(folder / name, {"format": FORMAT, **facts, "runs": behind, "files": files, **environment()})
