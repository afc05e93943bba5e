# SPDX-License-Identifier: Apache-2.0
"""NITRD New Delhi tuberculosis films, DatasetA and DatasetB (Chauhan et al., PLoS ONE 2014, doi:10.1371/journal.pone.0112980)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder

PARTS: dict[str, tuple[str, ...]] = {"A": ("A",), "B": ("B",), "both": ("A", "B")}
SPLIT_FOLDERS: dict[str, str] = {"training": "train", "testing": "test"}

_PREFIX = {"A": re.compile(r"^(?P<label>[np])x\d", re.IGNORECASE), "B": re.compile(r"^(?P<label>[np])x?[ _-]?\d", re.IGNORECASE)}
_SUFFIXES = {"A": None, "B": ("", ".dcm", ".dicom")}
_VALUE = {"n": NEGATIVE, "p": POSITIVE}


@dataclass(frozen=True)
class Nitrd:
    """The New Delhi films as downloaded: ``DatasetA/{Training,Testing}/{nx,px}N.jpg`` and ``DatasetB`` with DICOM files ``nN``, ``pN``.

    Attributes:
        root: Folder that holds ``DatasetA`` and ``DatasetB``.
        part: ``A``, ``B`` or ``both``; the two were taken on different machines.
        name: Name of the release in tables.
    """

    root: Path
    part: str = "A"
    name: str = "nitrd"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if self.part not in PARTS:
            raise ConfigError(what=f"'{self.part}' is not a part of the release", where="Key part", value=self.part, allowed=list(PARTS))

    @property
    def findings(self) -> tuple[str, ...]:
        """Tuberculosis, by the first letter of the file name."""
        return ("tuberculosis",)

    def index(self) -> ReleaseIndex:
        """List the films by their path: the same file name lies in Training and in Testing, for different films.

        Returns:
            The index, without patients; ``device`` is DA or DB, ``official_split`` follows the folder.

        Raises:
            DataError: A folder is missing, or no file name says what it shows.
        """
        rows: list[dict[str, object]] = []
        excluded: list[tuple[str, str]] = []
        for part in PARTS[self.part]:
            for path in self._paths(part):
                match = _PREFIX[part].match(PurePosixPath(path).name)
                if match is None:
                    excluded.append((path, "file name says neither normal nor tuberculosis"))
                else:
                    rows.append(_row(path, part=part, value=_VALUE[match["label"].lower()]))
        return finish_index(
            pd.DataFrame(rows, columns=["path", "site", "country", "device", "official_split", "tuberculosis"]),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=self._notes(rows),
        )

    def _paths(self, part: str) -> Iterator[str]:
        folder = f"Dataset{part}"
        require_folder(self.root / folder, release=self.name)
        if part == "A" and not any((self.root / folder / name.capitalize()).is_dir() for name in SPLIT_FOLDERS):
            raise DataError(
                what="Neither Training nor Testing is there",
                where=f"Release '{self.name}', folder {folder}",
                remedy="Unpack DatasetA with its folders as published",
            )
        yield from image_files(self.root, below=folder, suffixes=_SUFFIXES[part])

    def _notes(self, rows: list[dict[str, object]]) -> list[str]:
        notes = [
            "No patient ids: splits and intervals are by image",
            "Classes were drawn in equal numbers: prevalence is not that of the clinic",
        ]
        for part in PARTS[self.part]:
            present = {row["official_split"] for row in rows if row["device"] == f"D{part}"}
            notes += [
                f"Dataset{part} is here without its {folder} films" for folder, split in SPLIT_FOLDERS.items() if split not in present
            ]
        return notes


def _row(path: str, *, part: str, value: float) -> dict[str, object]:
    folders = [folder.lower() for folder in PurePosixPath(path).parts[:-1]]
    split = next((SPLIT_FOLDERS[folder] for folder in folders if folder in SPLIT_FOLDERS), "")
    return {
        "path": path,
        "site": "NITRD New Delhi",
        "country": "IND",
        "device": f"D{part}",
        "official_split": split,
        "tuberculosis": value,
    }
