# SPDX-License-Identifier: Apache-2.0
"""The three tables that are the spine: Manifest, Predictions, Results; their columns, checks and files."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.run import atomic_write, verify_sidecar

MANIFEST_COLUMNS: dict[str, str] = {
    "sample_id": "str",  # unique; <release>/<relative path without the root>
    "patient_id": "str",  # pseudonym; missing when the release has no patient ids
    "study_id": "str",  # pseudonym; may be missing
    "release": "str",
    "domain": "str",  # global, local, external
    "site": "str",
    "country": "str",  # ISO 3166 alpha-3, or "" when mixed or unknown
    "modality": "str",  # CR, DX, MG
    "view": "str",
    "laterality": "str",
    "sex": "str",
    "age_years": "float64",
    "device": "str",
    "path": "str",  # relative to the release's root
    "root": "str",  # folder of the release, as configured
    "sha256": "str",  # of the file's bytes
    "split": "str",  # train, val, test, crossfit, unused
    "official_split": "str",  # what the release says, "" when it says nothing
    "group_id": "str",  # unit that never straddles splits: patient, or set of duplicate images
    "seen": "str",  # "", or why this sample may have been seen in pretraining
    "file_format": "str",
    "color_mode": "str",
    "height": "int64",  # pixels
    "width": "int64",  # pixels
    "bits": "int64",  # stored bits per pixel
    "spacing_mm": "float64",
    "file_bytes": "int64",
    "phash": "str",  # 64-bit perceptual hash, hexadecimal
}
PREDICTION_COLUMNS: dict[str, str] = {
    "run": "str",
    "arm": "str",
    "seed": "int64",
    "fold": "int64",  # -1 when the sides are not cross-fitted
    "sample_id": "str",
    "patient_id": "str",
    "domain": "str",
    "split": "str",
    "finding": "str",
    "label": "float64",
    "score": "float64",  # probability in [0, 1]
    "site": "str",
    "sex": "str",
    "age_years": "float64",
    "view": "str",
    "device": "str",
    "release": "str",
    "seen": "str",
}
RESULT_COLUMNS: dict[str, str] = {
    "run": "str",
    "arm": "str",
    "split": "str",
    "domain": "str",
    "group": "str",  # "all", or column=value
    "finding": "str",
    "metric": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "n_patients": "int64",
    "n_samples": "int64",
    "n_positive": "int64",
    "unit": "str",
    "method": "str",  # estimator of the interval
    "note": "str",  # why a value is NaN, image-level grouping, claim level
}


def finding_columns(manifest: pd.DataFrame) -> list[str]:
    """List the finding columns of a manifest: every column that is not a fact.

    Example:
        >>> import pandas as pd
        >>> finding_columns(pd.DataFrame(columns=["sample_id", "sex", "tuberculosis"]))
        ['tuberculosis']
    """
    return [name for name in manifest.columns if name not in MANIFEST_COLUMNS]


def conform(frame: pd.DataFrame, columns: dict[str, str], *, name: str) -> pd.DataFrame:
    """Order and type the columns of a table, and refuse it when one is missing.

    Args:
        frame: Table to check.
        columns: Column name to dtype; "str" keeps missing values as None.
        name: Name of the table, for the message.

    Returns:
        A copy with the fixed columns first and typed, extra columns (findings of a manifest) after them as they were.

    Raises:
        DataError: A column is missing.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(
            what=f"Column '{missing[0]}' is missing", where=f"Table {name}", remedy="Rebuild the table with the verb that writes it"
        )
    extra = [column for column in frame.columns if column not in columns]
    result = frame[[*columns, *extra]].copy()
    text = pd.StringDtype(na_value=float("nan"))
    return result.astype({column: text if kind == "str" else kind for column, kind in columns.items()})


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table as parquet (or CSV by its suffix), atomically, with a SHA-256 beside it.

    Args:
        frame: Table to write.
        path: Target, ending in .parquet or .csv.

    Returns:
        The path.
    """
    buffer = io.BytesIO()
    if path.suffix == ".csv":
        frame.to_csv(buffer, index=False)
    else:
        frame.to_parquet(buffer, index=False)
    return atomic_write(path, buffer.getvalue(), sidecar=path.suffix != ".csv")


def read_table(path: Path, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table, verifying its SHA-256 where one lies beside it.

    Args:
        path: A .parquet or .csv file.
        columns: Columns to read; all when None.

    Returns:
        The table.

    Raises:
        DataError: The file is missing, damaged, or not the one that was written.
    """
    if not path.is_file():
        raise DataError(what="A table is missing", where=str(path), remedy="Run the verb that writes it, or correct the path")
    verify_sidecar(path)
    wanted = None if columns is None else list(columns)
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, usecols=wanted)
        return pd.read_parquet(path, columns=wanted)
    except (ValueError, OSError, KeyError) as error:
        raise DataError(
            what=f"A table cannot be read ({type(error).__name__})", where=str(path), remedy="Write it again, or give another file"
        ) from error
