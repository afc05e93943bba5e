# SPDX-License-Identifier: Apache-2.0
"""A sealed analysis plan on disk: written once, refused when it was changed, and compared field by field with what is done later."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.signed import read_signed, write_signed

log = logging.getLogger(__name__)

FORMAT = 1
_COMPARED = ("recipe", "manifest", "seeds", "arms", "sides", "test", "code", "settings")
_DECLARED = ("primary", "thresholds", "power")  # what a person declares; nothing done later can deviate from it
_REMEDY = "Restore it from a copy; a plan that was changed is no longer the one that was sealed"


@dataclass(frozen=True)
class Seal:
    """A sealed plan.

    Attributes:
        date: Day of the seal, ISO 8601, UTC.
        sha256: Hash of everything in it, the date included.
        openings: Entries of the ledger when it was sealed; 0 for a plan that came before the test.
        plan: What was sealed.
    """

    date: str
    sha256: str
    openings: int
    plan: Mapping[str, Any]


def seal_path(runs: Path, recipe: str) -> Path:
    """Say where the seal of a recipe lies."""
    return runs / recipe / "seal.json"


def seal_plan(path: Path, plan: Mapping[str, Any], *, openings: int, late: bool) -> Seal:
    """Seal a plan, or find it sealed.

    Args:
        path: What ``seal_path`` says.
        plan: What ``plan_of`` and ``primary_of`` wrote.
        openings: Entries of the ledger so far.
        late: Seal even where there are some.

    Returns:
        The seal.

    Raises:
        ConfigError: Another plan is sealed, or the test was opened and ``late`` is not set.
        DataError: The former seal is damaged or was changed.
        ResourceError: The folder cannot be written.
    """
    before = read_seal(path)
    if before is not None:
        different = [field for field, _, _ in deviations(before.plan, plan)]
        different += [key for key in _DECLARED if plan[key] != before.plan[key]]
        if not different:
            log.info("The plan is sealed already")
            return before
        raise ConfigError(
            what=f"Another plan was sealed on {before.date}; it differs in {', '.join(different)}",
            where=str(path),
            remedy="Run the study even so: its report names each deviation. A new plan needs a recipe with a new name",
        )
    if openings and not late:
        raise ConfigError(
            what=f"The test was opened before, {openings} time{'s' if openings > 1 else ''}: this plan was not fixed before it",
            where="Key late",
            remedy="Give late=true to seal it even so; the seal and every report then say after how many openings",
        )
    today = datetime.now(tz=UTC).date().isoformat()
    digest = write_signed(path, {"format": FORMAT, "sealed_on": today, "sealed_after_openings": openings, "plan": plan})
    return Seal(today, digest, openings, plan)


def read_seal(path: Path) -> Seal | None:
    """Read a seal.

    Args:
        path: What ``seal_path`` says.

    Returns:
        The seal; None where there is none.

    Raises:
        DataError: It is damaged, or was changed after it was sealed.
    """
    if not path.exists():
        return None
    value, digest = read_signed(path, name="seal", remedy=_REMEDY)
    if value.get("format") != FORMAT:
        raise DataError(what="The seal is of another version of medsetu", where=str(path), remedy="Read it with the version that wrote it")
    return Seal(str(value["sealed_on"]), digest, int(value["sealed_after_openings"]), value["plan"])


def deviations(sealed: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name every field in which two plans differ.

    Args:
        sealed: The sealed plan.
        now: The plan as it is now.

    Returns:
        Field, what was sealed, what is now; "nothing" where one of them lacks the field.

    Example:
        >>> deviations({"seeds": [0, 1], "test": {}}, {"seeds": [0], "test": {}})
        [('seeds', '[0, 1]', '[0]')]
    """
    before, after = (dict(leaf for name in _COMPARED if name in plan for leaf in _leaves(name, plan[name])) for plan in (sealed, now))
    fields = [name for name in {**before, **after} if name not in before or name not in after or before[name] != after[name]]
    return [(name.removeprefix("settings."), _word(before.get(name, "nothing")), _word(after.get(name, "nothing"))) for name in fields]


def describe(sealed: Seal) -> list[str]:
    """Say what was sealed, and when.

    Args:
        sealed: The seal.

    Returns:
        Sentences.
    """
    primary, power = sealed.plan["primary"], sealed.plan["power"]
    late = f" It was sealed after {sealed.openings} opening{'s' if sealed.openings > 1 else ''} of the test, not before."
    patients = "; ".join(f"{side}: {pair['present']} with, {pair['absent']} without" for side, pair in power["patients"].items())
    return [
        f"Plan sealed on {sealed.date}, SHA-256 {sealed.sha256}.{late if sealed.openings else ''}",
        f"Primary: {primary['finding']}, {primary['metric']}, {primary['contrast']} ({primary['formula']}), {primary['hypothesis']} at a "
        f"margin of {primary['margin']:g}, intervals at level {primary['level']:g}.",
        f"Thresholds: {sealed.plan['thresholds']}.",
        f"Planned power, expecting an AUROC of {power['auroc']:g}: {_word(power['non-inferiority'])} to show equal arms non-inferior, "
        f"{_word(power['difference'])} to find a difference as large as the margin ({patients}). A power of {power['wanted']:g} for that "
        f"difference takes {_word(power['needed_per_class'])} patients per class.",
    ]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    else:
        yield name, value


def _word(value: Any) -> str:  # noqa: ANN401 - JSON
    return "unknown" if value is None else str(value)
