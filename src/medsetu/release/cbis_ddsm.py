# SPDX-License-Identifier: Apache-2.0
"""CBIS-DDSM, digitised mammograms with proven pathology (Lee et al., Sci Data 2017;4:170177)."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.core.sample import pseudonym
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import ReleaseIndex, finish_index, image_files, join_rows, require_file, require_folder
from medsetu.release.drawing import drawn_mask

LABEL_FILES = {(kind, split): f"{kind}_case_description_{split}_set.csv" for kind in ("mass", "calc") for split in ("train", "test")}
FILMS = "CBIS-DDSM"
_PATHOLOGY = {"MALIGNANT": POSITIVE, "BENIGN": NEGATIVE, "BENIGN_WITHOUT_CALLBACK": NEGATIVE}
_COLUMNS = ("patient_id", "left or right breast", "image view", "pathology", "image file path", "ROI mask file path")


@dataclass
class _Film:
    """What the rows of one film say together."""

    patient: str
    side: str
    view: str
    malignant: float = NEGATIVE
    splits: set[str] = field(default_factory=set)
    lesions: list[str] = field(default_factory=list)  # folders of crop and mask of the malignant ones


@dataclass(frozen=True)
class CbisDdsm:
    """CBIS-DDSM as downloaded: four lists, and ``CBIS-DDSM/Mass-Training_P_00001_LEFT_CC/<study>/<series>/1-1.dcm``.

    Attributes:
        root: Folder that holds the lists and ``CBIS-DDSM``.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "cbis_ddsm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Malignant lesion, proven; every film has a lesion, so there are no normal ones."""
        return ("malignant",)

    def index(self) -> ReleaseIndex:
        """Join the lists and the whole films by the folder of the film; crops are left out, masks are what was drawn.

        Crop and mask of a lesion lie in one folder under names that are exchanged in some rows of the lists, so the size tells them apart.

        A film with several lesions is malignant if any of them is. The official split is used only for patients who stand on one side of
        it: the lists of masses and of calcifications were split apart, so a woman may be in the training part of one and the test of the
        other.

        Returns:
            The index; films without file, and files without row, are listed as excluded.

        Raises:
            DataError: A list or the folder is missing, a column is missing, or a pathology is none of the release.
        """
        require_folder(self.root / FILMS, release=self.name)
        films = self._listed()
        files = self._files()
        pairs, excluded = join_rows(films, files, place=f"{FILMS}/{{}}".format)
        drawn = [drawn_mask(path, "malignant", f"{FILMS}/{lesion}") for path, film in pairs for lesion in film.lesions]
        sides: dict[str, set[str]] = {}
        for film in films.values():
            sides.setdefault(film.patient, set()).update(film.splits)
        rows = [
            {
                "path": path,
                "patient_id": pseudonym(self.name, film.patient),
                "view": film.view,
                "laterality": film.side,
                "official_split": next(iter(sides[film.patient])) if len(sides[film.patient]) == 1 else "",
                "malignant": film.malignant,
            }
            for path, film in pairs
        ]
        astride = sum(len(found) > 1 for found in sides.values())
        return finish_index(
            pd.DataFrame(rows, columns=["path", "patient_id", "view", "laterality", "official_split", "malignant"]).assign(
                country="USA", modality="MG"
            ),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=drawn,
            notes=[
                "No normal films: every film has a lesion",
                f"{astride} patients stand on both sides of the official lists: no split for them",
            ],
        )

    def _listed(self) -> dict[str, _Film]:
        found: dict[str, _Film] = {}
        for (_, split), name in LABEL_FILES.items():
            path = require_file(self.root / name, release=self.name)
            for row in read_sheet(path, columns=_COLUMNS):
                folder = _folder(row["image file path"])
                side = row["left or right breast"][:1].upper()
                film = found.setdefault(folder, _Film(row["patient_id"], side, row["image view"].upper()))
                film.splits.add(split)
                malignant = _pathology(row["pathology"], path)
                film.malignant = max(film.malignant, malignant)
                film.lesions += [_folder(row["ROI mask file path"])] if malignant == POSITIVE else []
        return found

    def _files(self) -> dict[str, str]:
        """Whole films by folder: the folders of crops and masks end in the number of the lesion, those of films in the view."""
        found: dict[str, str] = {}
        for path in image_files(self.root, below=FILMS, suffixes=(".dcm",)):
            folder = PurePosixPath(path).parts[1]
            if folder.upper().endswith(("_CC", "_MLO")):
                found.setdefault(folder, path)
        return found


def _folder(cell: str) -> str:
    """First folder of a path as the lists write it, with line breaks and quotes."""
    return PurePosixPath(cell.replace("\n", "").strip().strip('"')).parts[0]


def _pathology(text: str, path: Path) -> float:
    value = _PATHOLOGY.get(text.upper())
    if value is None:
        raise DataError(what="A pathology is none of the release's three words", where=str(path), remedy="Use the list as published")
    return value
