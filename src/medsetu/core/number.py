# SPDX-License-Identifier: Apache-2.0
"""Numbers as a person types them."""

from collections.abc import Mapping
from typing import Any

from medsetu.core.errors import ConfigError


def whole(config: Mapping[str, Any], key: str, *, least: int = 0) -> int:
    """Read a whole number of a configuration.

    Args:
        config: Resolved configuration of a verb.
        key: Its key.
        least: Smallest value that is possible.

    Returns:
        The number.

    Raises:
        ConfigError: It is no whole number, or too small.

    Example:
        >>> whole({"workers": 2}, "workers")
        2
    """
    return as_whole(config[key], key, least=least)


def as_whole(value: object, key: str, *, least: int = 0) -> int:
    """Take a value as a whole number, or refuse it by the name of its key.

    Args:
        value: As YAML gives it.
        key: Its key, for the message.
        least: Smallest value that is possible.

    Returns:
        The number.

    Raises:
        ConfigError: It is no whole number, or too small.

    Example:
        >>> as_whole(2, "seed")
        2
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            what=f"The value {value} of '{key}' is not possible", where=f"Key {key}", remedy=f"Write a whole number, {least} or more"
        )
    return value
