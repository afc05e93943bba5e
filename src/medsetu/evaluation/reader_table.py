# SPDX-License-Identifier: Apache-2.0
"""How far the readers of a release agree, finding by finding and reader by reader, with intervals."""

from dataclasses import astuple

import numpy as np
import pandas as pd

from medsetu.core.vote import MAJORITY, policy_label
from medsetu.evaluation.agreement import cohen_kappa, krippendorff_alpha

ALL_READERS = "all"
TOGETHER, AGAINST_OTHERS = "krippendorff_alpha", "cohen_kappa_against_others"
COLUMNS = ("release", "finding", "reader", "measure", "value", "low", "high", "n_patients", "n_samples", "n_readers", "method", "note")


def reader_table(
    votes: pd.DataFrame, patient: "pd.Series[str]", *, replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Measure the agreement of readers.

    Args:
        votes: ``sample_id, release, reader, finding, vote``, 1 or 0, each reader once per film and finding.
        patient: sample_id -> patient; NaN is a film without patient, which counts by itself.
        replicates: Patient resamples, where the interval has no formula.
        seed: Seed of the resamples.
        level: Confidence level in (0, 1).

    Returns:
        Per release and finding one row of all readers (Krippendorff's alpha, which needs no complete readings), then one per reader:
        Cohen's kappa against the majority of the others on the films that both read; a tie of the others is no reading. Undefined values
        are NaN with the reason in ``note``.

    Example:
        >>> rows = [("s%02d" % film, "a", reader, "mass", float(film % 2)) for film in range(20) for reader in "xy"]
        >>> votes = pd.DataFrame(rows, columns=["sample_id", "release", "reader", "finding", "vote"])
        >>> table = reader_table(votes, pd.Series({f"s{film:02d}": f"p{film}" for film in range(20)}), replicates=20)
        >>> table[["reader", "value"]].values.tolist()
        [['all', 1.0], ['x', 1.0], ['y', 1.0]]
    """
    found = []
    for (release, finding), rows in votes.groupby(["release", "finding"], sort=True):
        table = rows.pivot(index="sample_id", columns="reader", values="vote")
        read, readers = table.to_numpy(np.float64), [str(name) for name in table.columns]
        if len(readers) < 2:
            continue
        known = patient.reindex(table.index)
        cluster = None if known.isna().all() else known.fillna("film " + table.index.to_series().astype(str)).to_numpy(dtype=str)
        together = krippendorff_alpha(read, cluster=cluster, replicates=replicates, seed=seed, level=level)
        found.append((release, finding, ALL_READERS, TOGETHER, *astuple(together)))
        for place, name in enumerate(readers):
            others = policy_label(np.delete(read, place, axis=1), MAJORITY)
            alone = cohen_kappa(read[:, place], others, cluster=cluster, replicates=replicates, seed=seed, level=level)
            found.append((release, finding, name, AGAINST_OTHERS, *astuple(alone)))
    return pd.DataFrame(found, columns=list(COLUMNS))
