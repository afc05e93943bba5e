# SPDX-License-Identifier: Apache-2.0
"""DMID, mammograms from Gujarat, India (Oza et al., Biomed Eng Lett 2024;14:317-330)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, dense_breast, suspicious
from medsetu.core.sample import pseudonym
from medsetu.reader.heading import read_patient
from medsetu.reader.sheet import read_cells
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file

LABEL_FILE = "Metadata.xlsx"
ENDINGS: dict[str, tuple[str, ...]] = {"dicom": (".dcm",), "tiff": (".tif", ".tiff")}
_FILM = re.compile(r"^IMG\d+$", re.IGNORECASE)
_VIEW = re.compile(r"^(?P<view>CC|MLO)(?P<side>LT|RT)$", re.IGNORECASE)  # the view first: the L of MLO is no side
_NOT_FILMS = ("roi_masks", "pixel-level annotation")
_PATHOLOGY = ("malignant", "abnormal")
_KINDS: dict[str, frozenset[str]] = {  # finding -> words of the sheet; CLAC is how the sheet often writes CALC
    "mass": frozenset({"CIRC", "SPIC", "MISC"}),
    "calcification": frozenset({"CALC", "CLAC"}),
    "architectural_distortion": frozenset({"ARCH"}),
    "asymmetry": frozenset({"ASYM"}),
}
_WORDS = frozenset({"NORM"}).union(*_KINDS.values())
_REPORT = ("suspicious", "dense")
_CATEGORY = re.compile(
    r"BI[- ]?[RA]+DS\s*[-:]?\s*(?:category\s*)?(?P<all>[0-6][abc]?(?:\s*(?:[,/&+-]|and|or|to)\s*[0-6]?[abc]?)*)", re.IGNORECASE
)
_DENSITY = re.compile(r"\bACR\s*[-:]?\s*([A-D])\b", re.IGNORECASE)


@dataclass(frozen=True)
class Dmid:
    """DMID unpacked into one folder: ``Metadata.xlsx``; at any depth ``IMG001.dcm`` or ``IMG001.tif``, and reports ``Img001.txt``.

    The sheet gives pathology and kinds of lesions; the reports, free text of which only two marks are read, BI-RADS and density.

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
        """Malignant and any lesion by pathology, kinds of lesions, and by the report: suspicious (an assessment) and a dense breast."""
        return (*_PATHOLOGY, *_KINDS, *_REPORT)

    def index(self) -> ReleaseIndex:
        """Join sheet, films and reports by the number in their name, whatever its case; a film with several rows has what any of them says.

        The sheet has no patients. PatientID of the DICOM files is taken where it groups films; where it is blank, one for all, or another
        for each film, it says nothing of who is who.

        Returns:
            The index; notes say whether there are patients, and how many films have no report.

        Raises:
            DataError: The sheet is missing, cannot be read, or holds no row of the release; a film lies in two folders.
        """
        sheet = self._sheet()
        films = self._films()
        pairs, excluded = join_rows(sheet, films, place=f"{{}}{ENDINGS[self.files][0]}".format)
        reports = self._reports()
        rows = [{"path": path, **_facts(told), **_report(reports.get(PurePosixPath(path).stem.upper(), ""))} for path, told in pairs]
        patients = self._patients([path for path, _ in pairs])
        table = pd.DataFrame(rows, columns=["path", "view", "laterality", *self.findings])
        table["patient_id"] = table["path"].map(patients).astype("object")
        without = int(table[list(_REPORT)].isna().all(axis=1).sum())
        return finish_index(
            table.assign(country="IND", modality="MG"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                "Patients are those of PatientID in the DICOM files; the release does not document it"
                if patients
                else "No patient ids: splits and intervals are by image, and views of one woman may stand on two sides",
                *([f"{without} films have no report, or one with neither category nor density: unknown"] if without else []),
            ],
        )

    def _reports(self) -> dict[str, str]:
        """Text by film, from ``Reports``; it goes no further than the two patterns."""
        found = {}
        for path in image_files(self.root, suffixes=(".txt",)):
            if _FILM.match(PurePosixPath(path).stem):
                found[PurePosixPath(path).stem.upper()] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return found

    def _patients(self, films: Sequence[str]) -> dict[str, str]:
        """Pseudonym by film, where PatientID makes groups; none otherwise."""
        if self.files != "dicom":
            return {}
        said = {path: read_patient(self.root / path, sample_id=f"{self.name}/{path}") for path in films}
        known = {path: patient for path, patient in said.items() if patient}
        if not 1 < len(set(known.values())) < len(known):
            return {}
        return {path: pseudonym(self.name, patient) for path, patient in known.items()}

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


def _facts(rows: Sequence[Sequence[str]]) -> dict[str, object]:
    view = next((match for match in (_VIEW.match(row[1].replace(" ", "")) for row in rows) if match), None)
    pathology = {row[4].upper() for row in rows} & {"N", "B", "M"}
    kinds = {word.strip().upper() for row in rows for word in row[3].split("+")} & _WORDS
    return {
        "view": view["view"].upper() if view else "",
        "laterality": view["side"][0].upper() if view else "",
        "malignant": _told(pathology, {"M"}),
        "abnormal": _told(pathology, {"B", "M"}),
        **{finding: _told(kinds, words) for finding, words in _KINDS.items()},
    }


def _told(said: Collection[str], words: Collection[str]) -> float:
    """Present where one of the words was said, absent where others were, unknown where none was."""
    return UNKNOWN if not said else POSITIVE if set(said) & set(words) else NEGATIVE


def _report(text: str) -> dict[str, float]:
    """Read assessment and density of a report; of several categories the highest counts, and 0 (incomplete) says nothing.

    Example:
        >>> _report("ACR - C density. BIRADS : 4a, 4b"), _report("BI-RADS: 0")
        ({'suspicious': 1.0, 'dense': 1.0}, {'suspicious': nan, 'dense': nan})
    """
    categories = [digit for match in _CATEGORY.finditer(text) for digit in re.findall(r"[0-6]", match["all"])]
    densities = {dense_breast(letter) for letter in _DENSITY.findall(text)}
    return {
        "suspicious": suspicious(max(categories, default="")),
        "dense": densities.pop() if len(densities) == 1 else UNKNOWN,
    }
