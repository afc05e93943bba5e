# SPDX-License-Identifier: Apache-2.0
"""Labels: 1 present, 0 absent, NaN unknown; findings have names, never positions."""

import re
from collections.abc import Sequence

from medsetu.core.errors import ConfigError

POSITIVE = 1.0
NEGATIVE = 0.0
UNKNOWN = float("nan")


def finding_name(text: str) -> str:
    """Write a finding the way medsetu writes it: lower case, words joined by underscores.

    Example:
        >>> finding_name(" Pleural Thickening ")
        'pleural_thickening'
    """
    return re.sub(r"[^a-z0-9]+", "_", text.strip().lower()).strip("_")


def check_findings(wanted: Sequence[str], available: Sequence[str], *, where: str) -> None:
    """Refuse a list of findings that repeats a name or asks for one that does not exist.

    Args:
        wanted: Findings asked for, in head order.
        available: Findings that the data or the head offers.
        where: Key or table, for the message.

    Raises:
        ConfigError: A name is repeated, unknown, or the list is empty.
    """
    if not wanted:
        raise ConfigError(what="No finding is named", where=where, remedy="Name at least one finding")
    repeated = sorted({name for name in wanted if list(wanted).count(name) > 1})
    if repeated:
        raise ConfigError(what=f"Finding '{repeated[0]}' is named twice", where=where, remedy="Name each finding once")
    for name in wanted:
        if name not in available:
            raise ConfigError(what=f"Finding '{name}' is not available", where=where, value=name, allowed=list(available))
