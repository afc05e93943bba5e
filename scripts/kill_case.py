# SPDX-License-Identifier: Apache-2.0
"""A configuration that ``scripts/kill_resume.py`` kills and resumes, what came of it, and the file and table of both."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One configuration that is killed.

    Attributes:
        strategy: Name of a file in configs/tuning.
        workers: Loader processes.
        ema: Decay of the averaged weights; 0 is off.
        accumulate: Batches per update.
        processes: Devices that train together.
        craft: Name in ``CRAFT`` of ``scripts/kill_resume.py``.
    """

    strategy: str
    workers: int = 0
    ema: float = 0.0
    accumulate: int = 1
    processes: int = 1
    craft: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kills: Attempts that were killed.
        in_save: Of those, killed at a system call of a save.
        resumes: Attempts that found a resume file.
        differs: Whether a weight, or what was chosen, differs in the end.
    """

    kills: int
    in_save: int
    resumes: int
    differs: bool


def known(path: Path | None) -> dict[Case, Outcome]:
    """Read what earlier calls have left; the last line is dropped where a kill has cut it."""
    if path is None or not path.is_file():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return {Case(**line["case"]): Outcome(**line["found"]) for line in lines}


def keep(case: Case, found: Outcome, path: Path | None) -> None:
    """Add a configuration to the file."""
    if path is not None:
        with path.open("a") as handle:
            handle.write(json.dumps({"case": asdict(case), "found": asdict(found)}) + "\n")


def table(rows: dict[Case, Outcome]) -> str:
    """Write the configurations as Markdown, with their sum."""
    head = ["strategy", "further", "workers", "EMA", "accumulate", "processes", "kills", "of them in a save", "resumes", "differing"]
    lines = [head, ["---"] * len(head)]
    for case, found in rows.items():
        settings = [case.strategy, case.craft, case.workers, f"{case.ema:g}", case.accumulate, case.processes]
        lines.append([*map(str, settings), *(str(int(number)) for number in asdict(found).values())])
    sums = [sum(int(getattr(found, name)) for found in rows.values()) for name in ("kills", "in_save", "resumes", "differs")]
    lines.append(["all", *[""] * 5, *map(str, sums)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
