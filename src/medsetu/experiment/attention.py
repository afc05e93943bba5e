# SPDX-License-Identifier: Apache-2.0
"""Where finished networks look on test films, against where readers drew: the optional step ``attention`` of ``medsetu evaluate``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.core.table import RESULT_COLUMNS, read_table, write_table
from medsetu.data.breast import frame_of
from medsetu.data.pipeline import Pipeline
from medsetu.data.plan import DataPlan
from medsetu.evaluation.location import patients_of
from medsetu.evaluation.pointing import look, pointing_results, usual_place
from medsetu.experiment.probe import network_of
from medsetu.experiment.saliency import draw_saliency
from medsetu.manifest.prepared import Prepared
from medsetu.reader.rle import decode_text
from medsetu.reader.sample import read_picture
from medsetu.recipe.recipe import Recipe

ATTENTION: Final = "attention.csv"
_SHOWN: Final = ("pointing_game", "chance_usual_place", "pointing_over_usual_place", "energy_inside", "chance_anywhere")

Mask = NDArray[np.bool_]


def attend(
    recipe: Recipe, prepared: Prepared, runs: Sequence[tuple[RunFolder, RunFolder]], *, regions: pd.DataFrame, films: int, folder: Path
) -> pd.DataFrame:
    """Compare maps and drawings on test films whose scores were evaluated, and write ``attention.csv``.

    Args:
        recipe: The recipe.
        prepared: Manifest.
        runs: Pairs of the folder that holds the network and the one that holds the evaluated predictions.
        regions: ``manifest.drawing.REGION_COLUMNS``.
        films: At most so many films per run, side and finding, spread evenly over the samples.
        folder: Where the table goes.

    Returns:
        ``RESULT_COLUMNS``, the rows of ``evaluation.pointing.pointing_results``.

    Raises:
        ConfigError: Nothing was drawn, no test film that is labelled present has a region, or the networks see volumes.
    """
    tables = []
    for home, scored in runs:
        predictions = read_table(scored.predictions)
        network = network_of(recipe, home)
        played = play(network, chosen_films(predictions, regions, films=films), regions, manifest=prepared.manifest, plan=recipe.data)
        if len(played):
            patient = prepared.manifest.set_index("sample_id")["patient_id"]
            plan = recipe.evaluation
            run, arm = (str(predictions[name].iloc[0]) for name in ("run", "arm"))
            tables.append(pointing_results(played, patient, run=run, arm=arm, replicates=plan.bootstrap, seed=plan.seed, level=plan.level))
    if not tables:
        raise ConfigError(
            what="No test film that is labelled present has a region that readers drew",
            where="Key attention",
            remedy="Run `medsetu prepare` with releases that hold boxes or masks, or leave attention=0",
        )
    table = pd.concat(tables, ignore_index=True)[list(RESULT_COLUMNS)]
    write_table(table, folder / ATTENTION)
    return table


def chosen_films(predictions: pd.DataFrame, regions: pd.DataFrame, *, films: int) -> pd.DataFrame:
    """Choose test films that are labelled present and have a region.

    Args:
        predictions: Evaluated predictions of one run.
        regions: Regions by film and finding; empty ones (readers drew apart) are no region.
        films: At most so many per side and finding.

    Returns:
        ``sample_id, domain, finding``, evenly spread over the sorted samples.
    """
    drawn = regions.loc[regions["area_share"] > 0, ["sample_id", "finding"]]
    tested = predictions[(predictions["split"] == "test") & (predictions["label"] == 1)]
    both = tested[["sample_id", "domain", "finding"]].drop_duplicates().merge(drawn, on=["sample_id", "finding"])
    both = both.sort_values(["domain", "finding", "sample_id"], ignore_index=True)
    spread = [(rows, np.linspace(0, len(rows) - 1, min(films, len(rows)))) for _, rows in both.groupby(["domain", "finding"])]
    parts = [rows.iloc[places.round().astype(int)] for rows, places in spread]
    return pd.concat(parts, ignore_index=True) if parts else both


def play(network: Network, films: pd.DataFrame, regions: pd.DataFrame, *, manifest: pd.DataFrame, plan: DataPlan) -> pd.DataFrame:
    """Draw the map of each film and look whether it lies in the region, both in the frame of the network's input.

    Args:
        network: Trained network of pictures, on the CPU.
        films: What ``chosen_films`` gives.
        regions: Regions by film and finding.
        manifest: Samples with height and width.
        plan: How rows become batches.

    Returns:
        ``sample_id, domain, finding, hit, energy, area, middle, usual``; films whose region is cut off, and findings that the head does not
        know, are left out.

    Raises:
        ConfigError: The network sees volumes, or has no spatial layer.
    """
    if len(network.spec.size) != 2:
        raise ConfigError(what="Where a network of volumes looks is not compared", where="Key attention", remedy="Leave attention=0")
    found = []
    region_of = {(row["sample_id"], row["finding"]): row for row in regions.to_dict("records")}
    rows = manifest.set_index("sample_id", drop=False)
    for (domain, finding), chosen in films[films["finding"].isin(network.findings)].groupby(["domain", "finding"], sort=True):
        samples = rows.loc[chosen["sample_id"]].reset_index(drop=True)
        pairs = draw_saliency(network, samples, finding=str(finding), plan=plan)
        told, masks = [], []
        for sample, (_, heat) in zip(samples.to_dict("records"), pairs, strict=True):
            region, film = in_the_picture(region_of[sample["sample_id"], finding], sample, pipeline=plan.pipeline(network.spec))
            if region.any():
                told.append({"sample_id": sample["sample_id"], "domain": domain, "finding": finding, **look(heat, region, film=film)})
                masks.append(region)
        if told:
            table = pd.DataFrame(told)
            patient = patients_of(table["sample_id"], rows["patient_id"])
            found.append(table.assign(usual=usual_place(masks, patient=table["sample_id"].to_numpy(str) if patient is None else patient)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["sample_id"])


def in_the_picture(region: Mapping[Any, Any], sample: Mapping[Any, Any], *, pipeline: Pipeline) -> tuple[Mask, Mask]:
    """Carry a region to a network's input by the steps of the data pipeline.

    Args:
        region: Row of the regions.
        sample: Row of the manifest.
        pipeline: Deterministic steps up to the network; a film that they cut to the breast is read for it.

    Returns:
        The region, and where the film itself is, (H, W) bool each.
    """
    rows, columns = int(region["grid_height"]), int(region["grid_width"])
    height, width = int(sample["height"]), int(sample["width"])
    mask = decode_text(str(region["runs"]), height=rows, width=columns)
    if pipeline.cut == "none":
        pixels = np.broadcast_to(np.float32(0), (height, width))  # only their number counts
    else:
        pixels = read_picture(Path(str(sample["root"])) / str(sample["path"]), sample_id=str(sample["sample_id"])).pixels
    seen, right, down = frame_of(pixels, pipeline), width / columns, height / rows
    frame = replace(seen, x=(seen.x[0] * right, seen.x[1] * down, seen.x[2]), y=(seen.y[0] * right, seen.y[1] * down, seen.y[2]))
    return frame.mask(mask).astype(bool), frame.mask(np.ones_like(mask)).astype(bool)


def attention_view(table: pd.DataFrame) -> Table:
    """Show hits beside those of somebody who sees no film, per arm, side and finding; means over runs are not taken.

    Args:
        table: What ``attend`` gives.

    Returns:
        What ``rich.console.Console.print`` can show.
    """
    title = "Where readers drew, and where networks look"
    view = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim")
    view.padding, view.pad_edge = (0, 1, 0, 0), False
    for name in ("arm, side and finding", "films", "hits", "usual place", "over usual place", "energy inside", "share of film"):
        view.add_column(name, overflow="fold", no_wrap=name.startswith("arm"))
    for (_, arm, domain), parts in table.groupby(["run", "arm", "domain"], sort=False):
        view.add_row(Text(f"{arm}  {domain}", style="cyan"))
        for finding, rows in parts.groupby("finding", sort=False):
            by = {row["metric"]: row for row in rows.to_dict("records")}
            cells = [_cell(by[metric]) for metric in _SHOWN]
            view.add_row(f"  {finding}", str(by["pointing_game"]["n_samples"]), *cells)
    return view


def _cell(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["value"]):
        return "-"
    return f"{row['value']:.2f}" + ("" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]")
