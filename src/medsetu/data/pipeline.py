# SPDX-License-Identifier: Apache-2.0
"""The deterministic part of the input, as data: what is done to an image before it is cached, and the key of that."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata, resources
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import medsetu
from medsetu.core.errors import ConfigError
from medsetu.core.run import content_key, sha256_bytes
from medsetu.data.intensity import Intensity

SCHEMA = 1  # layout of the cache files
FITS = ("pad", "crop", "stretch")
CUTS = ("none", "breast")
STORAGES: dict[str, float] = {"uint8": 255.0, "uint16": 65535.0, "float16": 1.0}  # dtype -> stored value of intensity 1
_LIBRARIES = ("monai", "torch", "pillow", "pydicom")
_CODE = (("medsetu.reader", ""), ("medsetu.data", "breast.py pipeline.py transform.py volume.py intensity.py"))


class InputSpec(Protocol):
    """What a network wants to see; ``medsetu.backbone.spec.InputSpec`` is one."""

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width, pixels; depth, height and width, voxels, of a network of volumes."""

    @property
    def channels(self) -> int:
        """1 (grey) or 3."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, of intensities in [0, 1]."""

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, of intensities in [0, 1]."""


@dataclass(frozen=True)
class Pipeline:
    """Deterministic steps: read, cut, resize with antialiasing, intensity steps, pad or crop, store.

    Attributes:
        size: Height and width of the result, pixels; or depth, height and width, voxels, where samples are volumes.
        fit: ``pad`` (whole image, black borders), ``crop`` (fill, cut the longer side) or ``stretch`` (aspect not kept). The aspect of a
            volume is that in millimetres.
        intensity: Intensity steps, in order.
        storage: ``uint8``, ``uint16`` or ``float16``.
        window: Values of a volume that become 0 and 1, in its unit (HU of a CT); None: what ``reader.volume.to_unit_range`` says.
        cut: ``none``, or ``breast``: the rectangle around it, see ``breast.breast_region``; volumes are always whole.

    Raises:
        ConfigError: A value is not one of those allowed.
    """

    size: tuple[int, ...]
    fit: str = "pad"
    intensity: Sequence[Intensity] = ()
    storage: str = "uint16"
    window: tuple[float, float] | None = None
    cut: str = "none"

    def __post_init__(self) -> None:
        chosen = (("fit", self.fit, FITS), ("storage", self.storage, tuple(STORAGES)), ("cut", self.cut, CUTS))
        for key, value, allowed in chosen:
            if value not in allowed:
                raise ConfigError(what=f"'{value}' is not a value of {key}", where=f"Key data.{key}", value=value, allowed=allowed)

    def describe(self) -> dict[str, Any]:
        """Write down everything that decides the pixels, as plain data.

        Library versions and the program text of readers and steps are part of it, so that nobody has to bump a number by hand.
        """
        steps = [{"name": type(step).__qualname__, **asdict(step)} for step in self.intensity]  # type: ignore[call-overload]
        return {
            "schema": SCHEMA,
            "size": list(self.size),
            "fit": self.fit,
            "intensity": steps,
            "storage": self.storage,
            **({} if self.window is None else {"window": list(self.window)}),
            **({} if self.cut == "none" else {"cut": self.cut}),
            "libraries": {"medsetu": medsetu.__version__, **{name: metadata.version(name) for name in _LIBRARIES}},
            "code": _code_hash(),
        }

    @property
    def key(self) -> str:
        """Content key of ``describe``."""
        return content_key(self.describe())

    def encode(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        """Store intensities.

        Args:
            pixels: Intensities in [0, 1].

        Returns:
            The same shape in the storage dtype; rounded, not cut, to the nearest level.

        Example:
            >>> Pipeline((1, 1), storage="uint8").encode(np.array([0.0, 0.5, 1.0], dtype=np.float32)).tolist()
            [0, 128, 255]
        """
        scaled = np.clip(pixels, 0, 1) * np.float32(STORAGES[self.storage])
        return (scaled if self.storage == "float16" else np.rint(scaled)).astype(self.storage)

    @property
    def scale(self) -> float:
        """Factor that turns a stored value into an intensity."""
        return 1.0 / STORAGES[self.storage]


@cache
def _code_hash() -> str:
    texts: list[str] = []
    for package, names in _CODE:
        files = sorted(resources.files(package).iterdir(), key=lambda file: file.name)
        texts += [
            sha256_bytes(file.read_bytes()) for file in files if file.name in (names.split() or [file.name]) and file.name.endswith(".py")
        ]
    return content_key(texts)
