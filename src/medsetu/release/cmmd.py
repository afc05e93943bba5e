# SPDX-License-Identifier: Apache-2.0
"""CMMD, the Chinese Mammography Database (Cai et al., Sci Data 2023;10:123): breasts with proven pathology."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.core.sample import age_in_years, pseudonym
from medsetu.reader.heading import read_side_and_view
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_file, require_folder

LABEL_FILE, FILMS = "CMMD_clinicaldata_revision.xlsx", "CMMD"
_COLUMNS = ("ID1", "LeftRight", "Age", "abnormality", "classification")
_PATHOLOGY = {"benign": NEGATIVE, "malignant": POSITIVE}
_SEEN = {"mass": (POSITIVE, NEGATIVE), "calcification": (NEGATIVE, POSITIVE), "both": (POSITIVE, POSITIVE), "": (UNKNOWN, UNKNOWN)}


@dataclass
class _Breast:
    """What the rows of one breast say together."""

    age: float
    malignant: float
    mass: float
    calcification: float


@dataclass(frozen=True)
class Cmmd:
    """CMMD as downloaded: the sheet, and ``CMMD/D1-0001/<study>/<series>/1-1.dcm``.

    Attributes:
        root: Folder that holds the sheet and ``CMMD``.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "cmmd"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Malignant lesion, proven; and a mass, or calcifications, in the breast."""
        return ("malignant", "mass", "calcification")

    def index(self) -> ReleaseIndex:
        """Join the sheet, one row per breast, with the films of that breast: side and view stand in the head of each file alone.

        The heads are read, the pixels are not. Every breast of the sheet has a lesion; films of the other breast have no label.

        Returns:
            The index; films of breasts without row, and breasts without film, are listed as excluded.

        Raises:
            DataError: The sheet or the folder is missing, or a word is none of the release.
        """
        breasts = self._breasts()
        require_folder(self.root / FILMS, release=self.name)
        rows, excluded, shown = [], [], set()
        for path in image_files(self.root, below=FILMS, suffixes=(".dcm",)):
            patient = PurePosixPath(path).parts[1]
            try:
                side, view = read_side_and_view(self.root / path, sample_id=f"{self.name}/{path}")
            except DataError:
                excluded.append((path, "head of the file cannot be read"))
                continue
            breast = breasts.get((patient, side))
            if breast is None:
                excluded.append((path, "breast without row" if side else "side is not told"))
                continue
            shown.add((patient, side))
            facts = {"path": path, "patient_id": pseudonym(self.name, patient), "view": view, "laterality": side, "age_years": breast.age}
            rows.append({**facts, **{finding: getattr(breast, finding) for finding in self.findings}})
        excluded += [(f"{FILMS}/{patient}/{side}", "row without image") for patient, side in breasts if (patient, side) not in shown]
        return finish_index(
            pd.DataFrame(rows, columns=["path", "patient_id", "view", "laterality", "age_years", *self.findings]).assign(
                country="CHN", modality="MG"
            ),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=["No normal breasts: every labelled breast has a lesion", "The label is of the breast and stands at each of its films"],
        )

    def _breasts(self) -> dict[tuple[str, str], _Breast]:
        path = require_file(self.root / LABEL_FILE, release=self.name)
        found: dict[tuple[str, str], _Breast] = {}
        for row in read_sheet(path, columns=_COLUMNS):
            seen, malignant = _SEEN.get(row["abnormality"].lower()), _PATHOLOGY.get(row["classification"].lower())
            side = row["LeftRight"].upper()
            if seen is None or malignant is None or side not in ("L", "R"):
                raise DataError(
                    what="A side, abnormality or class is none of the release's words", where=str(path), remedy="Use the sheet as published"
                )
            age = age_in_years(row["Age"].removesuffix(".0"))
            breast = found.setdefault((row["ID1"], side), _Breast(age, malignant, *seen))
            breast.malignant = max(breast.malignant, malignant)
            breast.mass, breast.calcification = (_either(*pair) for pair in zip((breast.mass, breast.calcification), seen, strict=True))
        return found


def _either(first: float, second: float) -> float:
    """Join two labels: what one of them says is there is there; else unknown stays unknown.

    Example:
        >>> _either(0.0, 1.0), _either(float("nan"), 1.0), _either(0.0, float("nan"))
        (1.0, 1.0, nan)
    """
    return POSITIVE if POSITIVE in (first, second) else first + second
