# SPDX-License-Identifier: Apache-2.0
"""MIMIC-CXR-JPG 2.1.0 (Johnson et al., arXiv:1901.07042): 14 observations mined from reports, by study."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import uncertain_values
from medsetu.core.sample import VIEWS, pseudonym
from medsetu.reader.observation import CLEAR, COLUMN_OF, observations, uncertain_note
from medsetu.reader.sheet import keyed, read_sheet
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file, require_folder

LABELLERS = ("chexpert", "negbio")
SPLITS = {"train": "train", "validate": "val", "test": "test"}
_LATERAL = ("LATERAL", "LL", "RL")


@dataclass(frozen=True)
class MimicCxrJpg:
    """MIMIC-CXR-JPG as downloaded: ``files/p10/p10000032/s50414267/<image>.jpg`` and three lists, packed or not.

    Attributes:
        root: Folder that holds ``files`` and ``mimic-cxr-2.0.0-{metadata,split,chexpert}.csv.gz``.
        labeller: ``chexpert`` or ``negbio``: whose reading of the reports is taken.
        uncertain: What -1 means: ``unknown``, ``positive`` or ``negative``, for all findings or by finding.
        frontal_only: Leave lateral films out, and films whose view is not told.
        name: Name of the release in tables.
    """

    root: Path
    labeller: str = "chexpert"
    uncertain: str | Mapping[str, str] = "unknown"
    frontal_only: bool = True
    name: str = "mimic_cxr_jpg"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        uncertain_values(self.uncertain, self.findings, where="Key uncertain")
        if self.labeller not in LABELLERS:
            raise ConfigError(what="There is no such labeller", where="Key labeller", value=self.labeller, allowed=[*LABELLERS])

    @property
    def findings(self) -> tuple[str, ...]:
        """Thirteen observations; ``effusion`` is the release's "Pleural Effusion"."""
        return tuple(COLUMN_OF)

    def index(self) -> ReleaseIndex:
        """Join films to metadata and split by image, and to labels by study: all films of a study carry the labels of its report.

        Returns:
            The index; rows without film, films without row, films of studies without labels and lateral films are listed as excluded.

        Raises:
            DataError: A list or ``files`` is missing, has no such column, or holds a value that is no label or no split.
        """
        require_folder(self.root / "files", release=self.name)
        files = by_stem(image_files(self.root, below="files", suffixes=(".jpg",)), release=self.name)
        meta = self._list("metadata", ("dicom_id", "subject_id", "study_id", "ViewPosition"))
        splits = self._list("split", ("dicom_id", "split"))
        told = self._list(self.labeller, ("study_id", CLEAR, *COLUMN_OF.values()))
        pairs, excluded = join_rows(meta, files)
        meanings = uncertain_values(self.uncertain, self.findings, where="Key uncertain")
        rows = []
        for path, row in pairs:
            view = row["ViewPosition"].upper()
            reason = self._reason(view, labelled=row["study_id"] in told)
            if reason:
                excluded.append((path, reason))
                continue
            labels = observations(told[row["study_id"]], uncertain=meanings, where=f"{self.name}/{path}")
            rows.append({"path": path, **self._facts(row, view), "official_split": self._split(splits, path), **labels})
        return finish_index(
            pd.DataFrame(rows, columns=["path", "patient_id", "study_id", "view", "official_split", *self.findings]).assign(
                site="Beth Israel Deaconess", country="USA"
            ),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                f"Labels were mined from reports by {self.labeller}: blank means not mentioned and is unknown",
                uncertain_note(self.uncertain),
                "Sex and age are in MIMIC-IV, not here",
            ],
        )

    def _list(self, kind: str, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
        """Read a list by its first column."""
        packed = self.root / f"mimic-cxr-2.0.0-{kind}.csv.gz"
        path = packed if packed.is_file() else packed.with_suffix("")
        require_file(path if path.is_file() else packed, release=self.name)
        return keyed(read_sheet(path, columns=columns), lambda row: row[columns[0]], path=path)

    def _reason(self, view: str, *, labelled: bool) -> str:
        if not labelled:
            return "study without labels"
        if self.frontal_only and view not in ("AP", "PA"):
            return "lateral film" if view in _LATERAL else "view is not told" if view == "" else "not a frontal film"
        return ""

    def _facts(self, row: Mapping[str, str], view: str) -> dict[str, str]:
        return {
            "patient_id": pseudonym(self.name, row["subject_id"]),
            "study_id": pseudonym(self.name, f"study/{row['study_id']}"),
            "view": "LL" if view in _LATERAL else view if view in VIEWS else "",
        }

    def _split(self, splits: Mapping[str, Mapping[str, str]], path: str) -> str:
        word = splits.get(PurePosixPath(path).stem, {"split": ""})["split"]
        if word not in ("", *SPLITS):
            raise DataError(what="A split is not train, validate or test", where=f"{self.name}/{path}", remedy="Use the list as published")
        return SPLITS.get(word, "")
