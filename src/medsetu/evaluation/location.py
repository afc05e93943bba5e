# SPDX-License-Identifier: Apache-2.0
"""How far readers agree on where a finding lies, with intervals over patients."""

from dataclasses import astuple, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from medsetu.evaluation.bootstrap import expanded_level, patient_weights, percentile
from medsetu.evaluation.interval import NAN, Estimate, check_level, join_notes
from medsetu.evaluation.proportion import clustered_ratio, ratio_estimate
from medsetu.evaluation.reader_table import ALL_READERS, COLUMNS

MEASURES: Final = {
    "iou_where_both_drew": "iou",
    "dice_where_both_drew": "dice",
    "dice_where_one_drew": "dice_all",
}
FEWEST: Final = 3  # patients below which a resampled interval says nothing
BY_IMAGE: Final = "by image: no patient ids"
MEANING: Final = "mean over films of the mean over pairs of readers"


def clustered_mean(
    values: ArrayLike, *, cluster: ArrayLike | None, replicates: int = 1000, seed: int = 0, level: float = 0.95, positive: int = 0
) -> Estimate:
    """A mean over films with an interval over patients (expanded percentile, Hesterberg 2015).

    Args:
        values: (n,) one value per film; NaN is left out.
        cluster: (n,) patient of each film; None: by film.
        replicates: Patient resamples.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).
        positive: Written to ``n_positive``.

    Returns:
        The mean; NaN without films, without interval below three patients or where all films are alike.

    Example:
        >>> found = clustered_mean([0.0, 1.0, 1.0, 0.0], cluster=["a", "b", "c", "d"], replicates=200)
        >>> found.value, found.low < 0.5 < found.high, found.n_patients
        (0.5, True, 4)
    """
    check_level(level)
    table = np.asarray(values, dtype=np.float64)
    kept = ~np.isnan(table)
    names = np.arange(table.size) if cluster is None else np.asarray(cluster)
    codes = np.unique(names[kept], return_inverse=True)[1].astype(np.int64)
    table, note = table[kept], BY_IMAGE if cluster is None else ""
    counts = (int(codes.max(initial=-1)) + 1, int(table.size), positive)
    if not table.size:
        return Estimate(NAN, NAN, NAN, *counts, "", join_notes("no such film", note))
    value = float(table.mean())
    few = f"fewer than {FEWEST} patients: no interval" if counts[0] < FEWEST else ""
    if few or replicates == 0 or np.ptp(table) == 0:
        why = few or ("no resamples asked for: no interval" if replicates == 0 else "all films are alike: resampling gives no interval")
        return Estimate(value, NAN, NAN, *counts, "", join_notes(why, note))
    draws = np.concatenate([weight @ table / weight.sum(axis=1) for weight in patient_weights(codes, replicates=replicates, seed=seed)])
    ends, remark = percentile(draws, level=expanded_level(level, patients=counts[0]))
    return Estimate(value, *ends, *counts, "patient bootstrap, expanded percentile", join_notes(remark, note))


def clustered_share(values: ArrayLike, *, cluster: ArrayLike | None, level: float = 0.95, positive: int = 0) -> Estimate:
    """A share of films with a Wilson interval of the effective number of films, which 0 and 1 have too.

    Args:
        values: (n,) one number in [0, 1] per film; NaN is left out.
        cluster: (n,) patient of each film; None: by film.
        level: Confidence level in (0, 1).
        positive: Written to ``n_positive``.

    Returns:
        The share; NaN without films.

    Example:
        >>> found = clustered_share([0.0, 0.0, 0.0, 0.0], cluster=None)
        >>> found.value, found.low, round(found.high, 2)
        (0.0, 0.0, 0.49)
    """
    table = np.asarray(values, dtype=np.float64)
    kept = ~np.isnan(table)
    names = np.arange(table.size) if cluster is None else np.asarray(cluster)
    codes = np.unique(names[kept], return_inverse=True)[1].astype(np.int64)
    counts = (int(codes.max(initial=-1)) + 1, int(kept.sum()), positive)
    if not kept.any():
        return Estimate(NAN, NAN, NAN, *counts, "", join_notes("no such film", BY_IMAGE if cluster is None else ""))
    share = clustered_ratio(table[kept], np.ones(counts[1]), cluster=codes, level=level)
    return replace(ratio_estimate(share, name="the share", counts=counts, level=level), note=BY_IMAGE if cluster is None else "")


def patients_of(samples: "pd.Series[str]", patient: "pd.Series[str]") -> "np.ndarray[tuple[int], np.dtype[np.str_]] | None":
    """Patient of each film; a film without patient counts by itself, and None says that no patient is known.

    Example:
        >>> patients_of(pd.Series(["s1", "s2"]), pd.Series({"s1": "p", "s2": None})).tolist()
        ['p', 'film s2']
    """
    known = patient.reindex(samples)
    if known.isna().all():
        return None
    return known.fillna("film " + known.index.to_series().astype(str)).to_numpy(dtype=str)


def location_table(
    regions: pd.DataFrame, patient: "pd.Series[str]", *, replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Measure how far the drawings of readers cover each other, finding by finding.

    Where both drew says how alike they outline what both saw; where one drew counts a reader who saw nothing as 0 and is lower.

    Args:
        regions: ``sample_id, release, finding, n_readers, iou, dice, dice_all``, one row per film and finding that somebody drew.
        patient: sample_id -> patient; NaN is a film without patient.
        replicates: Patient resamples.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        ``medsetu.evaluation.reader_table.COLUMNS``, three measures per release and finding with films of two readers or more.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["a", "b"], "release": "x", "finding": "mass", "n_readers": 2, "iou": [0.5, None],
        ...                      "dice": [0.6, None], "dice_all": [0.6, 0.0]})
        >>> location_table(rows, pd.Series({"a": "p", "b": "q"}))[["measure", "value", "n_samples"]].values.tolist()
        [['iou_where_both_drew', 0.5, 1], ['dice_where_both_drew', 0.6, 1], ['dice_where_one_drew', 0.3, 2]]
    """
    found = []
    several = regions[regions["n_readers"] > 1]
    for (release, finding), rows in several.groupby(["release", "finding"], sort=True):
        cluster = patients_of(rows["sample_id"], patient)
        for measure, column in MEASURES.items():
            mean = clustered_mean(rows[column], cluster=cluster, replicates=replicates, seed=seed, level=level)
            value, low, high, patients, samples, _, method, note = astuple(mean)
            told = join_notes(MEANING, note)
            readers = int(rows["n_readers"].max())
            found.append((release, finding, ALL_READERS, measure, value, low, high, patients, samples, readers, method, told))
    return pd.DataFrame(found, columns=list(COLUMNS))
