# SPDX-License-Identifier: Apache-2.0
"""Read a weights file safely: bytes are hashed before they are parsed, and nothing in them is ever executed."""

import io
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from medsetu.backbone.header import NOTE
from medsetu.backbone.pickled import read_pickled_module
from medsetu.core.errors import DataError, WeightError
from medsetu.core.run import sha256_bytes, verify_sidecar

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar")
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_PREFIXES = ("module.", "_orig_mod.")  # DistributedDataParallel and torch.compile

_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OSError,
)

State = dict[str, Tensor]


@dataclass(frozen=True)
class Stored:
    """What a weights file holds.

    Attributes:
        state: Tensors by name.
        sha256: Of the file's bytes.
        note: What medsetu wrote beside the tensors; empty for files of others.
    """

    state: State
    sha256: str
    note: dict[str, Any] = field(default_factory=dict)


def read_stored(path: Path, *, sha256: str | None = None, module_classes: Sequence[str] = (), entry: str = "") -> Stored:
    """Read a weights file: .safetensors, or .pt, .pth, .bin, .ckpt with ``weights_only=True``.

    The bytes are read once, compared with ``sha256``, with the ``.sha256`` file beside them and, in files of medsetu, with the digest in
    the header; only then are they parsed.

    Args:
        path: The file.
        sha256: Expected digest, or its first digits (at least 8); None when the caller knows none.
        module_classes: Names of the classes in an old file that holds a whole module; it is read without building any of them.
        entry: Key of the wanted set of tensors in a training checkpoint that holds several, such as ``teacher``; else the usual ones.

    Returns:
        Tensors on the CPU, the digest and medsetu's note.

    Raises:
        WeightError: The file is missing, of another kind, damaged, not the promised one, or would have to be executed to be read.
    """
    if not path.is_file():
        raise WeightError(what="A weights file is missing", where=str(path), remedy="Correct the path")
    if path.suffix != ".safetensors" and path.suffix not in PICKLED:
        raise WeightError(
            what=f"A file ending in '{path.suffix}' is not read as weights: it may hold a program",
            where=str(path),
            remedy="Save the state dict as .safetensors where the file was made, and give that",
        )
    try:
        verify_sidecar(path)
    except DataError as error:
        raise WeightError(what=error.what, where=error.where, remedy="Fetch or write the weights again") from error
    data = path.read_bytes()
    digest = sha256_bytes(data)
    if sha256 is not None and (len(sha256) < 8 or not digest.startswith(sha256.lower())):
        raise WeightError(
            what=f"The weights are not the promised ones: SHA-256 is {digest}, expected {sha256}",
            where=str(path),
            remedy="Fetch the file again from its publisher; change backbone.sha256 only if you trust this file",
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(data, path, digest)
    return Stored(state=_tensors(_unpickle(data, path, module_classes), path, entry), sha256=digest)


def state_digest(state: Mapping[str, Tensor], note: Mapping[str, Any]) -> str:
    """Hash tensors and note together, independent of the file around them.

    Args:
        state: Tensors by name, on the CPU, contiguous.
        note: Plain data; an own ``digest`` in it is left out.

    Returns:
        SHA-256, hexadecimal.

    Example:
        >>> one = {"a": torch.zeros(2)}
        >>> state_digest(one, {}) == state_digest({"a": torch.tensor([0.0, 1.0])}, {})
        False
    """
    plain = {key: value for key, value in note.items() if key != "digest"}
    parts = [json.dumps(plain, sort_keys=True)]
    for name in sorted(state):
        tensor = state[name]
        parts.append(f"{name} {tensor.dtype} {tuple(tensor.shape)} {sha256_bytes(tensor.numpy().tobytes())}")
    return sha256_bytes("\n".join(parts).encode())


def _read_safetensors(data: bytes, path: Path, digest: str) -> Stored:
    try:
        state = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        note = json.loads(header.get(NOTE, "{}"))
    except (SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    if note and note.get("digest") != state_digest(state, note):
        raise WeightError(
            what="The weights are damaged: they do not match the digest in their own header", where=str(path), remedy="Write them again"
        )
    return Stored(state=state, sha256=digest, note=note)


def _unpickle(data: bytes, path: Path, module_classes: Sequence[str]) -> object:
    try:
        try:
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            if not module_classes:
                raise
            return read_pickled_module(data, classes=module_classes)
    except _UNREADABLE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightError:
    return WeightError(
        what=f"The weights cannot be read without executing them, or are damaged ({type(error).__name__})",
        where=str(path),
        remedy="Save the state dict as .safetensors where the file was made, and give that",
    )


def _tensors(content: object, path: Path, entry: str) -> State:
    """Unwrap the usual training checkpoints down to tensors by name; a wanted entry is never replaced by another one."""
    if entry and isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
        content = content[entry]
    elif entry and isinstance(content, Mapping) and any(isinstance(content.get(key), Mapping) for key in _WRAPPERS):
        raise WeightError(
            what=f"The file holds no tensors under '{entry}'", where=str(path), remedy="Give the checkpoint that its authors published"
        )
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, Mapping) else {}
    if not state:
        raise WeightError(what="The file holds no tensors by name", where=str(path), remedy="Save `model.state_dict()` and give that")
    return {_without_prefix(name): value for name, value in state.items()}


def _without_prefix(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name
