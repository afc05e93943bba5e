# SPDX-License-Identifier: Apache-2.0
"""CheXpert v1.0 (Irvin et al., AAAI 2019): 14 observations mined from reports, with uncertainty."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.label import uncertain_values
from medsetu.core.sample import age_in_years, pseudonym, sex_letter
from medsetu.reader.observation import CLEAR, COLUMN_OF, observations, uncertain_note
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_file, require_folder

_SPLITS = {"train": "train", "valid": "val"}
COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", CLEAR, *COLUMN_OF.values())
_PATH = re.compile(r"(?P<below>(?P<split>train|valid)/(?P<patient>patient\d+)/(?P<study>study\d+)/[^/]+)$")


@dataclass(frozen=True)
class CheXpert:
    """CheXpert or CheXpert-small as downloaded: ``train.csv``, ``valid.csv`` and ``{train,valid}/patient00001/study1/view1_frontal.jpg``.

    Attributes:
        root: Folder that holds the two lists.
        uncertain: What -1 means: ``unknown``, ``positive`` or ``negative``, for all findings or by finding.
        frontal_only: Leave lateral films out.
        name: Name of the release in tables.
    """

    root: Path
    uncertain: str | Mapping[str, str] = "unknown"
    frontal_only: bool = True
    name: str = "chexpert"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        uncertain_values(self.uncertain, self.findings, where="Key uncertain")

    @property
    def findings(self) -> tuple[str, ...]:
        """Thirteen observations; ``effusion`` is the release's "Pleural Effusion"."""
        return tuple(COLUMN_OF)

    def index(self) -> ReleaseIndex:
        """Join the lists and the films by path.

        An observation that is blank was not mentioned and is NaN, except where "No Finding" is 1: then it is 0, but for devices. Age 0
        stands for unknown or 90 and more, and is NaN.

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
            for row in read_sheet(path, columns=COLUMNS):
                match = _PATH.search(row["Path"])
                below = match["below"] if match else PurePosixPath(row["Path"]).name
                named.add(below)
                if match is None or below not in files:
                    excluded.append((below, "row without image"))
                elif self.frontal_only and row["Frontal/Lateral"] == "Lateral":
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
            notes=["Labels were mined from reports: blank means not mentioned and is unknown", uncertain_note(self.uncertain)],
        )

    def _sample(self, row: Mapping[str, str], match: re.Match[str], *, where: str) -> dict[str, object]:
        lateral = row["Frontal/Lateral"] == "Lateral"
        view = row["AP/PA"].upper()
        age = age_in_years(row["Age"])
        facts: dict[str, object] = {
            "path": match["below"],
            "patient_id": pseudonym(self.name, match["patient"]),
            "study_id": pseudonym(self.name, f"{match['patient']}/{match['study']}"),
            "site": "Stanford",
            "country": "USA",
            "view": "LL" if lateral else view if view in ("AP", "PA") else "",
            "sex": sex_letter(row["Sex"]) if row["Sex"] in ("Male", "Female") else "",
            "age_years": age if age > 0 else float("nan"),
            "official_split": _SPLITS[match["split"]],
        }
        meanings = uncertain_values(self.uncertain, self.findings, where="Key uncertain")
        return facts | observations(row, uncertain=meanings, where=where)
