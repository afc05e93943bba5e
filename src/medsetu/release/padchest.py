# SPDX-License-Identifier: Apache-2.0
"""PadChest (Bustos et al., Med Image Anal 2020;66:101797): 16-bit films from Alicante with labels of physicians and of a network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN, finding_name
from medsetu.core.sample import pseudonym, sex_letter
from medsetu.reader.sheet import keyed, read_sheet, word_list
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows

LABEL_FILES = ("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz")
LABELS_OF: dict[str, tuple[str, ...]] = {  # finding -> the release's label and those that stand below it in its tree
    "atelectasis": ("atelectasis", "total atelectasis", "lobar atelectasis", "segmental atelectasis", "laminar atelectasis",
                    "round atelectasis", "atelectasis basal"),
    "cardiomegaly": ("cardiomegaly",),
    "consolidation": ("consolidation",),
    "edema": ("pulmonary edema",),
    "effusion": ("pleural effusion", "loculated pleural effusion"),
    "emphysema": ("emphysema",),
    "fibrosis": ("pulmonary fibrosis",),
    "fracture": ("fracture", "rib fracture", "clavicle fracture", "vertebral fracture", "humeral fracture"),
    "hiatal_hernia": ("hiatal hernia",),
    "infiltrates": ("infiltrates",),
    "nodule": ("nodule", "multiple nodules"),
    "pleural_thickening": ("pleural thickening", "apical pleural thickening", "calcified pleural thickening"),
    "pneumonia": ("pneumonia", "atypical pneumonia"),
    "pneumothorax": ("pneumothorax", "hydropneumothorax"),
    "pulmonary_mass": ("pulmonary mass",),
    "scoliosis": ("scoliosis",),
    "tuberculosis": ("tuberculosis",),
    "tuberculosis_sequelae": ("tuberculosis sequelae",),
}  # fmt: skip
VAGUE = {"pulmonary_mass": "mass"}  # finding -> label that leaves it open
_COLUMNS = ("ImageID", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "Projection", "Labels")
_VIEWS = {"PA": "PA", "AP": "AP", "AP_HORIZONTAL": "AP", "L": "LL"}
_SILENT = {"", "unchanged"}  # labels that say nothing of what is there


@dataclass(frozen=True)
class PadChest:
    """PadChest as downloaded: the list of 2019, packed or not, and the films in numbered folders or in one.

    Attributes:
        root: Folder that holds the list, and the films at any depth.
        physicians_only: Keep only films whose labels were set by physicians, not by the network.
        frontal_only: Leave lateral and rib films out, and films whose view is not told.
        also: Further labels of its 174, as the list writes them (``aortic elongation``), each a finding of its own; a label that stands
            below one of them in the release's tree is not counted as it: name it too.
        name: Name of the release in tables.
    """

    root: Path
    physicians_only: bool = False
    frontal_only: bool = True
    also: Sequence[str] = ()
    name: str = "padchest"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "also", tuple(" ".join(label.lower().split()) for label in self.also))
        for finding in self.findings:
            if self.findings.count(finding) > 1:
                raise ConfigError(what=f"'{finding}' is a finding already", where="Key also", remedy="Name it once, or leave it out")

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings of the release's tree that other releases have too, tuberculosis with its sequelae apart, then those of ``also``."""
        return (*LABELS_OF, *map(finding_name, self.also))

    def index(self) -> ReleaseIndex:
        """Join the list and the films by name.

        A film has what any of its labels says; a finding that is not among them was not reported and is 0, as the release means it. A film
        without labels, or labelled only "unchanged", is NaN for all. The pngs hold grey values as stored: those that the list calls
        MONOCHROME1 are inverted without saying so in the file, and are left out.

        Returns:
            The index; what was left out, and why, is listed as excluded.

        Raises:
            ConfigError: No film of the list has a label of ``also``.
            DataError: The list is missing or lacks a column.
        """
        rows = self._list()
        self._check_also(rows.values())
        files = by_stem(image_files(self.root, suffixes=(".png",)), release=self.name)
        pairs, excluded = join_rows(rows, files, place="{}.png".format)
        found = []
        for path, row in pairs:
            labels = _words(row["Labels"])
            reason = "labels cannot be read" if labels is None else self._reason(row, labels)
            if labels is None or reason:
                excluded.append((path, reason))
            else:
                found.append({"path": path, **self._facts(row), **_values(labels, self.also)})
        facts = ["path", "patient_id", "study_id", "view", "sex", "age_years"]
        return finish_index(
            pd.DataFrame(found, columns=[*facts, *self.findings]).assign(site="San Juan, Alicante", country="ESP"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                "Labels were set by physicians" if self.physicians_only else "Most labels were set by a network that read the reports",
                "Infiltrates are what Spanish reports call so: not the concept of NIH ChestX-ray14",
            ],
        )

    def _list(self) -> dict[str, dict[str, str]]:
        path = next((self.root / name for name in LABEL_FILES if (self.root / name).is_file()), None)
        if path is None:
            raise DataError(
                what=f"A file of release '{self.name}' is missing",
                where=str(self.root / LABEL_FILES[0]),
                remedy="Download this list (or its packed copy) into the folder",
            )
        needed = (*_COLUMNS, "MethodLabel") if self.physicians_only else _COLUMNS
        rows = read_sheet(path, columns=needed, optional=("PhotometricInterpretation_DICOM",))
        return keyed(rows, lambda row: PurePosixPath(row["ImageID"]).stem, path=path)

    def _check_also(self, rows: Iterable[Mapping[str, str]]) -> None:
        if self.also:
            said = {label for row in rows for label in _words(row["Labels"]) or ()}
            for label in self.also:
                if label not in said:
                    raise ConfigError(
                        what=f"No film of the list is labelled '{label}'", where="Key also", value=label, allowed=sorted(said)
                    )

    def _reason(self, row: Mapping[str, str], labels: frozenset[str]) -> str:
        view = row["Projection"].upper()
        if "exclude" in labels or view == "EXCLUDE":
            return "the release says to exclude it"
        if row["PhotometricInterpretation_DICOM"].upper() == "MONOCHROME1":
            return "inverted grey values, which the file does not tell"
        if self.frontal_only and _VIEWS.get(view) not in ("PA", "AP"):
            return "lateral film" if view == "L" else "not a frontal film"
        if self.physicians_only and row["MethodLabel"].lower() != "physician":
            return "labelled by a network"
        return ""

    def _facts(self, row: Mapping[str, str]) -> dict[str, object]:
        return {
            "patient_id": pseudonym(self.name, row["PatientID"]) if row["PatientID"] else float("nan"),
            "study_id": pseudonym(self.name, f"study/{row['StudyID']}") if row["StudyID"] else float("nan"),
            "view": _VIEWS.get(row["Projection"].upper(), ""),
            "sex": sex_letter(row["PatientSex_DICOM"]),
            "age_years": _age(row["StudyDate_DICOM"], row["PatientBirth"]),
        }


def _words(cell: str) -> frozenset[str] | None:
    """Read ``['pleural effusion', ' unchanged']``; None when it is no list of words.

    Example:
        >>> sorted(_words("['nodule', ' mass ', '']")), _words("['nodule'"), _words("")
        (['mass', 'nodule'], None, frozenset())
    """
    if cell.lower() in ("", "nan"):
        return frozenset()
    words = word_list(cell)
    return None if words is None else frozenset(word.lower() for word in words) - {""}


def _values(labels: frozenset[str], also: Sequence[str] = ()) -> dict[str, float]:
    wanted = LABELS_OF | {finding_name(label): (label,) for label in also}
    if labels <= _SILENT:
        return dict.fromkeys(wanted, UNKNOWN)
    absent = {finding: UNKNOWN if VAGUE.get(finding) in labels else NEGATIVE for finding in wanted}
    return {finding: POSITIVE if labels & set(words) else absent[finding] for finding, words in wanted.items()}


def _age(study: str, birth: str) -> float:
    """Difference of the years; NaN when one is not told or it makes no age.

    Example:
        >>> _age("20140915", "1930.0"), _age("20140915", ""), _age("20140915", "2015")
        (84.0, nan, nan)
    """
    try:
        years = int(study[:4]) - int(float(birth))
    except (ValueError, OverflowError):
        return float("nan")
    return float(years) if 0 <= years <= 120 else float("nan")
