# SPDX-License-Identifier: Apache-2.0
"""DMID, mammograms from Gujarat, India (Oza et al., Biomed Eng Lett 2024;14:317-330)."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.reader.sheet import read_cells
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file

LABEL_FILE = "Metadata.xlsx"
ENDINGS: dict[str, tuple[str, ...]] = {"dicom": (".dcm",), "tiff": (".tif", ".tiff")}
_FILM = re.compile(r"^IMG\d+$", re.IGNORECASE)
_VIEW = re.compile(r"^(?P<view>CC|MLO)(?P<side>LT|RT)$", re.IGNORECASE)  # the view first: the L of MLO is no side
_NOT_FILMS = ("roi_masks", "pixel-level annotation")


@dataclass(frozen=True)
class Dmid:
    """DMID unpacked into one folder: ``Metadata.xlsx`` and the films ``IMG001.dcm`` or ``IMG001.tif`` at any depth.

    Attributes:
        root: The folder.
        files: ``dicom`` or ``tiff``: which of the two copies of each film is read.
        name: Name of the release in tables.
    """

    root: Path
    files: str = "dicom"
    name: str = "dmid"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if self.files not in ENDINGS:
            raise ConfigError(what=f"There are no {self.files} films", where="Key files", value=self.files, allowed=list(ENDINGS))

    @property
    def findings(self) -> tuple[str, ...]:
        """Malignant lesion, and any lesion."""
        return ("malignant", "abnormal")

    def index(self) -> ReleaseIndex:
        """Join the sheet and the films by the number in their name, whatever its case; a film with several rows has what any of them says.

        Returns:
            The index, without patients: the sheet has none.

        Raises:
            DataError: The sheet is missing, cannot be read, or holds no row of the release; a film lies in two folders.
        """
        sheet = self._sheet()
        films = self._films()
        pairs, excluded = join_rows(sheet, films, place=f"{{}}{ENDINGS[self.files][0]}".format)
        rows = [{"path": path, **_facts(told)} for path, told in pairs]
        return finish_index(
            pd.DataFrame(rows, columns=["path", "view", "laterality", *self.findings]).assign(country="IND", modality="MG"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=["No patient ids: splits and intervals are by image, and views of one woman may stand on two sides"],
        )

    def _films(self) -> dict[str, str]:
        films = [path for path in image_files(self.root, suffixes=ENDINGS[self.files]) if _is_film(PurePosixPath(path))]
        return by_stem(films, release=self.name, key=str.upper)

    def _sheet(self) -> dict[str, list[list[str]]]:
        path = require_file(self.root / LABEL_FILE, release=self.name)
        found: dict[str, list[list[str]]] = {}
        for cells in read_cells(path):
            if _FILM.match(cells[0]):
                found.setdefault(cells[0].upper(), []).append([*cells, *[""] * 5][:5])
        if not found:
            raise DataError(what="No row of the sheet names a film (IMG001, ...)", where=str(path), remedy="Use the sheet as published")
        return found


def _is_film(path: PurePosixPath) -> bool:
    return bool(_FILM.match(path.stem)) and not any(folder.lower() in _NOT_FILMS for folder in path.parts[:-1])


def _facts(rows: list[list[str]]) -> dict[str, object]:
    view = next((match for match in (_VIEW.match(row[1].replace(" ", "")) for row in rows) if match), None)
    pathology = {row[4].upper() for row in rows} & {"N", "B", "M"}
    known = bool(pathology)
    return {
        "view": view["view"].upper() if view else "",
        "laterality": view["side"][0].upper() if view else "",
        "malignant": (POSITIVE if "M" in pathology else NEGATIVE) if known else UNKNOWN,
        "abnormal": (POSITIVE if pathology & {"B", "M"} else NEGATIVE) if known else UNKNOWN,
    }
