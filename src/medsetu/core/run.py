# SPDX-License-Identifier: Apache-2.0
"""Files that survive a power cut, content keys, and the layout of a run folder."""

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from medsetu.core.errors import DataError, ResourceError

_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same words ten times faster, where PyYAML was built with libyaml


def sha256_bytes(data: bytes) -> str:
    """Hash bytes.

    Example:
        >>> sha256_bytes(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hash a file in one pass without loading it whole."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_key(value: Any, *, length: int = 16) -> str:  # noqa: ANN401 - any JSON-like value
    """Hash plain data (dict, list, str, number, None) by content, independent of key order.

    Args:
        value: JSON-like data; tuples count as lists.
        length: Number of hexadecimal digits.

    Returns:
        The key.

    Example:
        >>> content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return sha256_bytes(text.encode())[:length]


def atomic_write(path: Path, data: bytes, *, sidecar: bool = False) -> Path:
    """Write a file so that a reader sees the old content or the new, never a part.

    Temporary file in the target directory, fsync, ``os.replace``, fsync of the directory.

    Args:
        path: Target.
        data: Content.
        sidecar: Also write ``<name>.sha256``, which ``verify_sidecar`` compares.

    Returns:
        The path.

    Raises:
        ResourceError: The disk is full, or the folder cannot be written.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
        raise ResourceError(
            what=f"A file could not be written ({error.strerror or type(error).__name__})",
            where=str(path),
            remedy="Free disk space or correct the permissions, then start the same command again: finished work is kept",
        ) from error
    if sidecar:
        atomic_write(_sidecar(path), f"{sha256_bytes(data)}  {path.name}\n".encode())
    return path


def write_json(path: Path, value: Any) -> Path:  # noqa: ANN401 - any JSON-like value
    """Write plain data as indented JSON, atomically; NaN is written as null."""
    return atomic_write(path, (json.dumps(_without_nan(value), indent=2, sort_keys=False, default=str) + "\n").encode())


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Give data back as ``write_json`` would have written it and JSON reads it.

    Example:
        >>> plain({1: (float("nan"), "a")})
        {'1': [None, 'a']}
    """
    return json.loads(json.dumps(_without_nan(value), default=str))


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever plain data the file holds
    """Read plain data from YAML, safely.

    Args:
        path: A UTF-8 file.

    Returns:
        Dicts, lists, strings, numbers and None.

    Raises:
        OSError: It cannot be read.
        yaml.YAMLError: It is no YAML, or asks for an object.
    """
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE)  # noqa: S506 - a safe loader in C or in Python


def verify_sidecar(path: Path, *, required: bool = False) -> None:
    """Compare a file with the SHA-256 beside it.

    Args:
        path: The file.
        required: Refuse a file without one, which passes otherwise.

    Raises:
        DataError: The bytes are not those that were written.
    """
    beside = _sidecar(path)
    if not beside.is_file() and not required:
        return
    promised = beside.read_text().split() if beside.is_file() else []
    if not promised or sha256_file(path) != promised[0]:
        raise DataError(
            what=f"A file is not the one that was written: its SHA-256 {'differs' if beside.is_file() else 'is missing'}",
            where=str(path),
            remedy="Remove it and run the verb that writes it again",
        )


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and value != value:  # the definition of NaN
        return None
    return value


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of one run lie.

    Attributes:
        path: The folder of the run.
    """

    path: Path

    @property
    def recipe(self) -> Path:
        """Resolved configuration, saved before anything runs."""
        return self.path / "recipe.yaml"

    @property
    def provenance(self) -> Path:
        """Versions, hashes, seeds and label budget."""
        return self.path / "provenance.json"

    @property
    def checkpoints(self) -> Path:
        """Weights of each stage (safetensors)."""
        return self.path / "checkpoints"

    @property
    def predictions(self) -> Path:
        """Long table of scores."""
        return self.path / "predictions.parquet"

    @property
    def features(self) -> Path:
        """Penultimate features of the evaluated samples."""
        return self.path / "features.npz"

    @property
    def results(self) -> Path:
        """Long table of metrics."""
        return self.path / "results.parquet"

    @property
    def report(self) -> Path:
        """Self-contained HTML report."""
        return self.path / "report.html"

    @property
    def done(self) -> Path:
        """Written last: the run is finished and need not run again."""
        return self.path / "done.json"
