# SPDX-License-Identifier: Apache-2.0
"""Does a map point where readers drew, and more than somebody who never saw the film would?

The pointing game (Zhang et al., Int J Comput Vis 2018, 126:1084) without tolerance, and the share of the map's energy inside the region
(Wang et al., CVPR workshops 2020, Score-CAM). A hit is worth nothing by itself: a large region is hit by chance, and lesions have usual
places. So three guessers who see no film play along: anywhere on the film, its middle, and the place that is drawn most often on the films
of other patients.
"""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medsetu.core.table import RESULT_COLUMNS, conform
from medsetu.evaluation.interval import Estimate, join_notes
from medsetu.evaluation.location import clustered_mean, clustered_share, patients_of

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

METRICS: Final = {  # metric -> what is averaged over films, as a difference where there are two
    "pointing_game": ("hit",),
    "energy_inside": ("energy",),
    "chance_anywhere": ("area",),
    "chance_middle": ("middle",),
    "chance_usual_place": ("usual",),
    "pointing_over_anywhere": ("hit", "area"),
    "pointing_over_usual_place": ("hit", "usual"),
    "energy_over_anywhere": ("energy", "area"),
}
NOTE: Final = "films labelled present whose region is seen; an aid to the eye, never a proof of what a network uses"
SHARES: Final = ("pointing_game", "chance_middle", "chance_usual_place")  # of films; all others are means of numbers
_EQUAL = 1e-6  # relative; growing a map rounds
SILENT: Final = "maps were empty: a miss, without energy"


def look(heat: Map, region: Mask, *, film: Mask) -> dict[str, float]:
    """Play one film.

    Args:
        heat: (H, W) map in [0, 1], as the network sees the film.
        region: (H, W) where readers drew; not empty.
        film: (H, W) where the film is, and no padding.

    Returns:
        ``hit`` (the maximum lies inside, 1 or 0; 0 for an empty map), ``energy`` (share of the map inside; NaN for an empty map), ``area``
        (share of the film that is inside: the hit rate of a guess anywhere), ``middle`` (whether the middle of the picture is inside). Of
        equal maxima the one nearest to the middle of the picture counts: a coarse map that was grown repeats its outermost cells up to the
        border, and the middle of such a cell is the inner end.

    Example:
        >>> heat, region = np.array([[0, 1], [0, 3]], np.float32), np.array([[False, False], [False, True]])
        >>> look(heat, region, film=np.ones((2, 2), bool))
        {'hit': 1.0, 'energy': 0.75, 'area': 0.25, 'middle': 1.0}
    """
    total = float(heat.sum())
    rows, columns = heat.shape
    tied = np.argwhere(heat >= heat.max() * (1 - _EQUAL))
    place = tuple(tied[np.hypot(*(tied - [(rows - 1) / 2, (columns - 1) / 2]).T).argmin()])
    return {
        "hit": float(total > 0 and bool(region[place])),
        "energy": float(heat[region].sum()) / total if total > 0 else float("nan"),
        "area": float((region & film).sum() / film.sum()),
        "middle": float(region[rows // 2, columns // 2]),
    }


def usual_place(regions: Sequence[Mask], *, patient: Sequence[str] | NDArray[np.str_]) -> NDArray[np.float64]:
    """Let somebody guess who knows only where the films of other patients are drawn on most often.

    Args:
        regions: (n,) masks of one shape.
        patient: (n,) patient of each.

    Returns:
        (n,) 1 where the guess lies inside, else 0; of several places drawn equally often the share that lies inside; NaN where there is no
        other patient.

    Example:
        >>> left, right = np.array([[True, False]]), np.array([[False, True]])
        >>> usual_place([left, left, right], patient=["a", "b", "c"]).tolist()
        [0.5, 0.5, 0.0]
    """
    names = np.asarray(patient)
    total = np.sum(regions, axis=0, dtype=np.int64)
    hits = np.full(len(regions), np.nan)
    for name in np.unique(names):
        own = np.flatnonzero(names == name).tolist()
        others = total - np.sum([regions[place] for place in own], axis=0, dtype=np.int64)
        if others.max() > 0:
            guess = others == others.max()
            hits[own] = [float(regions[place][guess].mean()) for place in own]
    return hits


def pointing_results(
    played: pd.DataFrame, patient: "pd.Series[str]", *, run: str, arm: str, replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Average over films, with intervals over patients.

    Args:
        played: One row per film of one run: ``sample_id, domain, finding``, the numbers of ``look``, and ``usual``.
        patient: sample_id -> patient; NaN is a film without patient.
        run: Name of the run.
        arm: Its arm.
        replicates: Patient resamples.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        ``RESULT_COLUMNS``: all of ``METRICS`` per side and finding, in group ``all`` of the test; a number above 0 of
        ``pointing_over_usual_place`` with an interval above 0 says that the map knows more of the film than its usual places.
    """
    found: list[dict[str, Any]] = []
    for (domain, finding), rows in played.groupby(["domain", "finding"], sort=True):
        cluster = patients_of(rows["sample_id"], patient)
        empty = int(rows["energy"].isna().sum())
        for metric, columns in METRICS.items():
            values = rows[columns[0]] - rows[columns[1]] if len(columns) > 1 else rows[columns[0]]
            if metric in SHARES:
                mean = clustered_share(values, cluster=cluster, level=level, positive=len(rows))
            else:
                mean = clustered_mean(values, cluster=cluster, replicates=replicates, seed=seed, level=level, positive=len(rows))
            named = {"run": run, "arm": arm, "split": "test", "domain": domain, "group": "all", "finding": finding, "metric": metric}
            found.append(named | _told(mean, by_image=cluster is None, note=f"{empty} {SILENT}" if empty else ""))
    return conform(pd.DataFrame(found, columns=list(RESULT_COLUMNS)), RESULT_COLUMNS, name="pointing results")


def _told(mean: Estimate, *, by_image: bool, note: str) -> dict[str, Any]:
    value, low, high, patients, samples, positive, method, reason = astuple(mean)
    counts = {"n_patients": patients, "n_samples": samples, "n_positive": positive, "unit": "image" if by_image else "patient"}
    return {"value": value, "low": low, "high": high, **counts, "method": method, "note": join_notes(reason, note, NOTE)}
