# SPDX-License-Identifier: Apache-2.0
"""SIIM-ACR Pneumothorax Segmentation (Kaggle 2019): drawn pneumothoraces on films of NIH ChestX-ray14."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file, require_folder
from medsetu.release.drawing import drawn_runs

LABEL_FILE, FILMS = "train-rle.csv", "dicom-images-train"
NONE = "-1"
_RUNS = re.compile(r"\d+ \d+(?: \d+ \d+)*")


@dataclass(frozen=True)
class SiimAcrPtx:
    """The competition as downloaded: ``train-rle.csv`` and ``dicom-images-train/<study>/<series>/<image>.dcm``.

    Attributes:
        root: Folder that holds them.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "siim_acr_ptx"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Pneumothorax, where a mask is drawn."""
        return ("pneumothorax",)

    def index(self) -> ReleaseIndex:
        """Join the list and the films by the name of the image; a film has one row per drawn region.

        Returns:
            The index, without patients; films that the list does not name were not read and are listed as excluded.

        Raises:
            DataError: The list or the folder is missing, a mask is no run-length code, or a film has a mask and none at once.
        """
        rows, runs = self._rows()
        require_folder(self.root / FILMS, release=self.name)
        files = by_stem(image_files(self.root, below=FILMS, suffixes=(".dcm",)), release=self.name)
        pairs, excluded = join_rows(rows, files, place=f"{FILMS}/{{}}.dcm".format)
        return finish_index(
            pd.DataFrame(pairs, columns=["path", *self.findings]).assign(country="USA", modality="CR", seen="film of nih_chestxray14"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=[drawn_runs(files.get(film, ""), "pneumothorax", code) for film, code in runs],
            notes=["No patient ids: splits and intervals are by image", "Films of NIH ChestX-ray14: use one of the two"],
        )

    def _rows(self) -> tuple[dict[str, float], list[tuple[str, str]]]:
        """Labels by film, and run lengths with their film."""
        path = require_file(self.root / LABEL_FILE, release=self.name)
        found: dict[str, float] = {}
        runs: list[tuple[str, str]] = []
        for row in read_sheet(path, columns=["ImageId", "EncodedPixels"]):  # the header writes ' EncodedPixels'
            code = row["EncodedPixels"]
            value = NEGATIVE if code == NONE else POSITIVE
            if (value == POSITIVE and not _RUNS.fullmatch(code)) or found.setdefault(row["ImageId"], value) != value:
                raise DataError(
                    what="A mask is no run-length code, or a film has a mask and '-1' at once",
                    where=str(path),
                    remedy="Use the list as published",
                )
            runs += [(row["ImageId"], code)] if value == POSITIVE else []
        return found, runs
