# SPDX-License-Identifier: Apache-2.0
"""DMID, mammograms from Gujarat, India (Oza et al., Biomed Eng Lett 2024;14:317-330)."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_file

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
        excluded = [(f"{name}{ENDINGS[self.files][0]}", "row without image") for name in sorted(set(sheet) - set(films))]
        excluded += [(films[name], "image without row") for name in sorted(set(films) - set(sheet))]
        rows = [{"path": path, **_facts(sheet[name])} for name, path in films.items() if name in sheet]
        return finish_index(
            pd.DataFrame(rows, columns=["path", "view", "laterality", *self.findings]).assign(country="IND", modality="MG"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=["No patient ids: splits and intervals are by image, and views of one woman may stand on two sides"],
        )

    def _films(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in image_files(self.root, suffixes=ENDINGS[self.files]):
            name = PurePosixPath(path).stem.upper()
            if not _FILM.match(name) or any(folder.lower() in _NOT_FILMS for folder in PurePosixPath(path).parts[:-1]):
                continue
            if name in found:
                raise DataError(
                    what="A film lies in two folders",
                    where=f"Release '{self.name}': {found[name]} and {path}",
                    remedy="Keep one copy",
                )
            found[name] = path
        return found

    def _sheet(self) -> dict[str, list[tuple[str, ...]]]:
        path = require_file(self.root / LABEL_FILE, release=self.name)
        found: dict[str, list[tuple[str, ...]]] = {}
        for cells in _cells(path):
            if _FILM.match(cells[0]):
                found.setdefault(cells[0].upper(), []).append(cells)
        if not found:
            raise DataError(what="No row of the sheet names a film (IMG001, ...)", where=str(path), remedy="Use the sheet as published")
        return found


def _cells(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the first five cells of every row, stripped; the rows of the preamble come too."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        for row in book.worksheets[0].iter_rows(values_only=True):
            cells = tuple("" if cell is None else str(cell).strip() for cell in row[:5])
            yield cells + ("",) * (5 - len(cells))
        book.close()
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(what=f"The sheet cannot be read ({type(error).__name__})", where=str(path), remedy="Download it again") from error


def _facts(rows: list[tuple[str, ...]]) -> dict[str, object]:
    view = next((match for match in (_VIEW.match(row[1].replace(" ", "")) for row in rows) if match), None)
    pathology = {row[4].upper() for row in rows} & {"N", "B", "M"}
    known = bool(pathology)
    return {
        "view": view["view"].upper() if view else "",
        "laterality": view["side"][0].upper() if view else "",
        "malignant": (POSITIVE if "M" in pathology else NEGATIVE) if known else UNKNOWN,
        "abnormal": (POSITIVE if pathology & {"B", "M"} else NEGATIVE) if known else UNKNOWN,
    }
