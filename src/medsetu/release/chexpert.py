# SPDX-License-Identifier: Apache-2.0
"""CheXpert v1.0 (Irvin et al., AAAI 2019): 14 observations mined from reports, with uncertainty."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.core.sample import age_in_years, pseudonym, sex_letter
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_file, require_folder

COLUMN_OF = {  # names that other releases use for the same observation
    "enlarged_cardiomediastinum": "Enlarged Cardiomediastinum",
    "cardiomegaly": "Cardiomegaly",
    "lung_opacity": "Lung Opacity",
    "lung_lesion": "Lung Lesion",
    "edema": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "atelectasis": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "effusion": "Pleural Effusion",
    "pleural_other": "Pleural Other",
    "fracture": "Fracture",
    "support_devices": "Support Devices",
}
UNCERTAIN = {"unknown": UNKNOWN, "positive": POSITIVE, "negative": NEGATIVE}
_VALUES = {"1": POSITIVE, "1.0": POSITIVE, "0": NEGATIVE, "0.0": NEGATIVE, "": UNKNOWN}
_SPLITS = {"train": "train", "valid": "val"}
_PATH = re.compile(r"(?P<below>(?P<split>train|valid)/(?P<patient>patient\d+)/(?P<study>study\d+)/[^/]+)$")


@dataclass(frozen=True)
class CheXpert:
    """CheXpert or CheXpert-small as downloaded: ``train.csv``, ``valid.csv`` and ``{train,valid}/patient00001/study1/view1_frontal.jpg``.

    Attributes:
        root: Folder that holds the two lists.
        uncertain: What -1 means: ``unknown``, ``positive`` or ``negative``.
        frontal_only: Leave lateral films out.
        name: Name of the release in tables.
    """

    root: Path
    uncertain: str = "unknown"
    frontal_only: bool = True
    name: str = "chexpert"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if self.uncertain not in UNCERTAIN:
            raise ConfigError(
                what="Uncertain labels have no such meaning", where="Key uncertain", value=self.uncertain, allowed=[*UNCERTAIN]
            )

    @property
    def findings(self) -> tuple[str, ...]:
        """Thirteen observations; ``effusion`` is the release's "Pleural Effusion"."""
        return tuple(COLUMN_OF)

    def index(self) -> ReleaseIndex:
        """Join the lists and the films by path.

        An observation that is blank was not mentioned and is NaN, except where "No Finding" is 1: then it is 0. Age 0 stands for unknown
        or 90 and more, and is NaN.

        Returns:
            The index; rows without film and films without row are listed as excluded.

        Raises:
            DataError: A list is missing, has no such column, or holds a value that is no label.
        """
        require_folder(self.root, release=self.name)
        files = {path: path for folder in _SPLITS for path in image_files(self.root, below=folder, suffixes=(".jpg",))}
        rows, excluded, named = [], [], set()
        for name in ("train.csv", "valid.csv"):
            path = require_file(self.root / name, release=self.name)
            for row in _read(path):
                match = _PATH.search(row["Path"].strip())
                below = match["below"] if match else PurePosixPath(row["Path"]).name
                named.add(below)
                if match is None or below not in files:
                    excluded.append((below, "row without image"))
                elif self.frontal_only and row["Frontal/Lateral"].strip() == "Lateral":
                    excluded.append((below, "lateral film"))
                else:
                    rows.append(self._sample(row, match, where=f"{self.name}/{below}"))
        excluded += [(path, "image without row") for path in files if path not in named]
        return finish_index(
            pd.DataFrame(rows),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=["Labels were mined from reports: blank means not mentioned and is unknown", f"Uncertain labels are {self.uncertain}"],
        )

    def _sample(self, row: Mapping[str, str], match: re.Match[str], *, where: str) -> dict[str, object]:
        clear = row["No Finding"].strip() in ("1", "1.0")
        lateral = row["Frontal/Lateral"].strip() == "Lateral"
        view = row["AP/PA"].strip().upper()
        age = age_in_years(row["Age"])
        facts: dict[str, object] = {
            "path": match["below"],
            "patient_id": pseudonym(self.name, match["patient"]),
            "study_id": pseudonym(self.name, f"{match['patient']}/{match['study']}"),
            "site": "Stanford",
            "country": "USA",
            "view": "LL" if lateral else view if view in ("AP", "PA") else "",
            "sex": sex_letter(row["Sex"]) if row["Sex"].strip() in ("Male", "Female") else "",
            "age_years": age if age > 0 else float("nan"),
            "official_split": _SPLITS[match["split"]],
        }
        return facts | {finding: self._value(row[column].strip(), clear=clear, where=where) for finding, column in COLUMN_OF.items()}

    def _value(self, text: str, *, clear: bool, where: str) -> float:
        if text in ("-1", "-1.0"):
            return UNCERTAIN[self.uncertain]
        if text not in _VALUES:
            raise DataError(what="A label is neither 1, 0, -1 nor blank", where=where, remedy="Use the list as published")
        return NEGATIVE if clear and text == "" else _VALUES[text]


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        wanted = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", *COLUMN_OF.values())
        missing = [name for name in wanted if name not in (rows.fieldnames or [])]
        if missing:
            raise DataError(what=f"Column '{missing[0]}' is missing", where=str(path), remedy="Use the list as published")
        return [{name: value or "" for name, value in row.items() if name} for row in rows]
