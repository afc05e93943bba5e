# SPDX-License-Identifier: Apache-2.0
"""Participant flow (TRIPOD+AI, STARD): how many samples were eligible, left out for which reason, and analysed on which side."""

import pandas as pd

from medsetu.core.sample import DOMAINS
from medsetu.core.table import finding_columns
from medsetu.manifest.prepared import FIXED, Prepared

ELIGIBLE, EXCLUDED, QUARANTINED, ANALYSED = "eligible", "excluded", "quarantined", "analysed"
_SPLIT_ORDER = ("train", "val", "test", "crossfit", "unused")


def participant_flow(prepared: Prepared) -> pd.DataFrame:
    """Count samples from eligible to analysed.

    Args:
        prepared: A manifest with what was left out.

    Returns:
        One row per side, release, step and reason: ``domain, release, step, reason, samples``; per release, eligible = excluded +
        quarantined + analysed. Rows or files that belong to no sample (a label without image) count as eligible and excluded.
    """
    rows = [
        prepared.excluded.assign(step=EXCLUDED),
        prepared.quarantine.assign(step=QUARANTINED),
        prepared.manifest[["sample_id", "release", "domain"]].assign(step=ANALYSED, reason=""),
    ]
    each = pd.concat(rows, ignore_index=True)
    keys = ["domain", "release", "step", "reason"]
    counted = pd.concat([each.assign(step=ELIGIBLE, reason=""), each]).groupby(keys, sort=False).size().reset_index(name="samples")
    order = counted["domain"].map({name: place for place, name in enumerate(DOMAINS)})
    steps = counted["step"].map({name: place for place, name in enumerate((ELIGIBLE, EXCLUDED, QUARANTINED, ANALYSED))})
    return counted.assign(_order=order, _steps=steps).sort_values(["_order", "release", "_steps", "reason"], ignore_index=True)[
        [*keys, "samples"]
    ]


def split_table(prepared: Prepared) -> pd.DataFrame:
    """Count samples, patients and classes of each finding, per side, release and part.

    Args:
        prepared: A manifest.

    Returns:
        One row per side, release, split and finding that the release labels: ``domain, release, split, samples, groups, unit, finding,
        present, absent, unknown``; ``unit`` is "patient" or "image", what a group is. ``split`` is as in the manifest: a cross-fitted
        side is one part, all of which is tested.
    """
    findings = finding_columns(prepared.manifest)
    rows = []
    for (domain, release, part), inside in prepared.manifest.groupby(["domain", "release", "split"]):
        unit = "image" if inside["patient_id"].isna().all() else "patient"
        whole = prepared.manifest[prepared.manifest["release"] == release]
        for finding in findings:
            label = inside[finding]
            if whole[finding].isna().all():
                continue
            counts = {"present": int((label == 1).sum()), "absent": int((label == 0).sum()), "unknown": int(label.isna().sum())}
            head = {"domain": domain, "release": release, "split": part, "samples": len(inside), "groups": inside["group_id"].nunique()}
            rows.append(head | {"unit": unit, "finding": finding} | counts)
    table = pd.DataFrame(rows)
    place = {name: number for number, name in enumerate((*DOMAINS, *_SPLIT_ORDER))}
    order = table.assign(_domain=table["domain"].map(place), _split=table["split"].map(place))
    return order.sort_values(["_domain", "release", "_split"], kind="stable", ignore_index=True)[list(table.columns)]


def coverage_table(prepared: Prepared) -> pd.DataFrame:
    """Count how many samples of each side carry each finding.

    Args:
        prepared: A manifest.

    Returns:
        One row per finding and side: ``finding, domain, releases, present, known, samples``; ``releases`` counts those that label the
        finding at all. Findings that more sides know come first.
    """
    findings = finding_columns(prepared.manifest)
    rows = []
    for domain in [name for name in DOMAINS if name in set(prepared.manifest["domain"])]:
        inside = prepared.manifest[prepared.manifest["domain"] == domain]
        known = inside[findings].notna()
        for finding in findings:
            told = inside.loc[known[finding], "release"].nunique()
            counts = {"present": int((inside[finding] == 1).sum()), "known": int(known[finding].sum()), "samples": len(inside)}
            rows.append({"finding": finding, "domain": domain, "releases": told} | counts)
    table = pd.DataFrame(rows)
    sides = (table["known"] > 0).groupby(table["finding"]).transform("sum")
    order = table.assign(_sides=-sides, _place=table["finding"].map({name: place for place, name in enumerate(findings)}))
    return order.sort_values(["_sides", "_place"], kind="stable", ignore_index=True)[list(table.columns)]


def fold_sizes(prepared: Prepared) -> pd.DataFrame:
    """Give the smallest and largest number of samples of each part over the cells of each side.

    Args:
        prepared: A manifest.

    Returns:
        ``domain, cells, split, smallest, largest``.
    """
    sizes = prepared.splits.groupby(["domain", "repeat", "fold", "split"]).size()
    spread = sizes.groupby(["domain", "split"]).agg(["min", "max"]).reset_index()
    cells = prepared.splits.drop_duplicates(["domain", "repeat", "fold"]).groupby("domain").size()
    named = spread.rename(columns={"min": "smallest", "max": "largest"})
    return named.assign(cells=named["domain"].map(cells))[["domain", "cells", "split", "smallest", "largest"]]


def is_crossfitted(prepared: Prepared, domain: str) -> bool:
    """Tell whether a side is cross-fitted."""
    rows = prepared.splits[prepared.splits["domain"] == domain]
    return bool((rows["repeat"] != FIXED).any())
