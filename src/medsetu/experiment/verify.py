# SPDX-License-Identifier: Apache-2.0
"""Is a finished run still what it says: its parts, seeds, weights, data, splits and labels; and is this its code and its libraries?

Nothing is trained and no torch is imported. A check that cannot be made says so; it never counts as one that holds.
"""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from medsetu.core.errors import MedsetuError
from medsetu.core.run import RunFolder, content_key, read_yaml, sha256_file
from medsetu.experiment.design import CURVE, Cell, cell_of, split_hash, thinned_assignment
from medsetu.experiment.record import TABLE_PACKAGES, environment
from medsetu.experiment.verdict import (
    CODE,
    DATA,
    DIFFERS,
    LABEL,
    LIBRARY,
    LOCK,
    PARTS,
    SAME,
    SEED,
    SPLIT,
    UNCHECKED,
    WEIGHTS,
    Check,
    compared,
)
from medsetu.manifest.frozen import SUMMARY, load
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.recipe import Recipe, read_recipe

_CELL = ("arm", "seed", "fold", "local_share", "local_patients", "draw")  # keys of a recipe that differ between the runs of a study
CAPSULE = "capsule.json"  # at the top of an unpacked capsule


@dataclass(frozen=True)
class Source:
    """A finished run with what it rests on.

    Attributes:
        run: Its folder.
        recipe: Its recipe, as far as evaluation needs it; None where the saved recipe cannot be read.
        facts: Its provenance.
        prepared: Manifest and splits; None where they are not here.
        trouble: Why there is no manifest; empty where there is one.
        damaged: Whether a manifest is here and cannot be trusted.
        left_out: Files that a capsule leaves out, with the reason.
        memory: What was found of the manifest before; shared by the runs that rest on it.
    """

    run: RunFolder
    recipe: Recipe | None
    facts: Mapping[str, Any]
    prepared: Prepared | None
    trouble: str = ""
    damaged: bool = False
    left_out: Mapping[str, str] | None = None
    memory: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is made
        """Make what does not depend on the run, once for all runs of a manifest."""
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]

    @property
    def cell(self) -> Cell:
        """Arm, seed and fold that its provenance names."""
        return cell_of(self.facts)


class Sources:
    """Open runs, and each frozen manifest once.

    Args:
        left_out: Files that a capsule leaves out, ``<run>/<file>`` -> reason.
    """

    def __init__(self, left_out: Mapping[str, str] | None = None) -> None:
        self._left_out = left_out or {}
        self._known: dict[Path, Prepared | MedsetuError] = {}
        self._recipes: dict[str, Recipe] = {}
        self._memories: dict[Path, dict[Hashable, Any]] = {}

    def open(self, run: RunFolder) -> Source:
        """Read what a run says of itself; what cannot be read stays empty and is found by the checks."""
        try:
            facts = json.loads(run.provenance.read_text())
            raw = read_yaml(run.recipe)
            recipe = self._recipe(raw)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, MedsetuError) as error:
            return Source(run, None, {}, None, f"recipe or provenance cannot be read ({type(error).__name__})", damaged=True)
        prefix = f"{run.path.name}/"
        left_out = {name.removeprefix(prefix): why for name, why in self._left_out.items() if name.startswith(prefix)}
        place = manifest_place(run.path, raw)
        if place is None:
            return Source(run, recipe, facts, None, "the frozen manifest is not here", left_out=left_out)
        if place not in self._known:
            try:
                self._known[place] = load(place)
            except MedsetuError as error:
                self._known[place] = error
        found = self._known[place]
        if isinstance(found, MedsetuError):
            return Source(run, recipe, facts, None, found.what, damaged=True, left_out=left_out)
        return Source(run, recipe, facts, found, left_out=left_out, memory=self._memories.setdefault(place, {}))

    def _recipe(self, raw: Mapping[str, Any]) -> Recipe:
        """Build a recipe once for all its cells."""
        key = content_key({name: value for name, value in raw.items() if name not in _CELL})
        if key not in self._recipes:
            self._recipes[key] = read_recipe(raw)
        return replace(self._recipes[key], raw=dict(raw))


def manifest_place(folder: Path, raw: Mapping[str, Any]) -> Path | None:
    """Find the frozen manifest of a run or an outcome: beside it, where the whole tree was moved, or where it was made.

    Args:
        folder: Folder of the run or outcome.
        raw: Its resolved recipe.

    Returns:
        The folder of the manifest; None when it is in neither place.
    """
    runs, work = Path(str(raw["paths"]["runs"])).expanduser(), Path(str(raw["paths"]["work"])).expanduser()
    top = folder.resolve().parent
    top = (top.parent if top.name == CURVE else top).parent
    places = [top / work.relative_to(runs)] if work.is_relative_to(runs) else []
    for place in [*places, work]:
        if (place / "manifest" / str(raw["name"]) / SUMMARY).is_file():
            return place / "manifest" / str(raw["name"])
    return None


def check_run(source: Source, *, images: int | None = 0, here: Mapping[str, Any] | None = None) -> list[Check]:
    """Check one run.

    Args:
        source: The run, opened.
        images: Films whose bytes are hashed, drawn by name; None: all; 0: none.
        here: What ``environment`` says of this process; None to ask it.

    Returns:
        The checks.
    """
    checks = [*_parts(source)]
    if not source.facts or source.recipe is None:
        return [*checks, Check(PARTS, source.run.path.name, DIFFERS, note=source.trouble)]
    checks += [*_environment(source.facts, here or environment()), *_weights(source)]
    predictions = read_anyway(source.run.predictions)
    checks += [*_seed(source, predictions)]
    return [*checks, *_data(source, predictions, images=images)]


def _parts(source: Source) -> Iterator[Check]:
    run, name = source.run, source.run.path.name
    try:
        done = json.loads(run.done.read_text())
        files = done["files"]
    except (OSError, ValueError, KeyError, TypeError):
        yield Check(PARTS, name, DIFFERS, note="done.json is missing, damaged, or older than the hashes of parts")
        return
    for part, promised in files.items():
        path = run.path / part
        if part in (source.left_out or {}):
            continue
        if not path.is_file():
            yield Check(PARTS, part, DIFFERS, note=f"the file is missing: {name}")
            continue
        found = sha256_file(path)
        changed = compared(PARTS, part, recorded=promised, found=found, note=f"the file was changed since the run was finished: {name}")
        yield Check(PARTS, part, SAME) if found == promised else changed
    for part, reason in (source.left_out or {}).items():
        yield Check(PARTS, part, UNCHECKED, note=reason)


def _environment(facts: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Check]:
    if "source" in facts:
        note = f"recorded revision {facts['git'] or facts['medsetu']}, this one {here['git'] or here['medsetu']}"
        yield compared(CODE, "source files of medsetu", recorded=facts["source"], found=here["source"], note=note)
    else:
        yield compared(CODE, "revision", recorded=facts["git"] or facts["medsetu"], found=here["git"] or here["medsetu"])
    if facts.get("lock") and here["lock"]:
        yield compared(LOCK, "requirements.lock", recorded=facts["lock"], found=here["lock"])
    else:
        yield Check(LOCK, "requirements.lock", UNCHECKED, note="none recorded or none here; the libraries themselves are compared")
    yield compared(LIBRARY, "python", recorded=facts["python"], found=here["python"])
    for package, version in facts["packages"].items():
        if package not in here["packages"] and package not in TABLE_PACKAGES:
            yield Check(LIBRARY, package, UNCHECKED, version, note="not installed; tables do not need it")
        else:
            yield compared(LIBRARY, package, recorded=version, found=here["packages"].get(package, "not installed"))


def _weights(source: Source) -> Iterator[Check]:
    for stage in source.facts["stages"]:
        part = f"checkpoints/{stage['name']}.safetensors"
        path = source.run.path / part
        if part in (source.left_out or {}):
            yield Check(WEIGHTS, stage["name"], UNCHECKED, note="left out of the capsule")
        elif not path.is_file():
            yield Check(WEIGHTS, stage["name"], DIFFERS, note=f"the weights are missing: {source.run.path.name}")
        else:
            note = f"not the weights that this stage was trained to: {source.run.path.name}"
            yield compared(WEIGHTS, stage["name"], recorded=stage["sha256"], found=sha256_file(path), note=note)


def _seed(source: Source, predictions: pd.DataFrame | None) -> Iterator[Check]:
    cell, name = source.cell, source.run.path.name
    raw = source.recipe.raw if source.recipe is not None else {}
    yield compared(SEED, "arm, seed and fold of the recipe", recorded=cell.name, found=cell_of(raw).name, note=name)
    if not name.startswith(f"{cell.name}-"):
        yield Check(SEED, "arm, seed and fold of the folder", DIFFERS, cell.name, name)
    if predictions is not None:
        found = predictions[["arm", "seed", "fold"]].drop_duplicates().astype(str).agg(" ".join, axis=1).tolist()
        wanted = f"{cell.label} {cell.training_seed} {cell.fold}"
        yield compared(SEED, "arm, seed and fold of the predictions", recorded=wanted, found="; ".join(found), note=name)
    if source.prepared is not None and source.recipe is not None:
        recorded = source.prepared.facts.get("seed")
        yield compared(SPLIT, "seed of the splits", recorded=recorded, found=source.recipe.split_seed, note="manifest and recipe disagree")


def _data(source: Source, predictions: pd.DataFrame | None, *, images: int | None) -> Iterator[Check]:
    prepared, recipe, facts = source.prepared, source.recipe, source.facts
    if prepared is None or recipe is None:
        yield Check(DATA, "manifest", DIFFERS if source.damaged else UNCHECKED, note=source.trouble)
        yield Check(SPLIT, "samples of this run", DIFFERS if source.damaged else UNCHECKED, note=source.trouble)
        return
    note = "samples, files, labels, groups or splits are others"
    yield compared(DATA, "manifest", recorded=facts["manifest"], found=prepared.fingerprint, note=note)
    cell = source.cell
    key = (recipe.split_seed, recipe.evaluation.primary, *(value for name, value in cell.identity.items() if name != "arm"))
    try:
        assignment = source.once(key, lambda: thinned_assignment(recipe, prepared, cell))
    except MedsetuError as error:
        yield Check(SPLIT, "samples of this run", DIFFERS, note=error.what)
        return
    if "splits" in facts:
        found = source.once(("hash", *key), lambda: split_hash(assignment))
        yield compared(SPLIT, "samples of this run", recorded=facts["splits"], found=found, note=source.run.path.name)
    if predictions is not None:
        yield from _rows(predictions, source.once("known", lambda: prepared.manifest.set_index("sample_id")), assignment)
    yield source.once(("films", images), lambda: _images(prepared.manifest, most=images))


def _rows(predictions: pd.DataFrame, known: pd.DataFrame, assignment: "pd.Series[str]") -> Iterator[Check]:
    """Whether each prediction stands where the split says, with the label and on the side that the manifest says."""
    inside = predictions["sample_id"].isin(known.index)
    rows = predictions[inside]
    split = rows["sample_id"].map(assignment).to_numpy()
    wrong = int((~inside).sum()) + int((split != rows["split"].to_numpy()).sum())
    yield compared(SPLIT, "split of each prediction", recorded="as in the manifest", found=_count(wrong))
    side = int((rows["sample_id"].map(known["domain"]).to_numpy() != rows["domain"].to_numpy()).sum())
    labels = [_wrong_labels(part, known, str(finding)) for finding, part in rows.groupby("finding")]
    yield compared(LABEL, "label and side of each prediction", recorded="as in the manifest", found=_count(side + sum(labels)))


def _wrong_labels(rows: pd.DataFrame, known: pd.DataFrame, finding: str) -> int:
    truth = known[finding].reindex(rows["sample_id"]).to_numpy(np.float64) if finding in known else np.full(len(rows), np.nan)
    said = rows["label"].to_numpy(np.float64)
    return int((~((said == truth) | (np.isnan(said) & np.isnan(truth)))).sum())


def _count(wrong: int) -> str:
    return f"{wrong} otherwise" if wrong else "as in the manifest"


def _images(manifest: pd.DataFrame, *, most: int | None) -> Check:
    """Hash the films that are here; which ones is drawn by their own hash, so that the same are asked each time."""
    drawn = manifest.sort_values("sha256")
    drawn = drawn if most is None else drawn.head(most)
    paths = [Path(str(root)) / str(path) for root, path in zip(drawn["root"], drawn["path"], strict=True)]
    here = [(path, promised) for path, promised in zip(paths, drawn["sha256"], strict=True) if path.is_file()]
    if not here:
        return Check(DATA, "films", UNCHECKED, note="none asked for" if most == 0 else "none is here")
    wrong = sum(sha256_file(path) != promised for path, promised in here)
    note = f"{len(here)} of {len(manifest)} films hashed"
    return Check(DATA, "films", DIFFERS if wrong else SAME, "as recorded", f"{wrong} with other bytes" if wrong else "as recorded", note)


def check_files(folder: Path, record: Mapping[str, Any], *, left_out: Mapping[str, str]) -> list[Check]:
    """Compare the files of an outcome with the hashes that its record promises.

    Args:
        folder: Its folder.
        record: What was written down of it, with ``files``.
        left_out: Files that a capsule leaves out, ``<folder>/<file>`` -> reason.

    Returns:
        One check per file.
    """
    checks = []
    for name, promised in record["files"].items():
        path = folder / name
        reason = left_out.get(f"{folder.name}/{name}")
        if reason is not None:
            checks.append(Check(PARTS, f"{folder.name}/{name}", UNCHECKED, note=reason))
        elif not path.is_file():
            checks.append(Check(PARTS, f"{folder.name}/{name}", DIFFERS, note="the file is missing"))
        elif (found := sha256_file(path)) != promised:
            checks.append(compared(PARTS, f"{folder.name}/{name}", recorded=promised, found=found, note="the file was changed"))
        else:
            checks.append(Check(PARTS, f"{folder.name}/{name}", SAME))
    return checks


def read_anyway(path: Path) -> pd.DataFrame | None:
    """Read a table whatever its hash says, to see what its numbers say; None where it cannot be read."""
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError, KeyError):
        return None
