# SPDX-License-Identifier: Apache-2.0
"""NIH ChestX-ray14 (Wang et al., CVPR 2017): 14 findings taken from reports by a text miner."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, finding_name
from medsetu.core.sample import VIEWS, age_in_years, pseudonym, sex_letter
from medsetu.reader.sheet import read_cells
from medsetu.release.base import ReleaseIndex, finish_index, image_files, join_rows, require_file, require_folder
from medsetu.release.drawing import Row, drawn_box

LABEL_FILE, BOX_FILE = "Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"
ALIKE = {"infiltrate": "infiltration"}  # so spelt in the list of boxes alone
SIDE = 1024  # pixels of every film as published
TRAIN_LIST, TEST_LIST = "train_val_list.txt", "test_list.txt"
NO_FINDING = "no_finding"
FINDINGS = (
    "atelectasis",
    "cardiomegaly",
    "consolidation",
    "edema",
    "effusion",
    "emphysema",
    "fibrosis",
    "hernia",
    "infiltration",
    "mass",
    "nodule",
    "pleural_thickening",
    "pneumonia",
    "pneumothorax",
)

_BOX_CELLS = 6  # film, finding, x, y, width, height
_COLUMNS = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender", "View Position")


@dataclass(frozen=True)
class NihChestXray14:
    """NIH ChestX-ray14 as downloaded: ``images/`` or ``images_001/images/`` ..., and the label table of 2020.

    Attributes:
        root: Folder of the release.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "nih_chestxray14"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """The 14 findings, in alphabetical order."""
        return FINDINGS

    def index(self) -> ReleaseIndex:
        """Join the label table and the images by file name.

        ``No Finding`` is 0 for all 14; a row that names some findings is 0 for the others, as the release means it; an empty label is NaN
        for all. Ages above 120 years are NaN. The official lists are used only where both are there and cover every image.

        Returns:
            The index; rows without image and images without row are listed as excluded.

        Raises:
            DataError: The folder or the table is missing, the header is not that of the release, or a label or image is listed twice.
        """
        require_folder(self.root, release=self.name)
        rows = self._rows()
        files = self._files()
        pairs, excluded = join_rows({row["Image Index"]: row for row in rows}, files)
        found = [row for _, row in pairs]
        splits, note = self._official([row["Image Index"] for row in found])
        return finish_index(
            self._samples(found, files=files, splits=splits),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=self._boxes(files),
            notes=["Labels were mined from reports: absent means not mentioned", note],
        )

    def _rows(self) -> list[dict[str, str]]:
        """Read the table by position: bracketed names in the header hold unquoted commas, which split names and values alike."""
        path = require_file(self.root / LABEL_FILE, release=self.name)
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = [line for line in csv.reader(stream) if any(line)] or [[]]
        header = _trim(lines[0], width=len(lines[0]) - 1)
        lines = [_trim(line, width=len(header)) for line in lines[1:]]
        missing = [name for name in _COLUMNS if name not in header]
        if missing or any(len(line) != len(header) for line in lines):
            raise DataError(
                what=f"Column '{missing[0]}' is missing" if missing else "A row has another number of fields than the header",
                where=str(path),
                remedy="Use the label table as published, without editing it",
            )
        at = {name: header.index(name) for name in _COLUMNS}
        rows = [{name: line[position].strip() for name, position in at.items()} for line in lines]
        if len({row["Image Index"] for row in rows}) != len(rows):
            raise DataError(what="An image has more than one row", where=str(path), remedy="Use the label table as published")
        return rows

    def _boxes(self, files: Mapping[str, str]) -> list[Row]:
        """Boxes by position, for the header splits ``Bbox [x,y,w,h]`` at its commas; the list may be absent, films have 1024 x 1024."""
        path = self.root / BOX_FILE
        if not path.is_file():
            return []
        rows = [row for row in read_cells(path)[1:] if len(row) >= _BOX_CELLS]
        names = [ALIKE.get(finding_name(row[1]), finding_name(row[1])) for row in rows]
        if not rows or not set(names) <= set(FINDINGS):
            raise DataError(
                what="The list of boxes names no film, or no finding of the release", where=str(path), remedy="Use it as published"
            )
        return [
            drawn_box(files.get(row[0], ""), name, row[2:_BOX_CELLS], form="corner", size=(SIDE, SIDE))
            for row, name in zip(rows, names, strict=True)
        ]

    def _files(self) -> dict[str, str]:
        folders = sorted(folder.name for folder in self.root.glob("images*") if folder.is_dir())
        paths = [path for folder in folders for path in image_files(self.root, below=folder, suffixes=(".png",))]
        files = {Path(path).name: path for path in paths}
        if len(files) != len(paths):
            raise DataError(
                what=f"{len(paths) - len(files)} image names occur in more than one folder",
                where=f"Release '{self.name}', folders {', '.join(folders)}",
                remedy="Keep one copy of each image",
            )
        return files

    def _samples(self, rows: Sequence[Mapping[str, str]], *, files: Mapping[str, str], splits: Mapping[str, str]) -> pd.DataFrame:
        frame = pd.DataFrame(
            {
                "path": [files[row["Image Index"]] for row in rows],
                "patient_id": [pseudonym(self.name, row["Patient ID"]) for row in rows],
                "study_id": [pseudonym(self.name, f"{row['Patient ID']}/{row['Follow-up #']}") for row in rows],
                "site": "NIH",
                "country": "USA",
                "view": [row["View Position"] if row["View Position"] in VIEWS else "" for row in rows],
                "sex": [sex_letter(row["Patient Gender"]) for row in rows],
                "age_years": [age_in_years(row["Patient Age"]) for row in rows],
                "official_split": [splits.get(row["Image Index"], "") for row in rows],
            }
        )
        first = {row["Finding Labels"]: f"{self.name}/{files[row['Image Index']]}" for row in reversed(rows)}
        values = {text: _labels(text, where=where) for text, where in first.items()}
        labels = np.array([values[row["Finding Labels"]] for row in rows])
        return frame.join(pd.DataFrame(labels.reshape(len(rows), len(FINDINGS)), columns=list(FINDINGS)))

    def _official(self, names: Sequence[str]) -> tuple[dict[str, str], str]:
        lists = {split: self.root / name for split, name in (("train", TRAIN_LIST), ("test", TEST_LIST))}
        if not all(path.is_file() for path in lists.values()):
            return {}, "The official split lists are not both there: no official split"
        members = {split: set(path.read_text(encoding="utf-8").split()) for split, path in lists.items()}
        if members["train"] & members["test"] or not set(names) <= members["train"] | members["test"]:
            return {}, "The official split lists contradict each other or do not cover the images: no official split"
        return {name: split for split in lists for name in members[split]}, "The official split is by patient and has no validation part"


def _trim(line: list[str], *, width: int) -> list[str]:
    """Drop the empty field that the edition of 2017 writes after the last comma of each line."""
    return line[:-1] if len(line) == width + 1 and line[-1:] == [""] else line


def _labels(text: str, *, where: str) -> list[float]:
    """Turn ``Effusion|Mass`` into one value per finding.

    Example:
        >>> sum(_labels("Effusion|Mass", where="doc")), sum(_labels("No Finding", where="doc")), _labels("", where="doc")[0]
        (2.0, 0.0, nan)
    """
    names = {finding_name(part) for part in text.split("|")} - {""}
    strange = sorted(names - {*FINDINGS, NO_FINDING})
    if strange or (NO_FINDING in names and len(names) > 1):
        raise DataError(
            what=f"'{strange[0]}' is not a finding of the release" if strange else "A row names findings and 'No Finding' at once",
            where=where,
            remedy="Use the label table as published, without editing it",
        )
    if not names:
        return [UNKNOWN] * len(FINDINGS)
    return [POSITIVE if finding in names else NEGATIVE for finding in FINDINGS]
