# SPDX-License-Identifier: Apache-2.0
"""RSNA Intracranial Hemorrhage Detection 2019, labelled slice by slice (Flanders et al., Radiol Artif Intell 2020;2(3):e190211)."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError, nearest
from medsetu.core.sample import pseudonym
from medsetu.reader.heading import read_patient
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file, require_folder

LABEL_FILE = "stage_2_train.csv"
FOLDER = "stage_2_train"
TYPES = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")


@dataclass(frozen=True)
class RsnaIch2019:
    """The training part as downloaded: ``stage_2_train/ID_<SOP>.dcm`` and a table with one row per slice and type.

    Attributes:
        root: Folder that holds both.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "rsna_ich_2019"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Five types of bleed, and ``any`` of them; of a slice, where CQ500 speaks of the whole scan."""
        return TYPES

    def index(self) -> ReleaseIndex:
        """Turn the long table into one row per slice, join it with the files by name, and read the patient of each file.

        Rows that stand twice with one label count once; a type that is not told is unknown.

        Returns:
            The index; slices and rows that stand alone are listed as excluded.

        Raises:
            DataError: Table or folder is missing, a row contradicts another, names no type of bleed, or a label is neither 1 nor 0.
        """
        table, repeated = self._labels()
        folder = require_folder(self.root / FOLDER, release=self.name).name
        files = by_stem(image_files(self.root, below=folder, suffixes=(".dcm",)), release=self.name)
        known = dict.fromkeys(table.index, "")
        pairs, excluded = join_rows({name: name for name in known}, files, place=f"{FOLDER}/{{}}.dcm".format)
        rows = table.loc[[name for _, name in pairs]].reset_index(drop=True).assign(path=[path for path, _ in pairs])
        patients = [read_patient(self.root / path, sample_id=f"{self.name}/{path}") for path in rows["path"]]
        rows["patient_id"] = [pseudonym(self.name, patient) if patient else float("nan") for patient in patients]
        notes = ["Labels are of single slices: aggregate them before comparing with a release that labels scans"]
        notes += [f"{repeated} rows stand twice and count once"] if repeated else []
        return finish_index(
            rows.assign(modality="CT"), release=self.name, root=self.root, findings=self.findings, excluded=excluded, notes=notes
        )

    def _labels(self) -> tuple[pd.DataFrame, int]:
        """One row per slice, NaN where a type is not told, and how many rows stood twice."""
        path = require_file(self.root / LABEL_FILE, release=self.name)
        try:
            long = pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False)
        except (ValueError, OSError) as error:
            raise DataError(
                what=f"The table cannot be read ({type(error).__name__})", where=str(path), remedy="Download it again"
            ) from error
        for column in ("ID", "Label"):
            if column not in long:
                near = nearest(column, map(str, long.columns))
                told = f"; its nearest column is '{near}'" if near else ""
                raise DataError(what=f"Column '{column}' is missing", where=str(path), remedy=f"Use the table as published{told}")
        parts = long["ID"].str.strip().str.rsplit("_", n=1, expand=True).reindex(columns=[0, 1])
        strange = ~parts[1].isin(TYPES) | ~long["Label"].str.strip().isin(["0", "1"])
        if strange.any():
            raise DataError(
                what=f"{int(strange.sum())} rows name no type of bleed, or have a label that is neither 1 nor 0",
                where=f"{path}, first in row {int(strange.to_numpy().argmax()) + 2}",
                remedy="Use the table as published",
            )
        rows = pd.DataFrame({"slice": parts[0], "type": parts[1], "label": long["Label"].str.strip().astype("float64")})
        once = rows.drop_duplicates()
        if bool(once.duplicated(["slice", "type"]).any()):
            raise DataError(what="A slice has two labels of one type", where=str(path), remedy="Use the table as published")
        return once.pivot(index="slice", columns="type", values="label").reindex(columns=list(TYPES)), len(rows) - len(once)
