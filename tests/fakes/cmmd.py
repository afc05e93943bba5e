# SPDX-License-Identifier: Apache-2.0
"""A tiny CMMD: a workbook by breast, sides and coded views in the heads of files alone, a breast with two rows, one without."""

from pathlib import Path

import numpy as np
import openpyxl
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fakes.cbis_ddsm import dicom
from fakes.film import film

CODES = {"CC": "399162004", "MLO": "399368009"}


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: odd women have a malignant right breast; all have films of both breasts, of which the left has no row."""
    rng = np.random.default_rng(seed)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype"])
    for woman in range(2 * per_class):
        name, malignant = f"D{1 + woman % 2}-{woman:04d}", woman % 2 == 1
        sheet.append([name, "R", 44 + woman, 2, ("mass", "calcification", "both")[woman % 3], "Malignant" if malignant else "Benign", None])
        if woman == 2:  # a second lesion of the same breast
            sheet.append([name, "R", 46, 2, "calcification", "Malignant", "Luminal A"])
        for place, (side, view) in enumerate((side, view) for side in "LR" for view in CODES):
            item = Dataset()
            item.CodeValue = CODES[view]
            path = root / "CMMD" / name / f"07-18-2010-NA-NA-{woman}" / "1.000000-NA-1" / f"1-{place + 1}.dcm"
            picture = film(rng, spots=[5] if malignant and side == "R" else [9], brightness=brightness)
            dicom(path, picture, key=f"{name}{place}", ImageLaterality=side, ViewCodeSequence=Sequence([item]), BodyPartExamined="BREAST")
    sheet.append(["D2-9999", "L", 50, 2, "mass", "Benign", None])
    (root / "CMMD" / "D1-0000" / "broken.dcm").write_bytes(b"no DICOM")
    book.save(root / "CMMD_clinicaldata_revision.xlsx")
    return root
