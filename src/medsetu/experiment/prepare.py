# SPDX-License-Identifier: Apache-2.0
"""The verb ``prepare``: from release folders to a frozen manifest, and what the terminal says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medsetu.core.number import whole
from medsetu.core.table import read_table, write_table
from medsetu.evaluation.reader_table import ALL_READERS, reader_table
from medsetu.experiment.drawing import drawing_view, write_drawings
from medsetu.experiment.journal import journal
from medsetu.experiment.leakage import ledger_view, write_ledger
from medsetu.manifest.build import build
from medsetu.manifest.flow import ANALYSED, coverage_table, fold_sizes, is_crossfitted, participant_flow, split_table
from medsetu.manifest.frozen import freeze
from medsetu.manifest.plan import SplitPlan
from medsetu.manifest.prepared import Prepared
from medsetu.manifest.vote import disagreements
from medsetu.privacy.audit import Job, audit_file
from medsetu.privacy.plan import audit_plan
from medsetu.privacy.walk import summarise
from medsetu.recipe.check import check_recipe, weights_of
from medsetu.recipe.recipe import Recipe, build_recipe, read_recipe
from medsetu.release.base import Release

AGREEMENT, DISAGREEMENT = "agreement.csv", "disagreement.csv"
MOST_FINDINGS = 12  # rows of agreement; the table holds all
FEW_FINDINGS = 4  # a release with more findings shows their range instead of one row each


def main(config: Mapping[str, Any]) -> None:
    """Prepare the manifest of a recipe and show it.

    Args:
        config: Resolved configuration of ``configs/prepare.yaml``; ``workers`` 0 takes one process per core, ``audit`` 0 looks at no
            file for what could identify a patient.

    Raises:
        MedsetuError: Whatever the recipe or a release refuses.
    """
    workers, files = whole(config, "workers") or None, whole(config, "audit")
    recipe = build_recipe(config) if config["arms"] else read_recipe(config)
    with journal():
        check_recipe(recipe)
        prepared = prepare_recipe(recipe, workers=workers)
        agreement = readers(prepared, manifest_folder(recipe))
        drawings = write_drawings(prepared, manifest_folder(recipe), plan=recipe.manifest, workers=workers)
        ledger = write_ledger(recipe, prepared, manifest_folder(recipe))
    console = Console()
    console.print(summary(prepared))
    for note in privacy_notes(prepared.manifest, files=files):
        console.print(Text(note, style="yellow", overflow="fold"))
    if len(agreement):
        console.print(agreement_view(agreement))
    if drawings is not None:
        console.print(drawing_view(drawings, prepared, manifest_folder(recipe)))
    console.print(ledger_view(ledger, prepared, weights=weights_of(recipe)))
    console.print(Text(f"Frozen in {manifest_folder(recipe)}", overflow="fold"))


def privacy_notes(manifest: pd.DataFrame, *, files: int) -> list[str]:
    """Look at headers, metadata and names of some files of every release for what could identify a patient; pixels are left alone.

    Args:
        manifest: The manifest.
        files: Files per release, spread evenly; 0 looks at none.

    Returns:
        One sentence per release with findings, by rule and count, never by value.
    """
    notes = []
    plan = audit_plan(pixels=False)
    for release, rows in manifest.groupby("release", sort=True) if files else ():
        chosen = rows.iloc[:: max(1, len(rows) // files)].head(files)
        paths = [(Path(str(root)) / str(path), Path(str(path))) for root, path in zip(chosen["root"], chosen["path"], strict=True)]
        found = summarise([audit_file(Job(path, relative, plan)) for path, relative in paths if path.is_file()])
        if found.total:
            grave = found.findings[found.findings["counts"]]
            first = ", ".join(f"{row['what']} ({row['count']})" for row in grave.head(3).to_dict("records"))
            notes.append(
                f"Privacy of {release}: {found.total} findings by {len(grave)} rules in {found.affected} of {len(found.files)} files "
                f"looked at: {first}. See all with: medsetu audit {chosen['root'].iloc[0]}"
            )
    return notes


def manifest_folder(recipe: Recipe) -> Path:
    """Say where the manifest of a recipe is frozen."""
    return recipe.paths["work"] / "manifest" / recipe.name


def prepare_recipe(recipe: Recipe, *, workers: int | None = None) -> Prepared:
    """Prepare the manifest of a recipe, and what readers drew beside it; results per file are shared by all recipes of a work folder.

    Args:
        recipe: The recipe.
        workers: Processes that open files; None takes one per usable core.

    Returns:
        The frozen manifest.

    Raises:
        MedsetuError: As ``prepare``.
    """
    sides = {side: list(releases.values()) for side, releases in recipe.sides.items()}
    folder, cache = manifest_folder(recipe), recipe.paths["work"] / "scan"
    prepared = prepare(sides, plan=recipe.manifest, seed=recipe.split_seed, folder=folder, workers=workers, cache=cache)
    write_drawings(prepared, folder, plan=recipe.manifest, workers=workers)
    return prepared


def prepare(
    sides: Mapping[str, Sequence[Release]],
    *,
    plan: SplitPlan,
    seed: int,
    folder: Path,
    workers: int | None = None,
    cache: Path | None = None,
) -> Prepared:
    """Build the manifest and freeze it, or verify that the frozen one still holds.

    Args:
        sides: Releases by side: global, local, external.
        plan: What the recipe chose.
        seed: Seed of the splits.
        folder: Where the manifest is frozen.
        workers: Processes that open files; None takes one per usable core.
        cache: Where results per file are kept; the subfolder ``scan`` when None.

    Returns:
        The frozen manifest; ``facts["reused"]`` tells whether it was there before.

    Raises:
        ConfigError: A side or a setting is wrong.
        DataError: Files, labels or sizes do not allow the study, or another content is frozen in the folder.
        LeakageError: A patient or picture stands on two sides.
        ResourceError: The folder cannot be written.
    """
    built = build(sides, plan=plan, seed=seed, workers=workers, folder=folder, cache=cache or folder / "scan")
    frozen, reused = freeze(built, folder)
    now = {name: built.facts[name] for name in ("files_read", "files_known", "read_seconds", "images_per_s", "cores_used_share", "cores")}
    now |= {"looked_at": built.facts["looked_at"]}
    return replace(frozen, links=built.links, drawn=built.drawn, facts=frozen.facts | now | {"reused": reused})


def readers(prepared: Prepared, folder: Path) -> pd.DataFrame:
    """Measure how far the readers agree and list the films on which they differ, beside a frozen manifest, where votes are known.

    Args:
        prepared: The manifest.
        folder: Where it is frozen; gets ``agreement.csv`` and ``disagreement.csv``. What lies there for the frozen votes is used again.

    Returns:
        The table of ``medsetu.evaluation.reader_table``; empty without votes.

    Raises:
        ResourceError: The folder cannot be written.
    """
    if prepared.votes.empty:
        return pd.DataFrame()
    write_table(disagreements(prepared.votes, prepared.manifest), folder / DISAGREEMENT)
    if prepared.facts.get("reused") and (folder / AGREEMENT).is_file():
        return read_table(folder / AGREEMENT)
    patient = prepared.manifest.set_index("sample_id")["patient_id"]
    table = reader_table(prepared.votes, patient, seed=int(prepared.facts["seed"]))
    write_table(table, folder / AGREEMENT)
    return table


def summary(prepared: Prepared) -> Group:
    """Lay out the participant flow, the splits, the coverage of findings and the notes for a terminal.

    Args:
        prepared: A manifest.

    Returns:
        What ``rich.console.Console.print`` can show.
    """
    facts = prepared.facts
    fate = "unchanged, the frozen splits are used again" if facts.get("reused") else "frozen"
    speed = _speed(facts.get("files_read", 0), facts.get("files_known", 0), facts.get("images_per_s"), facts.get("cores_used_share"))
    notes = [Text(f"- {note}") for note in prepared.notes]
    head = Text(f"Manifest {prepared.fingerprint[:12]} {fate}. {speed}")
    views = (_flow_view(participant_flow(prepared)), Text(), _split_view(prepared), Text(), *_coverage_view(coverage_table(prepared)))
    return Group(head, Text(), *views, *_fold_lines(prepared), *notes)


def _speed(read: int, known: int, rate: float | None, share: float | None) -> str:
    if not read:
        return f"{known} images were known from before."
    return f"{read} images read ({rate:.0f}/s, {share:.0%} of the cores used), {known} known from before."


def _table(title: str, *columns: str) -> Table:
    view = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name in columns:
        view.add_column(name, justify="right" if name in ("samples", "patients") else "left", overflow="fold", no_wrap=name == columns[0])
    return view


def _flow_view(flow: pd.DataFrame) -> Table:
    view = _table("Participant flow", "side and release", "samples", "step")
    for (domain, release), rows in flow.groupby(["domain", "release"], sort=False):
        view.add_row(Text(f"{domain}  {release}", style="cyan"))
        for _, row in rows.iterrows():
            reason = f": {row['reason']}" if row["reason"] else ""
            view.add_row("", str(row["samples"]), Text(f"{row['step']}{reason}", style="bold" if row["step"] == ANALYSED else ""))
    return view


def _split_view(prepared: Prepared) -> Table:
    view = _table("Samples and findings", "side and release", "samples", "patients", "present / absent / unknown")
    for (domain, release), parts in split_table(prepared).groupby(["domain", "release"], sort=False):
        view.add_row(Text(f"{domain}  {release}", style="cyan"))
        for part, rows in parts.groupby("split", sort=False):
            first = rows.iloc[0]
            patients = str(first["groups"]) if first["unit"] == "patient" else "by image"
            lines = _finding_lines(rows)
            view.add_row(f"  {part}", str(first["samples"]), patients, Text(lines[0]))
            for line in lines[1:]:
                view.add_row("", "", "", Text(line))
    return view


def _finding_lines(rows: pd.DataFrame) -> list[str]:
    counts = ["present", "absent", "unknown"]
    if len(rows) <= FEW_FINDINGS:
        return [f"{row['finding']} {' / '.join(str(row[name]) for name in counts)}" for _, row in rows.iterrows()]
    return [f"{len(rows)} findings, {' / '.join(_range(rows[name]) for name in counts)}"]


def _range(counts: "pd.Series[int]") -> str:
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low} to {high}"


def _coverage_view(coverage: pd.DataFrame) -> list[Table | Text]:
    """Show each finding on each side; a side that does not know it has a dash. What one side alone labels cannot be compared."""
    sides = list(dict.fromkeys(coverage["domain"]))
    view = _table("Coverage of findings", "present of known", *sides)
    alone = []
    for finding, rows in coverage.groupby("finding", sort=False):
        known = rows[rows["known"] > 0]
        if known.empty:
            continue
        alone += [str(finding)] if len(known) == 1 and len(sides) > 1 else []
        view.add_row(str(finding), *(f"{row['present']} of {row['known']}" if row["known"] else "-" for _, row in rows.iterrows()))
    if not alone:
        return [view]
    return [view, Text(f"Labelled on one side alone, so not comparable: {', '.join(alone)}.")]


def _fold_lines(prepared: Prepared) -> list[Text]:
    lines = []
    for domain, rows in fold_sizes(prepared).groupby("domain"):
        if is_crossfitted(prepared, str(domain)):
            parts = ", ".join(f"{row['split']} {row['smallest']} to {row['largest']}" for _, row in rows.iterrows())
            lines.append(Text(f"The {domain} side is cross-fitted in {rows['cells'].iloc[0]} cells; samples per cell: {parts}."))
    return lines


def agreement_view(agreement: pd.DataFrame) -> Group:
    """Show the agreement of all readers per finding, the worst first, and the reader who differs most from the others.

    Args:
        agreement: What ``readers`` gives.

    Returns:
        What ``rich.console.Console.print`` can show.
    """
    view = _table(
        "Agreement of readers", "release and finding", "Krippendorff's alpha", "samples", "readers", "reader most at odds with the others"
    )
    together = agreement[agreement["reader"] == ALL_READERS].sort_values("value", na_position="last", kind="stable")
    for _, row in together.head(MOST_FINDINGS).iterrows():
        own = agreement[(agreement["release"] == row["release"]) & (agreement["finding"] == row["finding"])]
        single = own[own["reader"] != ALL_READERS].dropna(subset=["value"]).sort_values("value", kind="stable")
        odd = "" if single.empty else f"{single['reader'].iloc[0]} kappa {_with_interval(single.iloc[0])}"
        name = Text(f"{row['release']}  {row['finding']}", style="cyan")
        view.add_row(name, _with_interval(row), str(row["n_samples"]), str(row["n_readers"]), odd)
    rest = len(together) - MOST_FINDINGS
    more = f"{rest} further findings; " if rest > 0 else ""
    told = f"{more}every finding and reader: {AGREEMENT}; films on which readers differ: {DISAGREEMENT}"
    return Group(Text(), view, Text(told))


def _with_interval(row: "pd.Series[Any]") -> str:
    if pd.isna(row["value"]):
        return "undefined"
    return f"{row['value']:.2f}" + ("" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]")
