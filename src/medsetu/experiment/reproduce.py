# SPDX-License-Identifier: Apache-2.0
"""``medsetu reproduce``: is a run, a study or a capsule still what it says, and do its numbers follow?"""

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from medsetu.core.errors import ConfigError
from medsetu.core.number import whole
from medsetu.core.run import RunFolder, content_key, read_yaml, write_json
from medsetu.core.signed import read_signed
from medsetu.experiment.design import CURVE
from medsetu.experiment.evidence import finished_runs
from medsetu.experiment.journal import journal
from medsetu.experiment.number import TOLERANCE
from medsetu.experiment.record import CONTEST, OUTCOME, environment
from medsetu.experiment.rematch import check_contest
from medsetu.experiment.replay import check_outcome, outcomes_of
from medsetu.experiment.verdict import CODE, LIBRARY, SAME, UNCHECKED, Check, accept, merged, require_passed, verdict_record, verdict_table
from medsetu.experiment.verify import Source, Sources, check_run
from medsetu.recipe.plan import DATA_SPEED

log = logging.getLogger(__name__)
REPORT = "reproduction.json"
_DECIDING = ("stages", "backbone", "manifest", "split_seed", "evaluation", "arms")


@dataclass(frozen=True)
class Target:
    """What is reproduced.

    Attributes:
        name: How the reader called it.
        runs: Runs.
        outcomes: Folders of tables that rest on them.
        output: Where the verdict goes.
        left_out: Files that a capsule leaves out, with the reason.
        manifest: Fingerprint of the manifest where a capsule was packed; empty elsewhere.
        contests: Folders of tournaments that rest on them.
    """

    name: str
    runs: Sequence[RunFolder]
    outcomes: Sequence[Path]
    output: Path
    left_out: Mapping[str, str] = field(default_factory=dict)
    manifest: str = ""
    contests: Sequence[Path] = ()


def main(config: Mapping[str, Any]) -> None:
    """Reproduce a run, an outcome, all runs of a recipe, or a capsule.

    Args:
        config: Resolved configuration of ``configs/reproduce.yaml``.

    Raises:
        ReproductionError: Something differs; the message names what.
        ConfigError: There is nothing to reproduce, or a difference that cannot be accepted is to be accepted.
        MedsetuError: Whatever retraining refuses.
    """
    begun = time.monotonic()
    accepted = [str(area) for area in config["accept"]]
    accept([], accepted)
    with ExitStack() as stack, journal():
        target = _target(config, stack)
        sources = Sources(target.left_out)
        opened = [sources.open(run) for run in target.runs]
        images = None if config["images"] is None else whole(config, "images")
        here = environment()
        checks = [check for source in opened for check in check_run(source, images=images, here=here)]
        for folder in target.outcomes:
            log.info("Deriving the tables of %s again", folder.name)
            checks += check_outcome(folder, left_out=target.left_out)
        for folder in target.contests:
            log.info("Holding the tournament of %s again", folder.name)
            checks += check_contest(folder)
        if not config["replay"]:
            checks += _retrain(config, opened, target=target, checks=checks, stack=stack)
    found = accept(merged(checks), accepted)
    output = Path(str(config["output"])).expanduser() if config["output"] else target.output
    record: dict[str, Any] = {"target": target.name, "mode": "replay" if config["replay"] else "retrain", "tolerance": TOLERANCE}
    record |= {"seconds": round(time.monotonic() - begun, 1), "accepted": accepted, **verdict_record(found), "here": here}
    write_json(output / REPORT, record)
    console = Console()
    console.print(verdict_table(found, title=f"Reproduction of {target.name}"))
    console.print(f"Every check: {output / REPORT}", markup=False, highlight=False, soft_wrap=True)
    require_passed(found, where=target.name)


def _target(config: Mapping[str, Any], stack: ExitStack) -> Target:
    given = config["run"]
    if given is None:
        return _of_recipe(config, name=str(config["name"]))
    path = Path(str(given)).expanduser()
    if path.suffix == ".yaml" and path.is_file():
        raw = read_yaml(path)
        if not isinstance(raw, dict) or not {"paths", "name", *_DECIDING} <= set(raw):
            raise ConfigError(what="The file is no resolved recipe", where=str(path), remedy="Give a recipe.yaml of a run, or recipe=NAME")
        return _of_recipe(raw, name=str(path))
    if path.suffix == ".zip":
        from medsetu.experiment.archive import unpack

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medsetu-capsule-")))
        unpack(path, folder)
        return _of_capsule(folder, name=path.name, output=path.parent / f"{path.stem}-reproduction")
    return folder_target(path)


def folder_target(path: Path) -> Target:
    """Say what a folder holds: a run, an outcome, the runs of a recipe, or an unpacked capsule.

    Raises:
        ConfigError: There is no finished run.
        DataError: The record of an outcome or of a capsule is damaged.
    """
    if (path / "capsule.json").is_file():
        return _of_capsule(path, name=path.name, output=path)
    if (path / "done.json").is_file():
        place = path.parent.parent if path.parent.name == CURVE else path.parent
        contests = outcomes_of(place, run=path.name, record=CONTEST)
        return Target(path.name, [RunFolder(path)], outcomes_of(place, run=path.name), path, contests=contests)
    if (path / CONTEST).is_file():
        record, _ = read_signed(path / CONTEST, name="record of the tournament", remedy="Run the verb that writes it again")
        runs = [RunFolder(path.parent / name) for name in record["runs"] if (path.parent / name / "done.json").is_file()]
        return Target(f"{path.parent.name}/{path.name}", runs, [], path, contests=[path])
    if (path / OUTCOME).is_file():
        record, _ = read_signed(path / OUTCOME, name="record of the outcome", remedy="Run the verb that writes it again")
        runs = [RunFolder(path.parent / name) for name in record["runs"] if (path.parent / name / "done.json").is_file()]
        contests = outcomes_of(path.parent, record=CONTEST)
        return Target(f"{path.parent.name}/{path.name}", runs, [path], path, contests=contests)
    return Target(path.name, _every(path), outcomes_of(path), path, contests=outcomes_of(path, record=CONTEST))


def _every(place: Path) -> list[RunFolder]:
    return finished_runs([place, *([place / CURVE] if (place / CURVE).is_dir() else [])])


def _of_capsule(folder: Path, *, name: str, output: Path) -> Target:
    facts, _ = read_signed(folder / "capsule.json", name="list of the capsule", remedy="Ask for the capsule again")
    place = folder / "runs" / str(facts["recipe"])
    return Target(name, _every(place), outcomes_of(place), output, facts["left_out"], str(facts["manifest"]))


def _of_recipe(raw: Mapping[str, Any], *, name: str) -> Target:
    """Find the finished runs of a recipe by its content, not by its name alone."""
    place = Path(str(raw["paths"]["runs"])).expanduser() / str(raw["name"])
    wanted = _content(raw)
    runs, nearest = [], ["no finished run is there"]
    for run in _every(place):
        saved = _content(read_yaml(run.recipe))
        other = sorted(key for key in {*wanted, *saved} if wanted.get(key) != saved.get(key))
        if not other:
            runs.append(run)
        elif nearest == ["no finished run is there"] or len(other) < len(nearest):
            nearest = other
    if not runs:
        raise ConfigError(
            what=f"No finished run has the content of this recipe; the nearest differs in {', '.join(nearest[:5])}",
            where=str(place),
            remedy="Give the overrides that the run was made with, or the folder of the run",
        )
    outcomes = {folder: None for run in runs for folder in outcomes_of(place, run=run.path.name)}
    contests = {folder: None for run in runs for folder in outcomes_of(place, run=run.path.name, record=CONTEST)}
    return Target(name, runs, list(outcomes), place, contests=list(contests))


def _content(raw: Mapping[str, Any]) -> dict[str, str]:
    """What decides the numbers of a recipe, by key; folders, speed and loggers do not."""
    settings = {name: raw[name] for name in _DECIDING}
    settings["data"] = {name: value for name, value in raw["data"].items() if name not in DATA_SPEED}
    settings["sides"] = {
        side: {name: {key: value for key, value in node.items() if key != "root"} for name, node in (releases or {}).items()}
        for side, releases in raw["sides"].items()
    }
    return _flat(settings)


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in node.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": content_key(value)}
    return found


def _retrain(
    config: Mapping[str, Any], opened: Sequence[Source], *, target: Target, checks: Sequence[Check], stack: ExitStack
) -> list[Check]:
    from medsetu.experiment.retrain import retrain  # torch is loaded only here

    sources = [source for source in opened if source.recipe is not None]
    if not sources:
        return []
    known = config["scratch"]
    scratch = Path(str(known)).expanduser() if known else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medsetu-again-")))
    exact = all(check.status in (SAME, UNCHECKED) for check in checks if check.area in (CODE, LIBRARY))
    roots = {str(name): str(root) for name, root in (config["roots"] or {}).items()}
    margin = None if config["margin"] is None else float(config["margin"])
    return retrain(sources, scratch=scratch, roots=roots, margin=margin, exact=exact, manifest=target.manifest)
