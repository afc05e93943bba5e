# SPDX-License-Identifier: Apache-2.0
"""INbreast (Moreira et al., Acad Radiol 2012;19:236-248): digital mammograms from Porto with BI-RADS and density."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, dense_breast, finding_name, suspicious
from medsetu.core.sample import age_in_years, pseudonym
from medsetu.reader.contour import read_contours
from medsetu.reader.sheet import keyed, read_sheet
from medsetu.release.base import ReleaseIndex, finish_index, image_files, join_rows, require_file, require_folder
from medsetu.release.drawing import Row, drawn_polygon

LABEL_FILE, WORKBOOK, FILMS, CONTOURS = "INbreast.csv", "INbreast.xls", "AllDICOMs", "AllXML"
_COLUMNS = ("Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads")
COLUMN_OF = {"mass": "Mass", "calcification": "Micros", "architectural_distortion": "Distortion", "asymmetry": "Asymmetry"}
_NO_KINDS = dict.fromkeys(COLUMN_OF, UNKNOWN)
_VIEWS = {"CC": "CC", "MLO": "MLO", "ML": "MLO"}  # the release writes ML in names of files and means MLO


@dataclass(frozen=True)
class Inbreast:
    """INbreast as downloaded: ``INbreast.csv`` and ``AllDICOMs/<file>_<patient>_MG_<side>_<view>_ANON.dcm``.

    Contours lie in ``AllXML/<file>.xml`` (property lists, as OsiriX writes them), kinds of lesions in the workbook ``INbreast.xls``;
    both may be absent.

    Attributes:
        root: Folder of the release, ``INbreast Release 1.0``.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "inbreast"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Suspicious by BI-RADS (4 to 6 against 1 and 2; an assessment, no pathology), a dense breast, and kinds of lesions."""
        return ("suspicious", "dense", *COLUMN_OF)

    def index(self) -> ReleaseIndex:
        """Join the list and the films by the number that begins the name of a file; the patient stands in that name alone.

        Returns:
            The index; films without row, rows without film and files with other names are listed as excluded.

        Raises:
            DataError: The list or the folder is missing, a column is missing, or list and file name show different breasts; the workbook
                cannot be read.
        """
        path = require_file(self.root / LABEL_FILE, release=self.name)
        rows = keyed(
            [row for row in read_sheet(path, columns=_COLUMNS, optional=("Patient age",), separator=";") if row["File Name"]],
            lambda row: row["File Name"],
            path=path,
        )
        require_folder(self.root / FILMS, release=self.name)
        files, excluded = self._files()
        pairs, alone = join_rows(rows, files, place=f"{FILMS}/{{}}_*.dcm".format)
        kinds = self._kinds()
        films = [{"path": film, **self._facts(row, film), **kinds.get(row["File Name"], _NO_KINDS)} for film, row in pairs]
        facts = ["path", "patient_id", "study_id", "view", "laterality", "age_years"]
        return finish_index(
            pd.DataFrame(films, columns=[*facts, *self.findings]).assign(site="S. Joao, Porto", country="PRT", modality="MG"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded + alone,
            drawn=self._contours(files),
            notes=[
                "BI-RADS is an assessment, not pathology; category 3 is unknown",
                "A filled cell of the workbook is taken for present, a blank one for absent; the release does not say so"
                if kinds
                else f"{WORKBOOK} is not here: kinds of lesions are unknown",
            ],
        )

    def _kinds(self) -> dict[str, dict[str, float]]:
        """Kinds of lesions by file: a filled cell says that it is there, a blank one that it is not."""
        path = self.root / WORKBOOK
        if not path.is_file():
            return {}
        rows = keyed(
            [row for row in read_sheet(path, columns=["File Name", *COLUMN_OF.values()]) if row["File Name"]],
            lambda row: row["File Name"],
            path=path,
        )
        return {
            file: {finding: POSITIVE if row[column] else NEGATIVE for finding, column in COLUMN_OF.items()} for file, row in rows.items()
        }

    def _files(self) -> tuple[dict[str, str], list[tuple[str, str]]]:
        found, strangers = {}, []
        for path in image_files(self.root, below=FILMS, suffixes=(".dcm",)):
            parts = PurePosixPath(path).stem.split("_")
            if len(parts) == 6 and parts[2] == "MG" and parts[4] in _VIEWS:
                found[parts[0]] = path
            else:
                strangers.append((path, "file name is none of the release"))
        return found, strangers

    def _contours(self, files: Mapping[str, str]) -> list[Row]:
        """Contours under their own names (mass, calcification, ...), for the labels are of the breast."""
        return [
            drawn_polygon(files.get(PurePosixPath(file).stem, ""), finding_name(name), points)
            for file in image_files(self.root, below=CONTOURS, suffixes=(".xml",))
            for name, points in read_contours((self.root / file).read_bytes(), sample_id=f"{self.name}/{file}")
        ]

    def _facts(self, row: Mapping[str, str], path: str) -> dict[str, object]:
        _, patient, _, side, view, _ = PurePosixPath(path).stem.split("_")
        if (side, _VIEWS[view]) != (row["Laterality"].upper(), _VIEWS.get(row["View"].upper(), "")):
            raise DataError(
                what="List and file name do not show the same breast and view", where=f"{self.name}/{path}", remedy="Use both as published"
            )
        return {
            "patient_id": pseudonym(self.name, patient),
            "study_id": pseudonym(self.name, f"study/{patient}/{row['Acquisition date']}"),
            "view": _VIEWS[view],
            "laterality": side,
            "age_years": age_in_years(row["Patient age"]),
            "suspicious": suspicious(row["Bi-Rads"]),
            "dense": dense_breast(row["ACR"]),
        }
