# SPDX-License-Identifier: Apache-2.0
"""VinDr-CXR 1.0.0 (Nguyen et al., Sci Data 2022;9:429): 27 findings, three readers per training film, a consensus of five per test film."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, finding_name
from medsetu.core.vote import MAJORITY, POLICIES, fuse_votes
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file, require_folder
from medsetu.release.drawing import Row, drawn_box

NAMES = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation", "Edema", "Emphysema",
    "Enlarged PA", "ILD", "Infiltration", "Lung Opacity", "Lung cavity", "Lung cyst", "Mediastinal shift", "Nodule/Mass",
    "Pleural effusion", "Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", "Other lesion", "COPD", "Lung tumor",
    "Pneumonia", "Tuberculosis",
)  # fmt: skip
OTHER = ("Other diseases", "Other disease")  # so called in the list of training, and of test
ALIKE = {"Pleural effusion": "effusion", "Pulmonary fibrosis": "fibrosis"}  # names that other releases use for the same finding
COLUMN_OF = {ALIKE.get(name, finding_name(name)): name for name in NAMES}
FINDING_OF = {column: finding for finding, column in COLUMN_OF.items()} | dict.fromkeys(OTHER, "other_disease")
NONE = "No finding"
READERS = 3
_VALUES = {"1": POSITIVE, "1.0": POSITIVE, "0": NEGATIVE, "0.0": NEGATIVE, "": UNKNOWN}


@dataclass(frozen=True)
class VindrCxr:
    """VinDr-CXR as downloaded: ``{train,test}/<image_id>.dicom`` and ``annotations/{image_labels,annotations}_{train,test}.csv``.

    The boxes (``annotations_*.csv``) may be absent: of training films each reader's, of test films those of the consensus.

    Attributes:
        root: Folder that holds ``train``, ``test`` and ``annotations``.
        policy: How the votes of the three training readers become one label: ``majority``, ``any-positive`` or ``unanimous``.
        name: Name of the release in tables.
    """

    root: Path
    policy: str = MAJORITY
    name: str = "vindr_cxr"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if self.policy not in POLICIES:
            raise ConfigError(what="Votes are not read so", where="Key policy", value=self.policy, allowed=[*POLICIES])

    @property
    def findings(self) -> tuple[str, ...]:
        """The 26 named findings and ``other_disease``; "No finding" follows from them."""
        return (*COLUMN_OF, "other_disease")

    def index(self) -> ReleaseIndex:
        """Join the lists and the films by name, never by position, and fuse the votes of the training films finding by finding.

        Returns:
            The index, without patients, with the votes as ``readings`` and the boxes as ``drawn``; films and rows that stand alone are
            listed as excluded.

        Raises:
            DataError: A list or folder is missing, a column is missing, a reader read a film twice, or a cell is no label.
        """
        votes: list[dict[str, object]] = []
        excluded: list[tuple[str, str]] = []
        paths: dict[str, str] = {}
        drawn: list[Row] = []
        for split, reader in (("train", "rad_id"), ("test", "")):
            rows = self._rows(split, reader)
            folder = require_folder(self.root / split, release=self.name).name
            files = by_stem(image_files(self.root, below=folder, suffixes=(".dicom", ".dcm")), release=self.name)
            pairs, alone = join_rows(rows, files, place=f"{split}/{{}}.dicom".format)
            excluded += alone
            drawn += self._boxes(split, reader, files)
            paths |= {path: split for path, _ in pairs}
            votes += [
                {"path": path, "reader": row[reader] if reader else "", **self._values(row, path)} for path, told in pairs for row in told
            ]
        table = pd.DataFrame(votes, columns=["path", "reader", *self.findings])
        single = table["reader"] == ""
        if bool(table.duplicated(["path", "reader"]).any()):
            raise DataError(what="A reader read a film twice", where=f"Release '{self.name}'", remedy="Use the lists as published")
        labels = fuse_votes(table, key="path", findings=self.findings, policy=self.policy).reset_index()
        count = table[~single].groupby("path").size()
        return finish_index(
            labels.assign(country="VNM", official_split=labels["path"].map(paths)),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                f"Training labels are the {self.policy} of the readers of each film, test labels a consensus of five",
                "Reader and block of films are confounded: most training readings are of three readers",
                *(
                    [f"{int((count != READERS).sum())} training films were not read by {READERS} readers"]
                    if (count != READERS).any()
                    else []
                ),
            ],
            readings=table[~single],
            drawn=drawn,
        )

    def _boxes(self, split: str, reader: str, files: Mapping[str, str]) -> list[Row]:
        path = self.root / "annotations" / f"annotations_{split}.csv"
        if not path.is_file():
            return []
        edges = ("x_min", "y_min", "x_max", "y_max")
        rows = read_sheet(path, columns=["image_id", "class_name", *edges, *([reader] if reader else [])])
        strange = sorted({row["class_name"] for row in rows} - {*FINDING_OF, NONE})
        if strange:
            raise DataError(what="A box is of no class of the release", where=str(path), remedy="Use the list as published")
        return [
            drawn_box(
                files.get(row["image_id"], ""),
                FINDING_OF[row["class_name"]],
                [row[edge] for edge in edges],
                reader=row[reader] if reader else "",
            )
            for row in rows
            if row["class_name"] != NONE
        ]

    def _rows(self, split: str, reader: str) -> dict[str, list[dict[str, str]]]:
        path = require_file(self.root / "annotations" / f"image_labels_{split}.csv", release=self.name)
        columns = ["image_id", *([reader] if reader else []), *NAMES]
        found: dict[str, list[dict[str, str]]] = {}
        for row in read_sheet(path, columns=columns, optional=OTHER):
            found.setdefault(row["image_id"], []).append(row)
        return found

    def _values(self, row: Mapping[str, str], path: str) -> dict[str, float]:
        cells = {finding: row[column] for finding, column in COLUMN_OF.items()} | {"other_disease": row[OTHER[0]] or row[OTHER[1]]}
        if not set(cells.values()) <= set(_VALUES):
            raise DataError(what="A label is neither 1, 0 nor blank", where=f"{self.name}/{path}", remedy="Use the lists as published")
        return {finding: _VALUES[cell] for finding, cell in cells.items()}
