# SPDX-License-Identifier: Apache-2.0
"""BUSI, breast ultrasound from Cairo (Al-Dhabyani et al., Data Brief 2020;28:104863): three folders and drawn masks."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder
from medsetu.release.drawing import Row, drawn_mask

FOLDER = "Dataset_BUSI_with_GT"
LABELS_OF = {"normal": (NEGATIVE, NEGATIVE), "benign": (NEGATIVE, POSITIVE), "malignant": (POSITIVE, POSITIVE)}
_IMAGE = re.compile(r"^(?P<image>(?P<kind>normal|benign|malignant) \(\d+\))(?P<mask>_mask(?:_\d+)?)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Busi:
    """BUSI as downloaded: ``Dataset_BUSI_with_GT/benign/benign (1).png`` with ``benign (1)_mask.png``, ``_mask_1.png`` beside it.

    Attributes:
        root: Folder that holds ``Dataset_BUSI_with_GT``.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "busi"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Malignant lesion, and any lesion."""
        return ("malignant", "abnormal")

    def index(self) -> ReleaseIndex:
        """List the images by folder; masks are no images but what was drawn on them. Those of normal images are empty and are left out.

        Returns:
            The index, without patients; files with other names, or filed under another class than they are named after, are listed as
            excluded.

        Raises:
            DataError: A folder is missing, or no file has the name of an image.
        """
        rows, excluded, drawn = [], [], list[Row]()
        for folder, labels in LABELS_OF.items():
            require_folder(self.root / FOLDER / folder, release=self.name)
            for path in image_files(self.root, below=f"{FOLDER}/{folder}", suffixes=(".png",)):
                match = _IMAGE.match(PurePosixPath(path).stem)
                if match is None:
                    excluded.append((path, "file name is none of the release"))
                elif match["kind"].lower() != folder:
                    excluded.append((path, "folder and file name name different classes"))
                elif not match["mask"]:
                    rows.append((path, *labels))
                else:
                    image = PurePosixPath(path).with_stem(match["image"]).as_posix()
                    told = zip(self.findings, labels, strict=True)
                    drawn += [drawn_mask(image, finding, path) for finding, label in told if label == POSITIVE]
        return finish_index(
            pd.DataFrame(rows, columns=["path", *self.findings]).assign(site="Baheya Hospital", country="EGY", modality="US", sex="F"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=drawn,
            notes=[
                "No patient ids: splits and intervals are by image",
                "Duplicates and wrong labels are known (PMC10293973); equal and near-equal images are found when the manifest is built",
            ],
        )
