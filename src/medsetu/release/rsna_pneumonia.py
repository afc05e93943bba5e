# SPDX-License-Identifier: Apache-2.0
"""RSNA Pneumonia Detection Challenge 2018 (Shih et al., Radiol Artif Intell 2019;1:e180041): opacities on films of ChestX-ray14."""

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.core.sample import pseudonym
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file, require_folder
from medsetu.release.drawing import Row, drawn_box

LABELS, CLASSES = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
TRAIN, TEST = "stage_2_train_images", "stage_2_test_images"
_ORIGIN = "nih_chestxray14"
_NIH_FILM = re.compile(r"^(?P<patient>\d{8})_\d{3}\.png$")
_BOX = ("x", "y", "width", "height")
_TARGET = {"1": POSITIVE, "0": NEGATIVE}
_CLASS = {  # class -> opacity suspicious for pneumonia, anything abnormal
    "Normal": (NEGATIVE, NEGATIVE),
    "No Lung Opacity / Not Normal": (NEGATIVE, POSITIVE),
    "Lung Opacity": (POSITIVE, POSITIVE),
}


@dataclass(frozen=True)
class RsnaPneumonia:
    """The challenge as downloaded: ``stage_2_train_images/<id>.dcm``, the list of boxes and the list of classes.

    Patients are known where the RSNA's own mapping to ChestX-ray14 (``pneumonia-challenge-dataset-mappings_2018.json``) lies beside them.
    They then bear the pseudonyms of that release, so that a patient who is in both is found.

    Attributes:
        root: Folder that holds them.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "rsna_pneumonia"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """An opacity that readers found suspicious for pneumonia, and anything abnormal."""
        return ("lung_opacity", "abnormal")

    def index(self) -> ReleaseIndex:
        """Join the lists and the films by name; a film has one row per box in both lists.

        Returns:
            The index; without the mapping it has no patients, for the column ``patientId`` names the film. Test films have no labels and
            are listed as excluded.

        Raises:
            DataError: A list or the folder is missing, the lists contradict each other or themselves, or the mapping cannot be read.
        """
        rows, boxes = self._rows()
        require_folder(self.root / TRAIN, release=self.name)
        files = by_stem(image_files(self.root, below=TRAIN, suffixes=(".dcm",)), release=self.name)
        pairs, excluded = join_rows(rows, files, place=f"{TRAIN}/{{}}.dcm".format)
        excluded += [(path, "test film, its label is kept back") for path in image_files(self.root, below=TEST, suffixes=(".dcm",))]
        table = pd.DataFrame([(path, *values) for path, values in pairs], columns=["path", *self.findings])
        patients = self._patients()
        table["patient_id"] = [patients.get(PurePosixPath(path).stem, float("nan")) for path in table["path"]]
        return finish_index(
            table.assign(site="NIH", country="USA", modality="CR", seen="film of nih_chestxray14"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=[{**box, "path": files.get(str(box["path"]), "")} for box in boxes],
            notes=[
                *([] if patients else ["No patient ids: splits and intervals are by image"]),
                "All films are films of NIH ChestX-ray14: use one of the two",
            ],
        )

    def _rows(self) -> tuple[dict[str, tuple[float, float]], list[Row]]:
        """Labels by name of the film, and boxes with that name in place of the path."""
        path = require_file(self.root / CLASSES, release=self.name)
        found: dict[str, tuple[float, float]] = {}
        for row in read_sheet(path, columns=["patientId", "class"]):
            values = _CLASS.get(row["class"])
            if values is None or found.setdefault(row["patientId"], values) != values:
                raise DataError(
                    what="A class is none of the release's three, or a film has two", where=str(path), remedy="Use the list as published"
                )
        path, boxes = require_file(self.root / LABELS, release=self.name), list[Row]()
        for row in read_sheet(path, columns=["patientId", *_BOX, "Target"]):
            target = _TARGET.get(row["Target"])
            boxed = all(row[name] for name in _BOX)
            if target is None or target != found.get(row["patientId"], (None,))[0] or boxed != (target == POSITIVE):
                raise DataError(
                    what="A row of the boxes contradicts the list of classes, or has a target without box or a box without target",
                    where=str(path),
                    remedy="Use both lists as published",
                )
            boxes += [drawn_box(row["patientId"], "lung_opacity", [row[name] for name in _BOX], form="corner")] if boxed else []
        return found, boxes

    def _patients(self) -> dict[str, str]:
        path = self.root / MAPPING
        if not path.is_file():
            return {}
        try:
            films = {str(entry["subset_img_id"]): _NIH_FILM.fullmatch(str(entry["img_id"])) for entry in json.loads(path.read_bytes())}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                what=f"The mapping cannot be read ({type(error).__name__})", where=str(path), remedy="Use it as published, or remove it"
            ) from error
        return {film: pseudonym(_ORIGIN, str(int(match["patient"]))) for film, match in films.items() if match}
