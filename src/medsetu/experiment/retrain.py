# SPDX-License-Identifier: Apache-2.0
"""Train finished runs again in a scratch folder, and compare: to the last bit on an equal machine with equal versions, else by interval."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from medsetu.core.errors import ConfigError
from medsetu.core.run import RunFolder
from medsetu.evaluation.delong import difference_from
from medsetu.evaluation.kernel import kernel_parts
from medsetu.experiment.cell import run_cell
from medsetu.experiment.prepare import prepare_recipe
from medsetu.experiment.record import machine
from medsetu.experiment.verdict import DATA, DIFFERS, HARDWARE, NOTED, SAME, TRAINING, UNCHECKED, WEIGHTS, Check, compared
from medsetu.experiment.verify import Source, read_anyway
from medsetu.manifest.prepared import Prepared
from medsetu.recipe.check import check_recipe
from medsetu.recipe.recipe import Recipe, build_recipe

log = logging.getLogger(__name__)
_KIND = ("accelerator", "precision", "threads", "machine", "processor")  # what must be equal for equal bits
_KEYS = ["film", "domain", "finding"]


def retrain(
    sources: Sequence[Source], *, scratch: Path, roots: Mapping[str, str], margin: float | None, exact: bool, manifest: str = ""
) -> list[Check]:
    """Train runs of one recipe again, from their films on.

    Args:
        sources: The runs.
        scratch: Folder of manifest, stages and runs; what is finished there is not trained again.
        roots: Release -> folder of its films, where it is not the recorded one.
        margin: AUROC within which a run on another machine or version must lie; that of the recipe when None.
        exact: Whether code and libraries are those of the runs.
        manifest: Fingerprint that the data must have; that in the provenance of the runs when empty.

    Returns:
        The checks.

    Raises:
        ConfigError: ``roots`` names a release that the recipe lacks, or no margin is known.
        MedsetuError: Whatever the recipe, a release or a stage refuses.
    """
    recipe = _scratch_recipe(sources[0], scratch=scratch, roots=roots)
    wanted = recipe.evaluation.margin if margin is None else margin
    if not 0 < wanted < 1:
        raise ConfigError(what="There is no margin", where="Key margin", remedy="Give a difference in AUROC above 0 and below 1")
    check_recipe(recipe)
    prepared = prepare_recipe(recipe)
    recorded = manifest or str(sources[0].facts["manifest"])
    note = "the films, labels, groups or splits built now are others"
    checks = [compared(DATA, "manifest built again from the films", recorded=recorded, found=prepared.fingerprint, note=note)]
    for number, source in enumerate(sources, start=1):
        log.info("[%d/%d] %s is trained again", number, len(sources), source.cell.name)
        again = run_cell(recipe, prepared, source.cell)
        checks += _compare(source, again, prepared=prepared, margin=wanted, exact=exact)
    return checks


def _scratch_recipe(source: Source, *, scratch: Path, roots: Mapping[str, str]) -> Recipe:
    raw: dict[str, Any] = json.loads(json.dumps(dict(source.recipe.raw if source.recipe is not None else {})))
    raw["paths"] |= {"runs": str(scratch), "work": str(scratch / "work")}
    raw["logger"] = {}
    named = {name: node for releases in raw["sides"].values() for name, node in (releases or {}).items()}
    for name, root in roots.items():
        if name not in named:
            raise ConfigError(what=f"The recipe has no release '{name}'", where="Key roots", value=name, allowed=list(named))
        named[name]["root"] = str(root)
    return build_recipe(raw)


def _compare(source: Source, again: RunFolder, *, prepared: Prepared, margin: float, exact: bool) -> Iterator[Check]:
    facts = json.loads(again.provenance.read_text())
    hardware = _hardware(source.facts["hardware"], facts["hardware"])
    yield from hardware
    equal_bits = exact and all(check.status == SAME for check in hardware)
    name = source.cell.name
    for old, new in zip(source.facts["stages"], facts["stages"], strict=False):
        yield from _stage(old, new, run=name, equal_bits=equal_bits)
    if len(source.facts["stages"]) != len(facts["stages"]):
        yield Check(TRAINING, f"stages of {name}", DIFFERS, str(len(source.facts["stages"])), str(len(facts["stages"])))
    yield from _scores(source, again, prepared=prepared, margin=margin, equal_bits=equal_bits)


def _hardware(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Check]:
    note = "equal bits are not expected: the scores are compared by interval"
    here = {**new, **machine(), "threads": torch.get_num_threads()}
    return [
        compared(HARDWARE, kind, recorded=old.get(kind, "not recorded"), found=here.get(kind), note=note, otherwise=NOTED) for kind in _KIND
    ]


def _stage(old: Mapping[str, Any], new: Mapping[str, Any], *, run: str, equal_bits: bool) -> Iterator[Check]:
    parts, now = old.get("parts", {}), new["parts"]
    other = sorted(part for part in parts if parts[part] != now.get(part) and part not in ("version", "hardware", "previous"))
    if other:
        yield Check(TRAINING, f"{run}/{old['name']}", DIFFERS, note=f"what decides this stage is another: {', '.join(other)}")
    why = "trained again from recipe, seed and data on an equal machine with equal versions, it comes to other weights"
    otherwise = DIFFERS if equal_bits else NOTED
    note = why if equal_bits else "other bits, as on another machine or version; the scores decide"
    yield compared(
        WEIGHTS, f"{run}/{old['name']}, trained again", recorded=old["sha256"], found=new["sha256"], note=note, otherwise=otherwise
    )


def _scores(source: Source, again: RunFolder, *, prepared: Prepared, margin: float, equal_bits: bool) -> Iterator[Check]:
    """Compare scores film by film; films are known by their hash, because a capsule has other names."""
    item = f"scores of {source.cell.name}"
    stored, trained = read_anyway(source.run.predictions), read_anyway(again.predictions)
    if stored is None or trained is None:
        yield Check(TRAINING, item, DIFFERS, note="predictions cannot be read")
        return
    before = stored.assign(film=_films(stored, source.prepared))
    after = trained.assign(film=_films(trained, prepared if source.prepared is not None else None))
    both = before.merge(after[[*_KEYS, "label", "score", "split"]], on=_KEYS, suffixes=("", "_again"), how="outer", indicator=True)
    if (both["_merge"] != "both").any() or len(both) != len(before):
        missing = int((both["_merge"] != "both").sum())
        yield Check(TRAINING, item, DIFFERS, note=f"{missing} predictions stand on one side only: other films or findings were scored")
        return
    if not both["split"].equals(both["split_again"]):
        yield Check(TRAINING, item, DIFFERS, note="another split")
        return
    most = float((both["score"] - both["score_again"]).abs().max())
    if most == 0:
        yield Check(TRAINING, item, SAME, note=f"{len(both)} scores, all to the last bit")
    elif equal_bits:
        count = int((both["score"] != both["score_again"]).sum())
        note = f"{count} of {len(both)} scores are others, by up to {most:.3g}, on an equal machine with equal versions"
        yield Check(TRAINING, item, DIFFERS, note=note)
    else:
        yield from interval_checks(both, item=item, margin=margin)


def _films(rows: pd.DataFrame, prepared: Prepared | None) -> "pd.Series[str]":
    if prepared is None:
        return rows["sample_id"]
    return rows["sample_id"].map(prepared.manifest.set_index("sample_id")["sha256"]).fillna(rows["sample_id"])


def interval_checks(both: pd.DataFrame, *, item: str, margin: float, level: float = 0.95) -> Iterator[Check]:
    """Compare two sets of scores of the same films by the paired difference of their AUROC.

    The tolerance: the interval of the difference, by patient, lies within the margin on both sides (two one-sided tests). A difference that
    is merely not significant does not pass, for a small test shows nothing.

    Args:
        both: Predictions with ``score`` and ``score_again``, ``label``, ``patient_id``, ``sample_id``, ``domain``, ``finding``, ``split``.
        item: What is compared.
        margin: Largest tolerated difference in AUROC.
        level: Confidence level.

    Yields:
        One check per side and finding of the test.
    """
    tested = both[(both["split"] == "test") & both["label"].notna()]
    for (domain, finding), rows in tested.groupby(["domain", "finding"], sort=False):
        patient = rows["patient_id"].where(rows["patient_id"].notna(), rows["sample_id"]).astype(str).to_numpy()
        label = rows["label"].to_numpy(np.float64)
        new, old = (kernel_parts(label, rows[name].to_numpy(np.float64)[None, :], cluster=patient) for name in ("score_again", "score"))
        found = difference_from(new, old, paired=True, level=level)
        interval = f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
        words = f"AUROC again minus before {interval}, {found.n_samples} films, paired by patient"
        name = f"{item}, {domain} {finding}"
        if np.isnan(found.value):
            yield Check(TRAINING, name, UNCHECKED, note=f"no AUROC: {found.note}")
        elif np.isnan(found.low):
            yield Check(TRAINING, name, DIFFERS, note=f"not shown to lie within ±{margin:g}, for there is no interval: {found.note}")
        elif -margin <= found.low and found.high <= margin:
            yield Check(TRAINING, name, SAME, note=f"{words}: within ±{margin:g}")
        else:
            yield Check(TRAINING, name, DIFFERS, note=f"{words}: not shown to lie within ±{margin:g}")
