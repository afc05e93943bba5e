# SPDX-License-Identifier: Apache-2.0
"""VinDr-Mammo 1.0.0 (Nguyen et al., Sci Data 2023;10:277): screening mammograms from Hanoi with BI-RADS, density and drawn findings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, dense_breast, finding_name, suspicious
from medsetu.core.sample import age_in_years, pseudonym
from medsetu.reader.sheet import keyed, read_sheet, word_list
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file, require_folder
from medsetu.release.drawing import Row, drawn_box

BREASTS, FINDINGS, FACTS = "breast-level_annotations.csv", "finding_annotations.csv", "metadata.csv"
NONE = "No Finding"
CATEGORIES = (
    "Mass", "Suspicious Calcification", "Asymmetry", "Focal Asymmetry", "Global Asymmetry", "Architectural Distortion",
    "Suspicious Lymph Node", "Skin Thickening", "Skin Retraction", "Nipple Retraction",
)  # fmt: skip
_SPLITS = {"training": "train", "test": "test"}
_COLUMNS = ("study_id", "image_id", "laterality", "view_position", "breast_birads", "breast_density", "split")
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_FACTS = ("Patient's Age", "Manufacturer", "Manufacturer's Model Name")


@dataclass(frozen=True)
class VindrMammo:
    """VinDr-Mammo as downloaded: ``images/<study_id>/<image_id>.dicom`` and three lists.

    Attributes:
        root: Folder that holds ``images`` and the lists; ``metadata.csv`` may be absent.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "vindr_mammo"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Suspicious by BI-RADS of the breast (an assessment, no pathology), a dense breast, and ten drawn findings."""
        return ("suspicious", "dense", *(finding_name(category) for category in CATEGORIES))

    def index(self) -> ReleaseIndex:
        """Join breasts, drawn findings and films by image; BI-RADS and density are of the breast, drawn findings of the film.

        Side and view come from the list: those in the files are not reliable. A film that the list of findings does not name was not
        searched and is NaN for the drawn ones.

        Returns:
            The index; an examination stands for a patient. Rows without film and films without row are listed as excluded.

        Raises:
            DataError: A list or the folder is missing, a column is missing, or a category or split is none of the release.
        """
        path = require_file(self.root / BREASTS, release=self.name)
        rows = keyed(read_sheet(path, columns=_COLUMNS), lambda row: row["image_id"], path=path)
        drawn, facts = self._drawn(), self._metadata()
        require_folder(self.root / "images", release=self.name)
        files = by_stem(image_files(self.root, below="images", suffixes=(".dicom", ".dcm")), release=self.name)
        pairs, excluded = join_rows(rows, files, place=lambda image: f"images/{rows[image]['study_id']}/{image}.dicom")
        films = [
            {"path": film, **self._facts(row, facts.get(row["image_id"], {})), **_values(drawn.get(row["image_id"]))} for film, row in pairs
        ]
        columns = ["path", "patient_id", "study_id", "view", "laterality", "age_years", "device", "official_split", *self.findings]
        return finish_index(
            pd.DataFrame(films, columns=columns).assign(site="Hanoi", country="VNM", modality="MG"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=self._boxes(files),
            notes=[
                "BI-RADS is an assessment, not pathology; category 3 is unknown",
                "An examination stands for a patient: the release says nothing of women with two",
            ],
        )

    def _facts(self, row: Mapping[str, str], more: Mapping[str, str]) -> dict[str, object]:
        if row["split"] not in _SPLITS:
            raise DataError(what="A split is not training or test", where=f"Release '{self.name}', {BREASTS}", remedy="Use it as published")
        exam = pseudonym(self.name, row["study_id"])
        maker = " ".join(more.get(name, "") for name in _FACTS[1:])
        return {
            "patient_id": exam,
            "study_id": exam,
            "view": row["view_position"].upper() if row["view_position"].upper() in ("CC", "MLO") else "",
            "laterality": row["laterality"].upper(),
            "age_years": age_in_years(more.get(_FACTS[0])),
            "device": " ".join(re.findall(r"\w+", maker.lower())),
            "official_split": _SPLITS[row["split"]],
            "suspicious": suspicious(row["breast_birads"]),
            "dense": dense_breast(row["breast_density"]),
        }

    def _drawn(self) -> dict[str, set[str]]:
        path = require_file(self.root / FINDINGS, release=self.name)
        found: dict[str, set[str]] = {}
        for row in read_sheet(path, columns=("image_id", "finding_categories")):
            found.setdefault(row["image_id"], set()).update(_categories(row["finding_categories"], path))
        return found

    def _boxes(self, files: Mapping[str, str]) -> list[Row]:
        """Boxes of each category, and of what was judged suspicious by itself; findings of a whole breast have none."""
        drawn: list[Row] = []
        path = self.root / FINDINGS
        for row in read_sheet(path, columns=("image_id", "finding_categories", *_EDGES), optional=("finding_birads", "height", "width")):
            cells = [row[edge] for edge in _EDGES]
            if any(cells):
                named = [finding_name(category) for category in _categories(row["finding_categories"], path) if category != NONE]
                named += ["suspicious"] if suspicious(row["finding_birads"]) == POSITIVE else []
                size = (float(row["height"] or "nan"), float(row["width"] or "nan"))
                drawn += [drawn_box(files.get(row["image_id"], ""), finding, cells, size=size) for finding in named]
        return drawn

    def _metadata(self) -> dict[str, dict[str, str]]:
        path = self.root / FACTS
        if not path.is_file():
            return {}
        return keyed(read_sheet(path, columns=("SOP Instance UID",), optional=_FACTS), lambda row: row["SOP Instance UID"], path=path)


def _categories(cell: str, path: Path) -> list[str]:
    words = word_list(cell)
    if words is None or not set(words) <= {*CATEGORIES, NONE}:
        raise DataError(
            what="A cell of finding_categories is no list of the release's names", where=str(path), remedy="Use it as published"
        )
    return words


def _values(categories: set[str] | None) -> dict[str, float]:
    if categories is None:
        return {finding_name(category): UNKNOWN for category in CATEGORIES}
    return {finding_name(category): POSITIVE if category in categories else NEGATIVE for category in CATEGORIES}
