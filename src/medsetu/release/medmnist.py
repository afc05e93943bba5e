# SPDX-License-Identifier: Apache-2.0
"""MedMNIST, small standard sets in ``.npz`` files (Yang et al., Sci Data 2023;10:41): for tests of a pipeline, not for clinical claims."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.reader.archive import array_shapes, read_array
from medsetu.release.base import ReleaseIndex, finish_index, require_file

SPLITS = ("train", "val", "test")
SIZES: Final = (28, 64, 128, 224)
_CHEST: Final = (
    "atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax", "consolidation", "edema",
    "emphysema", "fibrosis", "pleural_thickening", "hernia",
)  # fmt: skip
_SETS: Final[dict[str, tuple[tuple[str, ...], int, str]]] = {  # flag: findings, the code that means present, modality
    "chestmnist": (_CHEST, 1, "CR"),
    "pneumoniamnist": (("pneumonia",), 1, "CR"),
    "breastmnist": (("malignant",), 0, "US"),  # 0 is malignant here, against every other set
    "nodulemnist3d": (("malignant_nodule",), 1, "CT"),
    "adrenalmnist3d": (("hyperplasia",), 1, "CT"),
    "vesselmnist3d": (("aneurysm",), 1, "MR"),
}


@dataclass(frozen=True)
class MedMnist:
    """One set as downloaded: ``<flag>.npz`` or ``<flag>_<size>.npz``; a sample is one item of an array in it.

    Attributes:
        root: Folder that holds the file.
        flag: Which set: chestmnist, pneumoniamnist, breastmnist; of volumes nodulemnist3d, adrenalmnist3d, vesselmnist3d.
        size: 28, 64, 128 or 224 pixels.
        name: Name of the release in tables.
    """

    root: Path
    flag: str = "pneumoniamnist"
    size: int = 28
    name: str = "medmnist"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if self.flag not in _SETS:
            raise ConfigError(what=f"No set '{self.flag}' is known here", where="Key flag", value=self.flag, allowed=[*_SETS])
        if self.size not in SIZES:
            raise ConfigError(what=f"MedMNIST has no size {self.size}", where="Key size", remedy=f"Give one of {SIZES}")

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings of the set."""
        return _SETS[self.flag][0]

    def index(self) -> ReleaseIndex:
        """List the items; labels lie beside the images in the same order and number.

        Returns:
            The index, with the official split and without patients.

        Raises:
            DataError: The file or an array is missing, images and labels differ in number, or a label is none of the set.
        """
        file = f"{self.flag}.npz" if self.size == SIZES[0] else f"{self.flag}_{self.size}.npz"
        path = require_file(self.root / file, release=self.name)
        shapes = array_shapes(path, sample_id=f"{self.name}/{path.name}")
        rows = pd.concat([self._part(path, split, shapes) for split in SPLITS], ignore_index=True)
        return finish_index(
            rows.assign(modality=_SETS[self.flag][2]),
            release=self.name,
            root=self.root,
            findings=self.findings,
            notes=["No patient ids: splits and intervals are by image", "Small pictures for tests of a pipeline, not for clinical claims"],
        )

    def _part(self, path: Path, split: str, shapes: dict[str, tuple[int, ...]]) -> pd.DataFrame:
        findings, present, _ = _SETS[self.flag]
        images, labels = shapes.get(f"{split}_images"), read_array(path, f"{split}_labels", sample_id=f"{self.name}/{path.name}")
        if images is None or labels.shape != (images[0], len(findings)):
            raise DataError(
                what=f"The {split} part does not have one label of {len(findings)} findings per image",
                where=f"{self.name}/{path.name}",
                remedy="Download the file again, or name the flag it belongs to",
            )
        if not np.isin(labels, (0, 1)).all():
            raise DataError(what="A label is neither 0 nor 1", where=f"{self.name}/{path.name}", remedy="Name the flag the file belongs to")
        told = pd.DataFrame(np.where(labels == present, POSITIVE, NEGATIVE), columns=list(findings))
        return told.assign(path=[f"{path.name}/{split}_images/{number:06d}" for number in range(len(labels))], official_split=split)
