# SPDX-License-Identifier: Apache-2.0
"""Take the tensors out of a pickled torch module without running anything that is in it.

Old publishers saved the whole module instead of its state; torch refuses such files with ``weights_only=True``. Here every class of such a
file becomes an inert shell that only keeps attributes, tensors are rebuilt by our own two functions, and any other name is refused: the
restriction of globals that the documentation of ``pickle`` describes.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_HARMLESS = {("collections", "OrderedDict"): OrderedDict, ("builtins", "set"): set, ("__builtin__", "set"): set}


class _Shell:
    """Stands for an object of the file: keeps its attributes and does nothing."""

    def __new__(cls, *_: object) -> "_Shell":
        return super().__new__(cls)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


class _Waiting:
    """A storage whose bytes stand further down in an old file."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.values = torch.empty(0, dtype=dtype)


class _View:
    """A tensor over a storage, made when the bytes are there."""

    def __init__(self, storage: _Waiting, offset: int, size: Sequence[int], stride: Sequence[int]) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def tensor(self) -> Tensor:
        """Rebuild; torch itself refuses a view outside its storage."""
        return torch.as_strided(self.storage.values, self.size, self.stride, self.offset).clone()


def _rebuild_tensor(storage: _Waiting, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> _View:
    return _View(storage, offset, size, stride)


def _rebuild_parameter(data: _View, *_: object) -> _View:
    return data


_REBUILD: dict[tuple[str, str], Callable[..., object]] = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class _Reader(pickle.Unpickler):
    """Unpickler in which no name means what the file may hope for."""

    def __init__(self, stream: io.BytesIO, classes: Sequence[str]) -> None:
        super().__init__(stream, encoding="utf-8")
        self.classes = classes
        self.storages: dict[str, _Waiting] = {}

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - a type, a function or a dtype
        """Replace a global of the file, or refuse it."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _REBUILD:
            return _REBUILD[module, name]
        if (module, name) in _HARMLESS:
            return _HARMLESS[module, name]
        if module.startswith("torch.nn.") or name in self.classes:
            return _Shell
        message = f"global '{module}.{name}' is refused"
        raise pickle.UnpicklingError(message)

    def persistent_load(self, pid: Any) -> Any:  # noqa: ANN401 - a storage, or a class beside its source text
        """Hand out a storage by its key; of a class beside its source only the shell."""
        kind, what, key = pid[0], pid[1], pid[2]
        if kind == "module":
            return what
        if kind != "storage" or not isinstance(what, torch.dtype) or (len(pid) > 5 and pid[5] is not None):
            message = f"'{kind}' is refused"
            raise pickle.UnpicklingError(message)
        return self.storages.setdefault(str(key), _Waiting(what))


def read_pickled_module(data: bytes, *, classes: Sequence[str]) -> dict[str, Tensor]:
    """Read the tensors of a pickled module.

    Args:
        data: The file, as ``torch.save(module)`` wrote it: the zip format, or the one before torch 1.6.
        classes: Names of the classes, besides those of ``torch.nn``, that may stand in the file.

    Returns:
        Parameters and buffers by name, as ``module.state_dict()`` would give them.

    Raises:
        pickle.UnpicklingError: The file holds any other global, or no module.
        ValueError: The file is damaged.
    """
    module = _read_zip(data, classes) if zipfile.is_zipfile(io.BytesIO(data)) else _read_old(io.BytesIO(data), classes)
    if not isinstance(module, _Shell):
        message = "the file holds no module"
        raise pickle.UnpicklingError(message)
    return _state(module)


def _read_zip(data: bytes, classes: Sequence[str]) -> object:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        folder = next(name for name in names if name.endswith("/data.pkl")).removesuffix("data.pkl")
        reader = _Reader(io.BytesIO(archive.read(f"{folder}data.pkl")), classes)
        module = reader.load()
        for key, storage in reader.storages.items():
            storage.values = torch.frombuffer(bytearray(archive.read(f"{folder}data/{key}")), dtype=storage.dtype)
    return module


def _read_old(stream: io.BytesIO, classes: Sequence[str]) -> object:
    """Read magic number, protocol, system, object, storage keys, then for each storage its length and its values (little endian)."""
    for _ in range(3):
        _Reader(stream, ()).load()
    reader = _Reader(stream, classes)
    module = reader.load()
    keys = _Reader(stream, ()).load()
    for key in keys:
        storage = reader.storages[str(key)]
        count = int.from_bytes(stream.read(8), "little")
        raw = bytearray(stream.read(count * storage.dtype.itemsize))
        storage.values = torch.frombuffer(raw, dtype=storage.dtype, count=count)
    return module


def _state(module: _Shell, prefix: str = "") -> dict[str, Tensor]:
    own = {**vars(module).get("_parameters", {}), **vars(module).get("_buffers", {})}
    state = {f"{prefix}{name}": view.tensor() for name, view in own.items() if isinstance(view, _View)}
    for name, child in vars(module).get("_modules", {}).items():
        if isinstance(child, _Shell):
            state |= _state(child, f"{prefix}{name}.")
    return state
