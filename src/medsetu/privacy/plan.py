# SPDX-License-Identifier: Apache-2.0
"""What an audit is asked to accept and to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medsetu.core.errors import ConfigError
from medsetu.privacy.profile import check_options


@dataclass(frozen=True)
class AuditPlan:
    """Settings of an audit.

    Attributes:
        retain: Options of the profile that are agreed upon, names of ``profile.OPTIONS``; what they keep is no finding.
        trust_claims: Also accept the options a file declares of itself in (0012,0064).
        safe_private: Private elements known to be harmless, as ``CREATOR/ee`` with two hexadecimal digits of the element.
        pixels: Look for text burned into the pixels.
    """

    retain: tuple[str, ...] = ()
    trust_claims: bool = True
    safe_private: frozenset[tuple[str, int]] = frozenset()
    pixels: bool = True

    @property
    def stated(self) -> list[object]:
        """The settings as plain values, the same in every process; a set is printed in another order in each."""
        return [list(self.retain), self.trust_claims, sorted(map(list, self.safe_private)), self.pixels]


def audit_plan(
    *, retain: Sequence[str] = (), trust_claims: bool = True, safe_private: Sequence[str] = (), pixels: bool = True
) -> AuditPlan:
    """Check the settings of an audit.

    Args:
        retain: Names of options.
        trust_claims: Accept what files declare.
        safe_private: ``CREATOR/ee``.
        pixels: Look at pixels.

    Returns:
        The plan.

    Raises:
        ConfigError: An option is unknown, or a private element is not written as ``CREATOR/ee``.

    Example:
        >>> audit_plan(safe_private=["Philips PET Private Group/00"]).safe_private
        frozenset({('Philips PET Private Group', 0)})
    """
    return AuditPlan(tuple(sorted(check_options(retain))), trust_claims, frozenset(map(_private, safe_private)), pixels)


def _private(text: Any) -> tuple[str, int]:  # noqa: ANN401 - YAML
    creator, _, element = str(text).rpartition("/")
    try:
        number = int(element, 16)
    except ValueError:
        number = -1
    if not creator or not 0 <= number <= 0xFF:
        raise ConfigError(
            what="A private element is not written as creator and element",
            where="Key safe_private",
            remedy="Write CREATOR/ee, for example 'Philips PET Private Group/00'",
        )
    return creator, number
