# SPDX-License-Identifier: Apache-2.0
"""``medsetu capsule``: pack what another team needs to find the numbers again; no film, no name, no folder. No torch here."""

import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from rich.console import Console

from medsetu.backbone.header import read_header
from medsetu.catalog.card import load_card
from medsetu.catalog.clause import bound
from medsetu.catalog.licence import require, verdict
from medsetu.core.errors import ConfigError, DataError, MedsetuError, PrivacyError
from medsetu.core.place import lock_path
from medsetu.core.run import RunFolder, sha256_bytes
from medsetu.core.signed import read_signed, signature
from medsetu.core.table import read_table
from medsetu.experiment.archive import pack
from medsetu.experiment.derive import LADDER, PUBLISHED
from medsetu.experiment.design import CURVE, cell_of, split_hash, thinned_assignment
from medsetu.experiment.journal import journal
from medsetu.experiment.record import OUTCOME, PREDICTIONS, RECIPE
from medsetu.experiment.rename import codes, renamed, without_places
from medsetu.experiment.reproduce import folder_target
from medsetu.experiment.verify import manifest_place
from medsetu.manifest.frozen import load, save
from medsetu.manifest.prepared import Prepared, fingerprint
from medsetu.recipe.check import cards_of
from medsetu.recipe.recipe import read_recipe

LIST = "capsule.json"
TABLES = ("results.parquet", "results.csv", LADDER, PUBLISHED, "matrix.csv", "contrasts.csv", "matrix_unseen.csv", "contrasts_unseen.csv")
PATHS = {"data": "data", "runs": "runs", "work": "runs/work"}
_SHORTEST = 6  # characters of a name that is looked for in words; shorter ones stand in numbers by chance
_README = """# Capsule of {recipe}

{question}

Made with medsetu {medsetu}, code {git}. Names of films and patients are codes, the same in every table; films are known by their SHA-256.
The codes keep the order of the names they replace, so that resampled intervals come out to the last digit. Ages above 89 are written as 90.

1. Get that revision of medsetu and install its `requirements.lock` (a copy lies here where there was one).
2. `medsetu reproduce capsule.zip replay=true` derives every table again from the predictions, without a GPU.
3. With the films: `medsetu reproduce capsule.zip {roots}` trains again and compares.

Terms of the releases, for the tables in here (our reading, no legal advice):
{terms}

`MANIFEST.sha256` lists every file. Left out, with the reason:
{left_out}
"""


@dataclass
class _Capsule:
    """Files as they are gathered.

    Attributes:
        code: Name -> code.
        prepared: The manifest with codes.
        files: Relative path -> content.
        left_out: ``<run or outcome>/<file>`` -> reason.
    """

    code: Mapping[str, str]
    prepared: Prepared
    files: dict[str, bytes] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def main(config: Mapping[str, Any]) -> None:
    """Pack a run or a study.

    Args:
        config: Resolved configuration of ``configs/capsule.yaml``.

    Raises:
        ConfigError: No finished run is found, runs of several manifests are mixed, or the target is no zip file.
        DataError: The manifest is not here, or a table is damaged.
        PrivacyError: A name would leave; nothing is written.
        LicenceError: A release forbids passing on tables about its images.
    """
    output = Path(str(config["output"])).expanduser()
    if output.suffix != ".zip":
        raise ConfigError(what="A capsule is a zip file", where="Key output", remedy="Give a name that ends in .zip")
    with journal():
        digest, left_out = write_capsule(Path(str(config["run"])).expanduser(), output)
    console = Console()
    for name, reason in left_out.items():
        console.print(f"Left out: {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Capsule: {output}, SHA-256 {digest}", markup=False, highlight=False, soft_wrap=True)


def write_capsule(path: Path, output: Path) -> tuple[str, dict[str, str]]:
    """Pack a run, an outcome or all runs of a recipe.

    Args:
        path: Folder.
        output: Target, ending in .zip; the same folder gives the same bytes.

    Returns:
        SHA-256 of the capsule, and what was left out with the reason.

    Raises:
        MedsetuError: As ``main``.
    """
    target = folder_target(path)
    runs = [run for run in target.runs if run.path.parent.name != CURVE]
    if not runs:
        raise ConfigError(what="No finished run was found", where=str(path), remedy="Give a run, a study or the runs of a recipe")
    raw = yaml.safe_load(runs[0].recipe.read_text())
    tables_terms = _terms_of_tables(raw)
    place = manifest_place(runs[0].path, raw)
    if place is None:
        raise DataError(what="The frozen manifest of the runs is not here", where=str(path), remedy="Pack where the runs were made")
    original = load(place)
    if {json.loads(run.provenance.read_text())["manifest"] for run in runs} != {original.fingerprint}:
        raise ConfigError(what="The runs do not rest on the manifest that is here", where=str(place), remedy="Pack runs of one manifest")
    tables = [original.manifest, original.splits, original.quarantine, original.excluded, original.duplicates]
    tables += [read_table(run.predictions) for run in runs]
    capsule = _Capsule(code := codes(tables), _with_codes(original, code))
    for run in runs:
        _add_run(capsule, run)
    names = {run.path.name for run in runs}
    for folder in target.outcomes:
        _add_outcome(capsule, folder, names=names, recipe=str(raw["name"]))
    _add_manifest(capsule, str(raw["name"]))
    facts = json.loads(runs[0].provenance.read_text())
    if (lock := lock_path()) is not None:
        capsule.files["requirements.lock"] = lock.read_bytes()
    listed = {"format": 1, "recipe": str(raw["name"]), "manifest": original.fingerprint, "left_out": dict(sorted(capsule.left_out.items()))}
    capsule.files[LIST] = _json({**listed, "sha256": signature(listed)})
    roots = " ".join(f"+roots.{name}=FOLDER" for releases in raw["sides"].values() for name in releases or {})
    reasons = "\n".join(f"- {name}: {reason}" for name, reason in sorted(capsule.left_out.items())) or "nothing"
    told = {
        "recipe": raw["name"],
        "question": raw["question"],
        "medsetu": facts["medsetu"],
        "git": facts["git"] or "of a wheel",
    }
    capsule.files["README.md"] = _README.format(**told, roots=roots, left_out=reasons, terms=tables_terms).encode()
    _refuse_names(capsule, original)
    return pack(capsule.files, output), listed["left_out"]  # type: ignore[return-value]  # a dict of words


def _terms_of_tables(raw: Mapping[str, Any]) -> str:
    """Say what the releases ask of who passes on tables about their images, a line each.

    Raises:
        LicenceError: A release forbids it.
    """
    cards = cards_of(read_recipe(raw))
    if barred := [card for card in cards if card.tables_release == "no"]:
        require(barred, "share_tables")
    clauses = verdict(cards, "share_tables").clauses
    told = [f"{'permitted' if one.allowed else 'ask first'}: {'; '.join((one.reason, *one.duties))}" for one in clauses]
    return "\n".join(f"- {one.release} ({one.licence or 'no licence text known'}): {text}" for one, text in zip(clauses, told, strict=True))


def _with_codes(prepared: Prepared, code: Mapping[str, str]) -> Prepared:
    tables = {
        name: renamed(getattr(prepared, name), code) for name in ("manifest", "splits", "quarantine", "excluded", "duplicates", "votes")
    }
    plan = {**prepared.facts["plan"], "known": {}}
    facts = {"plan": plan, "seed": prepared.facts["seed"], "sides": prepared.facts.get("sides", {}), "notes": []}
    facts |= {"consensus": prepared.facts.get("consensus", {})}
    return replace(prepared, **tables, facts=facts, fingerprint=fingerprint(tables["manifest"], tables["splits"], tables["votes"]))


def _add_run(capsule: _Capsule, run: RunFolder) -> None:
    raw, facts = yaml.safe_load(run.recipe.read_text()), json.loads(run.provenance.read_text())
    assignment = thinned_assignment(read_recipe(raw), capsule.prepared, cell_of(facts))
    facts |= {"manifest": capsule.prepared.fingerprint, "splits": split_hash(assignment)}
    own = {
        RECIPE: _recipe(raw),
        "provenance.json": _json(facts),
        PREDICTIONS: _parquet(renamed(read_table(run.predictions), capsule.code)),
    }
    for path in sorted(run.checkpoints.glob("*.safetensors")):
        if reason := _reason_to_keep(path):
            capsule.left_out[f"{run.path.name}/checkpoints/{path.name}"] = reason
        else:
            own[f"checkpoints/{path.name}"] = path.read_bytes()
    capsule.left_out[f"{run.path.name}/features.npz"] = "features of films are data of patients"
    hashes = {name: sha256_bytes(content) for name, content in own.items()}
    own["done.json"] = _json({"predictions": hashes[PREDICTIONS], "files": hashes})
    capsule.files |= {f"runs/{raw['name']}/{run.path.name}/{name}": content for name, content in own.items()}


def _reason_to_keep(path: Path) -> str:
    """Why weights stay here; empty where every licence lets them go."""
    try:
        _, note, tensors = read_header(path)
        origin = note["weights"]
        answer = verdict([load_card(name) for name in origin["trained_on"]], "release_weights")
    except (MedsetuError, KeyError, TypeError) as error:
        return f"their origin or a card of what they learned from is not known ({type(error).__name__})"
    if not answer.allowed:
        return f"release {answer.refused[0].release} does not permit publishing weights: {answer.refused[0].reason}"
    if (origin.get("permits") or {}).get("release_weights") != "yes":
        return f"what they were made from does not clearly permit publishing weights. {bound(origin.get('clauses') or ())}"
    if not origin["licence"]:
        return "the weights they began with have no known licence"
    if "/" in str(origin["origin"]) and without_places(str(origin["origin"])) != str(origin["origin"]):
        return "their header names a folder of this machine"
    if any("bank" in name or "neighbour" in name for name in tensors):
        return "they hold features of films, which are data of patients"
    return ""


def _add_outcome(capsule: _Capsule, folder: Path, *, names: set[str], recipe: str) -> None:
    facts, _ = read_signed(folder / OUTCOME, name="record of the outcome", remedy="Run the verb that writes it again")
    if not set(facts["runs"]) <= names:
        return  # it rests on runs that are not packed
    raw = yaml.safe_load((folder / RECIPE).read_text())
    own = {RECIPE: _recipe(raw), PREDICTIONS: _parquet(renamed(read_table(folder / PREDICTIONS), capsule.code))}
    own |= {name: (folder / name).read_bytes() for name in TABLES if (folder / name).is_file()}
    for name in sorted(set(facts["files"]) - set(own)):
        capsule.left_out[f"{folder.name}/{name}"] = "reports show films, and checklists speak of them"
    place = f"runs/{recipe}"
    behind = {name: sha256_bytes(capsule.files[f"{place}/{name}/{PREDICTIONS}"]) for name in facts["runs"]}
    facts |= {"runs": behind, "files": {name: sha256_bytes(content) for name, content in own.items()}}
    facts["manifest"] = capsule.prepared.fingerprint
    own[OUTCOME] = _json({**facts, "sha256": signature(facts)})
    capsule.files |= {f"{place}/{folder.name}/{name}": content for name, content in own.items()}


def _add_manifest(capsule: _Capsule, recipe: str) -> None:
    with tempfile.TemporaryDirectory(prefix="medsetu-capsule-") as scratch:
        folder = save(capsule.prepared, Path(scratch))
        for path in sorted(folder.iterdir()):
            capsule.files[f"{PATHS['work']}/manifest/{recipe}/{path.name}"] = path.read_bytes()


def _refuse_names(capsule: _Capsule, original: Prepared) -> None:
    """Look for every former name, and for the folders of the films, in everything that would leave."""
    names = {name for name in capsule.code if len(name) >= _SHORTEST}
    roots = {str(root) for root in original.manifest["root"].dropna() if str(root)}
    wanted = {*names, *roots, str(Path.home())}
    found = 0
    for name, content in capsule.files.items():
        if name.endswith(".parquet"):
            table = pd.read_parquet(io.BytesIO(content))
            words = {
                str(value)
                for column in table.columns
                if not pd.api.types.is_numeric_dtype(table[column])
                for value in table[column].unique()
            }
            found += len(words & wanted)
        elif not name.endswith(".safetensors"):
            text = content.decode()
            found += sum(word in text for word in wanted)
    if found:
        raise PrivacyError(
            what=f"{found} names of films, patients or folders would leave", where="Capsule", remedy="Nothing was written; please report it"
        )


def _recipe(raw: Mapping[str, Any]) -> bytes:
    clean = {**without_places(raw), "paths": PATHS, "logger": {}}
    return yaml.safe_dump(clean, sort_keys=False).encode()


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
