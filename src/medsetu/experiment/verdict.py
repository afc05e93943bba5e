# SPDX-License-Identifier: Apache-2.0
"""The verdict on a reproduction: one line per check, and PASS only where none of them differs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from medsetu.core.errors import ConfigError, ReproductionError

SAME, DIFFERS, ACCEPTED, NOTED, UNCHECKED = "same", "differs", "accepted", "noted", "not checked"
CODE, LOCK, LIBRARY, PARTS, DATA, SPLIT, LABEL, SEED, WEIGHTS, HARDWARE, NUMBERS, TRAINING = (
    "code",
    "lock",
    "library",
    "parts",
    "data",
    "split",
    "label",
    "seed",
    "weights",
    "hardware",
    "numbers",
    "training",
)
ACCEPTABLE = (CODE, LOCK, LIBRARY, PARTS)  # what a reader may say does not matter to them; numbers never are
_STYLES = {SAME: "green", DIFFERS: "bold red", ACCEPTED: "yellow", NOTED: "dim", UNCHECKED: "yellow"}
_EACH = (NUMBERS, TRAINING)  # areas whose checks are shown one by one also where they hold
_FIRST = 3  # causes that the error names


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        area: What kind of thing was checked: code, library, data, split, weights, numbers and so on.
        item: Which one.
        status: ``same``, ``differs``, ``accepted`` (differs, and the reader said that it may), ``noted`` (differs and decides nothing) or
            ``not checked``.
        recorded: What the folder says.
        found: What is there now.
        note: Why, or how far it was checked.
    """

    area: str
    item: str
    status: str
    recorded: str = ""
    found: str = ""
    note: str = ""

    @property
    def sentence(self) -> str:
        """The check in words, for the error."""
        against = f" (recorded {self.recorded}, found {self.found})" if self.recorded or self.found else ""
        return f"{self.area} {self.item}{against}{': ' if self.note else ''}{self.note}"


def compared(area: str, item: str, *, recorded: object, found: object, note: str = "", otherwise: str = DIFFERS) -> Check:
    """Compare two values.

    Args:
        area: As in ``Check``.
        item: As in ``Check``.
        recorded: What the folder says.
        found: What is there now.
        note: Said where they differ.
        otherwise: Status where they differ.

    Returns:
        The check; long hashes are shown by their first digits.

    Example:
        >>> compared("library", "numpy", recorded="2.0", found="2.1").status
        'differs'
    """
    if recorded == found:
        return Check(area, item, SAME, _short(recorded), _short(found))
    return Check(area, item, otherwise, _short(recorded), _short(found), note)


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text[:12] if len(text) in (40, 64) and not set(text) - set("0123456789abcdef") else text


def merged(checks: Iterable[Check]) -> list[Check]:
    """Join equal checks of many runs into one line that counts them; what differs stays on its own line.

    Args:
        checks: Checks of any number of runs.

    Returns:
        The checks, in order of first appearance.

    Example:
        >>> [check.note for check in merged([Check("library", "numpy", "same", "2.0", "2.0")] * 3)]
        ['3 times']
    """
    counted: dict[Check, int] = {}
    for check in checks:
        counted[check] = counted.get(check, 0) + 1
    return [check if n == 1 else replace(check, note="; ".join(filter(None, (check.note, f"{n} times")))) for check, n in counted.items()]


def accept(checks: Iterable[Check], areas: Collection[str]) -> list[Check]:
    """Let differences pass that the reader accepts.

    Args:
        checks: Checks.
        areas: Areas whose differences are accepted.

    Returns:
        The checks.

    Raises:
        ConfigError: Differences of such an area cannot be accepted.
    """
    for area in areas:
        if area not in ACCEPTABLE:
            raise ConfigError(what=f"Differences of '{area}' cannot be accepted", where="Key accept", value=area, allowed=ACCEPTABLE)
    return [replace(check, status=ACCEPTED) if check.status == DIFFERS and check.area in areas else check for check in checks]


def passed(checks: Iterable[Check]) -> bool:
    """Whether nothing differs."""
    return all(check.status != DIFFERS for check in checks)


def verdict_line(checks: Sequence[Check]) -> str:
    """Say the verdict and how much it rests on.

    Example:
        >>> verdict_line([Check("seed", "seed", "same"), Check("data", "images", "not checked")])
        'PASS: 1 check holds, 1 could not be made'
    """
    counts = {status: sum(check.status == status for check in checks) for status in _STYLES}
    parts = [f"{counts[SAME]} check{' holds' if counts[SAME] == 1 else 's hold'}"]
    parts += [f"{counts[DIFFERS]} fail{'s' if counts[DIFFERS] == 1 else ''}"] if counts[DIFFERS] else []
    parts += [f"{counts[ACCEPTED]} accepted as different"] if counts[ACCEPTED] else []
    parts += [f"{counts[UNCHECKED]} could not be made"] if counts[UNCHECKED] else []
    return f"{'PASS' if passed(checks) else 'FAIL'}: {', '.join(parts)}"


def verdict_table(checks: Sequence[Check], *, title: str) -> Group:
    """Lay out the checks for a terminal: what holds in one line per area, tables of numbers each, what fails last, where the eye ends.

    Args:
        checks: The checks.
        title: What was reproduced.

    Returns:
        What ``rich.console.Console.print`` can show.
    """
    view = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name in ("check", "verdict", "recorded", "found", "note"):
        view.add_column(name, overflow="fold")
    for area in dict.fromkeys(check.area for check in checks if check.status == SAME and check.area not in _EACH):
        held = [check.item for check in checks if check.status == SAME and check.area == area]
        view.add_row(area, Text(SAME, style=_STYLES[SAME]), "", "", held[0] if len(held) == 1 else f"{len(held)} checks")
    shown = [check for check in checks if check.status != SAME or check.area in _EACH]
    for check in sorted(shown, key=lambda one: one.status == DIFFERS):
        cells = (f"{check.area}: {check.item}", check.recorded, check.found, check.note)
        first, recorded, found, note = (Text(cell) for cell in cells)
        view.add_row(first, Text(check.status, style=_STYLES[check.status]), recorded, found, note)
    return Group(view, Text(), Text(verdict_line(checks), style="bold green" if passed(checks) else "bold red"))


def verdict_record(checks: Sequence[Check]) -> dict[str, Any]:
    """Write the verdict as plain data."""
    return {"verdict": "PASS" if passed(checks) else "FAIL", "said": verdict_line(checks), "checks": [asdict(check) for check in checks]}


def require_passed(checks: Sequence[Check], *, where: str) -> None:
    """Stop where something differs.

    Args:
        checks: The checks.
        where: What was reproduced.

    Raises:
        ReproductionError: Names the causes.
    """
    failing = [check for check in checks if check.status == DIFFERS]
    if failing:
        more = f"; and {len(failing) - _FIRST} more" if len(failing) > _FIRST else ""
        raise ReproductionError(
            what=f"Not reproduced: {'; '.join(check.sentence for check in failing[:_FIRST])}{more}",
            where=where,
            remedy="Restore what was changed, or install what is recorded; accept=[...] lets code, lock, library or parts differ",
        )
