# SPDX-License-Identifier: Apache-2.0
"""Read one card, of a release or of weights, from a YAML file into its dataclass, and refuse what does not belong on it."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from medsetu.core.errors import ConfigError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader reads all cards in a tenth of the time
Value = Callable[[str, Any, Path], Any]


def read_entry(path: Path, kind: type[Any], *, value: Value) -> dict[str, Any]:
    """Read the fields of a card.

    Args:
        path: YAML file.
        kind: Dataclass of the card; its fields are the only keys allowed, those without a default must be there.
        value: Types one value: key, raw value, path of the file.

    Returns:
        Typed values by field, ready for ``kind``.

    Raises:
        ConfigError: The file is no YAML mapping, a key does not belong on the card, or one is absent.
    """
    try:
        raw = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader, in C where it is there
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise wrong(path, what="The card is not valid YAML") from error
    if not isinstance(raw, Mapping):
        raise wrong(path, what="The card is not a list of keys and values")
    known = {field.name: field.default is MISSING for field in fields(kind)}
    for key in raw:
        if key not in known:
            raise ConfigError(what=f"The key '{key}' does not belong on a card", where=str(path), value=str(key), allowed=list(known))
    absent = [name for name, required in known.items() if required and name not in raw]
    if absent:
        raise wrong(path, what=f"The card says nothing of '{absent[0]}'", remedy=f"Write `{absent[0]}: null` where it is not known")
    return {key: value(key, item, path) for key, item in raw.items()}


def require_name(name: str, path: Path) -> None:
    """Refuse a card whose name is not the stem of its file.

    Raises:
        ConfigError: They differ.
    """
    if name != path.stem:
        raise wrong(path, what=f"The card is named '{name}' but its file is not", remedy=f"Write `name: {path.stem}`")


def choice(key: str, value: Any, path: Path, *, allowed: tuple[str, ...]) -> str:  # noqa: ANN401 - a YAML value
    """Take one of a few words; YAML's own yes and no become words again.

    Raises:
        ConfigError: It is none of them.

    Example:
        >>> choice("research_use", True, Path("card.yaml"), allowed=("yes", "no", "ask"))
        'yes'
    """
    word = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
    if word not in allowed:
        raise ConfigError(what=f"The value of '{key}' is not one of its words", where=str(path), value=str(word), allowed=allowed)
    return str(word)


def wrong(path: Path, *, what: str, remedy: str = "Correct the card, or compare it with a card that came with medsetu") -> ConfigError:
    """Build the error for a card that is wrong."""
    return ConfigError(what=what, where=str(path), remedy=remedy)
