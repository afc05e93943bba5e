# SPDX-License-Identifier: Apache-2.0
"""TB Chest Radiography Database (Rahman et al., 2020): two folders of films from several countries, without patients."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder

FOLDERS: dict[str, float] = {"Tuberculosis": POSITIVE, "Normal": NEGATIVE}
SEEN_NORMAL = "possible: normals are reported to come from RSNA films, part of NIH ChestX-ray14"


@dataclass(frozen=True)
class TbChestRadiographyDatabase:
    """TB Chest Radiography Database as downloaded: ``Tuberculosis/`` and ``Normal/``; its spreadsheets are not read.

    Attributes:
        root: Folder of the release.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "tb_chest_radiography_database"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Tuberculosis, by folder."""
        return ("tuberculosis",)

    def index(self) -> ReleaseIndex:
        """List both folders; the folder is the label.

        Returns:
            The index, without patients, without country, and with a column ``seen`` that warns of the normal films.

        Raises:
            DataError: One of the two folders is missing, or both are empty.
        """
        for folder in FOLDERS:
            require_folder(self.root / folder, release=self.name)
        labelled = {path: value for folder, value in FOLDERS.items() for path in image_files(self.root, below=folder)}
        rows = pd.DataFrame({"path": list(labelled), "tuberculosis": list(labelled.values())})
        rows["seen"] = [SEEN_NORMAL if path.startswith("Normal/") else "" for path in labelled]
        return finish_index(
            rows,
            release=self.name,
            root=self.root,
            findings=self.findings,
            notes=[
                "No patient ids: splits and intervals are by image",
                "The classes come from different collections: marks of their origin separate them as well as disease does",
            ],
        )
