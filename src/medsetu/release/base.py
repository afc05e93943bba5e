# SPDX-License-Identifier: Apache-2.0
"""What every release hands on: one row per image with its facts and findings, and what was left out and why."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.sample import SEXES, VIEWS
from medsetu.release.drawing import Row, complete_drawings, no_drawings

SAMPLE_COLUMNS: dict[str, str | float] = {  # fact -> what it is when a release says nothing
    "sample_id": "",  # <release>/<relative path>
    "patient_id": float("nan"),  # pseudonym; NaN when the release has no patient ids
    "study_id": float("nan"),  # pseudonym
    "release": "",
    "site": "",
    "country": "",  # ISO 3166 alpha-3, "" when mixed or unknown
    "modality": "",  # CR, DX, MG, US, CT, MR
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
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".dcm", ".dicom", ".nii", ".nii.gz")

_TEXT = pd.StringDtype(na_value=float("nan"))
_Row = TypeVar("_Row")
_OUTSIDE = r"^$|^/|\\|(?:^|/)\.\.(?:/|$)"  # empty, absolute, backslash, or a step upwards


@dataclass(frozen=True)
class ReleaseIndex:
    """All samples of one release, sorted by ``sample_id``.

    Attributes:
        samples: One row per image: the columns of ``SAMPLE_COLUMNS``, those of ``OPTIONAL_COLUMNS`` that the release knows, then one
            float64 column per finding (1 present, 0 absent, NaN unknown).
        excluded: Columns ``sample_id`` and ``reason``: rows without image, images without row.
        notes: Sentences a reader of the manifest should know.
        readings: What each reader said, where the release tells: ``sample_id``, ``reader`` and one column per finding (1 seen, 0 read and
            not seen, NaN not read), as ``manifest.consensus.fuse_readers`` takes it; empty where readers are not told apart.
        drawn: What was drawn on them, ``release.drawing.DRAWN_COLUMNS``, with masks named and not opened; empty where nothing was.
    """

    samples: pd.DataFrame
    excluded: pd.DataFrame
    notes: tuple[str, ...]
    readings: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["sample_id", "reader"], dtype=_TEXT))
    drawn: pd.DataFrame = field(default_factory=no_drawings)


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
    return sorted(path for path in _walk(top, root) if suffixes is None or ending(path) in suffixes)


def ending(path: str) -> str:
    """Ending of a file name, in lower case; of packed NIfTI both parts.

    Example:
        >>> ending("a/B.PNG"), ending("scan.nii.gz"), ending("labels.csv.gz")
        ('.png', '.nii.gz', '.gz')
    """
    return ".nii.gz" if path.lower().endswith(".nii.gz") else PurePosixPath(path).suffix.lower()


def _walk(top: Path, root: Path) -> Iterator[str]:
    for folder, subfolders, files in os.walk(top):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        prefix = Path(folder).relative_to(root)
        yield from ((prefix / name).as_posix() for name in files if not name.startswith("."))


def by_stem(paths: Iterable[str], *, release: str, key: Callable[[str], str] = str) -> dict[str, str]:
    """Find files by the stem of their name, for releases whose tables name films without folder and ending.

    Args:
        paths: Relative paths.
        release: Name of the release, for the message.
        key: Turns a stem into the name that the table uses, such as ``str.upper``.

    Returns:
        Path by name.

    Raises:
        DataError: Two files have one name.

    Example:
        >>> by_stem(["train/a1.dicom", "train/b2.dicom"], release="demo")
        {'a1': 'train/a1.dicom', 'b2': 'train/b2.dicom'}
    """
    found: dict[str, str] = {}
    for path in paths:
        first = found.setdefault(key(PurePosixPath(path).stem), path)
        if first != path:
            raise DataError(
                what="A film lies in two folders", where=f"Release '{release}': {first} and {path}", remedy="Keep one copy of each film"
            )
    return found


def join_rows(
    rows: Mapping[str, _Row], files: Mapping[str, str], *, place: Callable[[str], str] = str
) -> tuple[list[tuple[str, _Row]], list[tuple[str, str]]]:
    """Join what a table says with the files it speaks of, by name and never by position.

    Args:
        rows: Row by key.
        files: Path by key.
        place: Turns the key of a row without file into where the file would be.

    Returns:
        Pairs of path and row in the order of the files, and pairs of path and reason for what stands on one side only.

    Example:
        >>> join_rows({"a": 1, "b": 2}, {"b": "b.png", "c": "c.png"}, place="{}.png".format)
        ([('b.png', 2)], [('a.png', 'row without image'), ('c.png', 'image without row')])
    """
    pairs = [(path, rows[key]) for key, path in files.items() if key in rows]
    alone = [(place(key), "row without image") for key in rows if key not in files]
    return pairs, alone + [(path, "image without row") for key, path in files.items() if key not in rows]


def finish_index(
    rows: pd.DataFrame,
    *,
    release: str,
    root: Path,
    findings: Sequence[str],
    excluded: Iterable[tuple[str, str]] = (),
    notes: Iterable[str] = (),
    readings: pd.DataFrame | None = None,
    drawn: Iterable[Row] = (),
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
        readings: ``path``, ``reader`` and finding columns, where the release tells what each reader said; rows of paths that are no sample
            are dropped.
        drawn: What was drawn, by the functions of ``release.drawing``; those on no sample are counted in the notes.

    Returns:
        The index, sorted by ``sample_id``.

    Raises:
        DataError: The root is missing, no image was found, an image is listed twice, a path leaves the root, a finding column is
            missing, a value lies outside its vocabulary, or a reader read a film twice.

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
    told = {} if readings is None else {"readings": _complete_readings(readings, samples["path"], release=release, findings=findings)}
    drawings, strangers = complete_drawings(drawn, samples["path"], release=release)
    return ReleaseIndex(
        samples=samples.sort_values("sample_id", ignore_index=True),
        excluded=left_out.sort_values(["sample_id", "reason"], ignore_index=True),
        notes=(*notes, *([f"{strangers} drawings are of images that are not here"] if strangers else [])),
        drawn=drawings,
        **told,
    )


def _complete_readings(readings: pd.DataFrame, paths: "pd.Series[str]", *, release: str, findings: Sequence[str]) -> pd.DataFrame:
    kept = readings[readings["path"].isin(paths)]
    if bool(kept.duplicated(["path", "reader"]).any()):
        raise DataError(what="A reader read a film twice", where=f"Release '{release}'", remedy="Use the readings as published")
    names = pd.DataFrame({"sample_id": release + "/" + kept["path"], "reader": kept["reader"]}).astype(_TEXT)
    table = pd.concat([names, kept[[name for name in findings if name in kept]].astype("float64")], axis=1)
    return table.sort_values(["sample_id", "reader"], ignore_index=True)


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
