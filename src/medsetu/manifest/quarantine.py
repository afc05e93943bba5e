# SPDX-License-Identifier: Apache-2.0
"""Files that cannot be used: listed with their reason, and the run refused when there are too many of them."""

from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.table import write_table

LISTING = "quarantine.csv"


def refuse_too_many(quarantine: pd.DataFrame, samples: pd.DataFrame, *, limit: float, folder: Path | None) -> None:
    """Stop when a release has more unreadable files than the plan allows; the listing is saved first.

    Args:
        quarantine: Unreadable files with ``release`` and ``reason``.
        samples: All samples that were opened, with ``release``.
        limit: Largest allowed share per release, in [0, 1]; a release of which nothing can be read is refused at any limit.
        folder: Where the listing is saved; None saves nothing.

    Raises:
        DataError: The share of a release is above the limit.
        ResourceError: The listing cannot be written.
    """
    shares = quarantine["release"].value_counts() / samples["release"].value_counts()
    over = shares[(shares > limit) | (shares == 1)].sort_values(ascending=False)  # of a release something must remain
    if over.empty:
        return
    if folder is not None:
        write_table(quarantine, folder / LISTING)
    name = str(over.index[0])
    of_release = quarantine[quarantine["release"] == name]
    count, total = len(of_release), int((samples["release"] == name).sum())
    raise DataError(
        what=f"{count} of {total} files of release '{name}' cannot be read (allowed share: {limit:g})",
        where=f"Most often: {of_release['reason'].mode().iloc[0]}; first: {of_release['sample_id'].iloc[0]}; "
        + (f"all are listed in {folder / LISTING}" if folder is not None else "no listing was asked for"),
        remedy="Copy or download these files again, or raise manifest.max_quarantine knowingly",
    )
