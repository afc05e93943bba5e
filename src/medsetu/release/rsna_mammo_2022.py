# SPDX-License-Identifier: Apache-2.0
"""RSNA Screening Mammography Breast Cancer Detection (Kaggle 2022-23): cancer by biopsy or follow-up, from two sites."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE, dense_breast
from medsetu.core.sample import age_in_years, pseudonym
from medsetu.reader.sheet import keyed, read_sheet
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file, require_folder

LABEL_FILE, TRAIN, TEST = "train.csv", "train_images", "test_images"
_COLUMNS = ("site_id", "patient_id", "image_id", "laterality", "view", "age", "cancer", "density", "machine_id")
_CANCER = {"1": POSITIVE, "1.0": POSITIVE, "0": NEGATIVE, "0.0": NEGATIVE}


@dataclass(frozen=True)
class RsnaMammo2022:
    """The challenge as downloaded: ``train.csv`` and ``train_images/<patient>/<image>.dcm``.

    Attributes:
        root: Folder that holds them.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "rsna_mammo_2022"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Cancer of the breast (the release's ``cancer``), and a dense breast where its site tells."""
        return ("malignant", "dense")

    def index(self) -> ReleaseIndex:
        """Join the list and the films by image; the label is of the breast and stands at each of its films.

        BI-RADS is not read: its numbers are not those of other releases, and one site does not give it.

        Returns:
            The index; views other than CC and MLO have an empty view. Test films have no labels and are listed as excluded.

        Raises:
            DataError: The list or the folder is missing, a column is missing, or a label is neither 1 nor 0.
        """
        path = require_file(self.root / LABEL_FILE, release=self.name)
        rows = keyed(read_sheet(path, columns=_COLUMNS), lambda row: row["image_id"], path=path)
        require_folder(self.root / TRAIN, release=self.name)
        files = by_stem(image_files(self.root, below=TRAIN, suffixes=(".dcm",)), release=self.name)
        pairs, excluded = join_rows(rows, files, place=lambda image: f"{TRAIN}/{rows[image]['patient_id']}/{image}.dcm")
        excluded += [(film, "test film, its label is kept back") for film in image_files(self.root, below=TEST, suffixes=(".dcm",))]
        facts = ["path", "patient_id", "site", "view", "laterality", "age_years", "device"]
        table = pd.DataFrame([{"path": film, **self._facts(row, film)} for film, row in pairs], columns=[*facts, *self.findings])
        told = table.groupby("site")["dense"].count()
        silent = [str(site) for site in told.index[told == 0]]
        return finish_index(
            table.assign(modality="MG"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                "The label is of the breast and stands at each of its films",
                *([f"No density at {' and '.join(silent)}: whether it is known tells the site"] if silent else []),
            ],
        )

    def _facts(self, row: Mapping[str, str], path: str) -> dict[str, object]:
        if row["cancer"] not in _CANCER:
            raise DataError(what="A label is neither 1 nor 0", where=f"{self.name}/{path}", remedy="Use the list as published")
        return {
            "patient_id": pseudonym(self.name, row["patient_id"]),
            "site": f"site {row['site_id']}",
            "view": row["view"].upper() if row["view"].upper() in ("CC", "MLO") else "",
            "laterality": row["laterality"].upper(),
            "age_years": age_in_years(row["age"].removesuffix(".0")),
            "device": f"machine {row['machine_id']}",
            "malignant": _CANCER[row["cancer"]],
            "dense": dense_breast(row["density"]),
        }
