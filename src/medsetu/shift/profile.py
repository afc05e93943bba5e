# SPDX-License-Identifier: Apache-2.0
"""A target product profile: what a test must reach, by which edition of which document. Configuration, never a constant."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from medsetu.core.errors import ConfigError

_SHARES = ("sensitivity", "specificity", "assumed_sensitivity", "assumed_specificity")


@dataclass(frozen=True)
class Profile:
    """What a screening test must reach.

    Attributes:
        name: Name of the profile, with its edition, as reports print it.
        edition: Year or number of the edition.
        source: Where the numbers are published.
        finding: The finding it is about.
        sensitivity: Sensitivity to be proved, in (0, 1).
        specificity: Specificity to be proved, in (0, 1).
        assumed_sensitivity: True sensitivity that the sample size assumes, above ``sensitivity``; a planning value.
        assumed_specificity: True specificity that the sample size assumes, above ``specificity``; a planning value.
        note: What a reader must know about the edition.
    """

    name: str
    edition: str
    source: str
    finding: str
    sensitivity: float
    specificity: float
    assumed_sensitivity: float
    assumed_specificity: float
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse targets that nothing could prove."""
        for key in ("sensitivity", "specificity"):
            target, truth = getattr(self, key), getattr(self, f"assumed_{key}")
            if not 0 < target < truth < 1:
                raise ConfigError(
                    what=f"A {key} of {target} cannot be proved when the truth is {truth}",
                    where=f"Key profile.assumed_{key}",
                    remedy=f"Assume a truth above the target and below 1, or lower profile.{key}",
                )


def read_profile(node: Mapping[str, Any]) -> Profile:
    """Build a profile from its configuration, ``configs/profile/<name>.yaml``.

    Args:
        node: Keys and values of the file.

    Returns:
        The profile.

    Raises:
        ConfigError: A key is missing, unknown or out of range.
    """
    known = [item.name for item in fields(Profile)]
    for key in node:
        if key not in known:
            raise ConfigError(what=f"A profile has no key '{key}'", where="Key profile", value=str(key), allowed=known)
    missing = [item.name for item in fields(Profile) if item.name != "note" and item.name not in node]
    if missing:
        raise ConfigError(
            what=f"The profile lacks '{missing[0]}'", where="Key profile", remedy="Name the edition, its source and its targets"
        )
    values: dict[str, Any] = {key: float(value) if key in _SHARES else str(value) for key, value in node.items()}
    return Profile(**values)
