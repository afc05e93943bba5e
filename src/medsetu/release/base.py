# SPDX-License-Identifier: Apache-2.0
"""What every release hands on: one row per image with its facts and findings, and what was left out and why."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.sample import SEXES, VIEWS

SAMPLE_COLUMNS: dict[str, str | float] = {  # fact -> what it is when a release says nothing
    "sample_id": "",  # <release>/<relative path>
    "patient_id": float("nan"),  # pseudonym; NaN when the release has no patient ids
    "study_id": float("nan"),  # pseudonym
    "release": "",
    "site": "",
    "country": "",  # ISO 3166 alpha-3, "" when mixed or unknown
    "modality": "",  # CR, DX, MG
    "view": "",
    "laterality": "",
    "sex": "",
    "age_years": float("nan"),
    "device": "",
    "path": "",  # relative to the root, with forward slashes
    "official_split": "",  # "", train, val, test
}
OPTIONAL_COLUMNS: dict[str, str | float] = {"seen": ""}  # why a sample may have been seen in pretraining
OFFICIAL_SPLITS = ("", "train", "val", "test")
LATERALITIES = ("", "L", "R", "B")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".dcm", ".dicom")

_TEXT = pd.StringDtype(na_value=float("nan"))
_OUTSIDE = r"^$|^/|\\|(?:^|/)\.\.(?:/|$)"  # empty, absolute, backslash, or a step upwards


@dataclass(frozen=True)
class ReleaseIndex:
    """All samples of one release, sorted by ``sample_id``.

    Attributes:
        samples: One row per image: the columns of ``SAMPLE_COLUMNS``, those of ``OPTIONAL_COLUMNS`` that the release knows, then one
            float64 column per finding (1 present, 0 absent, NaN unknown).
        excluded: Columns ``sample_id`` and ``reason``: rows without image, images without row.
        notes: Sentences a reader of the manifest should know.
    """

    samples: pd.DataFrame
    excluded: pd.DataFrame
    notes: tuple[str, ...]


class Release(Protocol):
    """A published dataset lying in a folder."""

    @property
    def name(self) -> str:
        """Short name; equals the stem of its card."""
        ...

    @property
    def root(self) -> Path:
        """Folder that holds the release as downloaded."""
        ...

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings that the release labels."""
        ...

    def index(self) -> ReleaseIndex:
        """List the samples without opening an image."""
        ...


def require_folder(folder: Path, *, release: str) -> Path:
    """Return a folder, or say that it is missing.

    Args:
        folder: Folder that the release must have.
        release: Name of the release, for the message.

    Returns:
        The folder.

    Raises:
        DataError: It does not exist, or is not a folder.
    """
    if not folder.is_dir():
        raise DataError(
            what=f"A folder of release '{release}' is missing",
            where=str(folder),
            remedy="Correct the root of the release (or MEDSETU_DATA), or download the release into this folder",
        )
    return folder


def require_file(path: Path, *, release: str) -> Path:
    """Return a file, or say that it is missing.

    Args:
        path: File that the release must have.
        release: Name of the release, for the message.

    Returns:
        The file.

    Raises:
        DataError: It does not exist, or is not a file.
    """
    if not path.is_file():
        raise DataError(
            what=f"A file of release '{release}' is missing",
            where=str(path),
            remedy="Correct the root of the release (or MEDSETU_DATA), or download this file into it",
        )
    return path


def image_files(root: Path, *, below: str = "", suffixes: Sequence[str] | None = IMAGE_SUFFIXES) -> list[str]:
    """List the image files in a folder tree by name, without opening one.

    Hidden files are left out (``.DS_Store``, and the ``._*`` companions that macOS leaves on shared disks and that look like images).
    Links to folders are not followed.

    Args:
        root: Folder that the paths are relative to.
        below: Folder under root to search, with forward slashes; empty for all of root.
        suffixes: Lower-case endings to keep; None keeps every file, for releases whose DICOM files have no ending.

    Returns:
        Paths relative to root with forward slashes, sorted.
    """
    top = root / below
    return sorted(path for path in _walk(top, root) if suffixes is None or PurePosixPath(path).suffix.lower() in suffixes)


def _walk(top: Path, root: Path) -> Iterator[str]:
    for folder, subfolders, files in os.walk(top):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        prefix = Path(folder).relative_to(root)
        yield from ((prefix / name).as_posix() for name in files if not name.startswith("."))


def finish_index(
    rows: pd.DataFrame,
    *,
    release: str,
    root: Path,
    findings: Sequence[str],
    excluded: Iterable[tuple[str, str]] = (),
    notes: Iterable[str] = (),
) -> ReleaseIndex:
    """Check and complete what an adapter has found, the same way for every release.

    Args:
        rows: One row per image with at least ``path`` and the finding columns; facts that are absent get the value of ``SAMPLE_COLUMNS``,
            columns that are neither facts nor findings are dropped.
        release: Name of the release.
        root: Folder of the release.
        findings: Finding columns, in this order.
        excluded: Pairs of path relative to the root (or name, where there is no file) and reason.
        notes: Sentences for the reader.

    Returns:
        The index, sorted by ``sample_id``.

    Raises:
        DataError: The root is missing, no image was found, an image is listed twice, a path leaves the root, a finding column is
            missing, or a value lies outside its vocabulary.

    Example:
        >>> rows = pd.DataFrame({"path": ["b.png", "a.png"], "edema": [1.0, float("nan")]})
        >>> index = finish_index(rows, release="demo", root=Path("."), findings=["edema"])
        >>> index.samples[["sample_id", "edema"]].values.tolist()
        [['demo/a.png', nan], ['demo/b.png', 1.0]]
    """
    require_folder(root, release=release)
    left_out = pd.DataFrame(list(excluded), columns=["sample_id", "reason"], dtype=_TEXT)
    left_out["sample_id"] = release + "/" + left_out["sample_id"]
    if rows.empty:
        raise DataError(
            what=f"Release '{release}' holds no labelled image ({len(left_out)} files or rows were left out)",
            where=str(root),
            remedy="Check that the folder has the layout of the published release",
        )
    samples = _complete(rows, release=release, findings=findings)
    _check_paths(samples, release=release)
    _check_values(samples, release=release, findings=findings)
    return ReleaseIndex(
        samples=samples.sort_values("sample_id", ignore_index=True),
        excluded=left_out.sort_values(["sample_id", "reason"], ignore_index=True),
        notes=tuple(notes),
    )


def _complete(rows: pd.DataFrame, *, release: str, findings: Sequence[str]) -> pd.DataFrame:
    missing = [name for name in ("path", *findings) if name not in rows.columns]
    if missing:
        raise DataError(
            what=f"Column '{missing[0]}' is missing from the samples",
            where=f"Release '{release}'",
            remedy="Correct its adapter or settings",
        )
    facts = SAMPLE_COLUMNS | {name: value for name, value in OPTIONAL_COLUMNS.items() if name in rows.columns}
    samples = pd.DataFrame({name: rows[name] if name in rows.columns else value for name, value in facts.items()}, index=rows.index)
    text = [name for name in facts if name != "age_years"]
    samples = samples.astype(dict.fromkeys(text, _TEXT) | {"age_years": "float64"})
    blank = [name for name in text if isinstance(facts[name], str)]
    samples[blank] = samples[blank].fillna("")
    samples["release"] = pd.Series(release, index=samples.index, dtype=_TEXT)
    samples["sample_id"] = release + "/" + samples["path"]
    return pd.concat([samples, rows[list(findings)].astype("float64")], axis=1)


def _check_paths(samples: pd.DataFrame, *, release: str) -> None:
    outside = samples["path"].str.contains(_OUTSIDE)
    if outside.any():
        raise DataError(
            what="A path is empty, absolute, or leaves the folder of the release",
            where=f"Release '{release}', path '{samples.loc[outside, 'path'].iloc[0]}'",
            remedy="Write paths relative to the image folder, with forward slashes",
        )
    repeated = samples.loc[samples["path"].duplicated(), "sample_id"]
    if len(repeated):
        raise DataError(
            what=f"{len(repeated)} images are listed more than once",
            where=f"Release '{release}', first: {repeated.iloc[0]}",
            remedy="Keep one row per image",
        )


def _check_values(samples: pd.DataFrame, *, release: str, findings: Sequence[str]) -> None:
    vocabularies: dict[str, Sequence[str]] = {
        "sex": SEXES,
        "view": VIEWS,
        "laterality": LATERALITIES,
        "official_split": OFFICIAL_SPLITS,
    }
    wrong = {name: ~samples[name].isin(list(words)) for name, words in vocabularies.items()}
    age = samples["age_years"].to_numpy()
    wrong["age_years"] = pd.Series(~(np.isnan(age) | ((age >= 0) & (age <= 120))), index=samples.index)
    wrong |= {name: ~(samples[name].isin([0.0, 1.0]) | samples[name].isna()) for name in findings}
    for name, rows in wrong.items():
        if rows.any():
            raise DataError(
                what=f"{int(rows.sum())} values of '{name}' lie outside its vocabulary",
                where=f"Release '{release}', first: {samples.loc[rows, 'sample_id'].iloc[0]}",
                remedy="Map them to the values medsetu knows, or to unknown",
            )
