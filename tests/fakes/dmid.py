# SPDX-License-Identifier: Apache-2.0
"""A tiny DMID: a sheet with preamble, trailing blanks, two ways to write Img, several rows per film; DICOM and TIFF films, reports."""

from pathlib import Path

import numpy as np
import openpyxl
from PIL import Image

from fakes.cbis_ddsm import dicom
from fakes.film import SENTINEL, eight_bit, film

VIEWS = ("CCLT", "CCRT", "MLOLT", "MLORT ")
PATHOLOGY = ("N", "B ", "M", "M ")
REPORTS = ("ACR-A. No mass. BIRADS : 1", "ACR: B density, BI-RADS: 2", "ACR C. Spiculated mass, BIRADS : 4a,4b", "ACR - D; BIARDS: 5")


def write(root: Path, *, seed=0, per_class=6, brightness=0.1) -> Path:
    """Write the release: of four films one is normal, one benign, two malignant."""
    rng = np.random.default_rng(seed)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["DMID dataset", SENTINEL])
    for _ in range(30):
        sheet.append(["explanation", None])
    for name in ("DICOM_Images", "TIFF Images/TIFF Images", "ROI_Masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for number in range(1, 4 * per_class + 1):
        kind = PATHOLOGY[(number - 1) % 4]
        name = f"IMG{number:03d}"
        picture = film(rng, spots=[5] if kind.strip() == "M" else [9] if kind.strip() == "B" else [], brightness=brightness)
        dicom(root / "DICOM_Images" / f"{name}.dcm", picture, key=name)
        Image.fromarray(eight_bit(picture)).save(root / "TIFF Images" / "TIFF Images" / f"{name}.tif")
        Image.fromarray(eight_bit(picture)).save(root / "ROI_Masks" / f"{name}.tif")
        note = root / "Reports" / "Reports" / f"{name.replace('IMG', 'Img')}.txt"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{SENTINEL}\n{REPORTS[(number - 1) % 4]}\n")
        written = name.replace("IMG", "Img") + " " if number % 3 == 0 else name
        for _ in range(2 if kind.strip() == "M" else 1):
            sheet.append([written, VIEWS[(number - 1) % 4], "F", "NORM" if kind == "N" else "CIRC+CLAC", kind, 10, 20, 5])
    book.save(root / "Metadata.xlsx")
    return root
