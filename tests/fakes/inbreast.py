# SPDX-License-Identifier: Apache-2.0
"""A tiny INbreast: semicolons, padded blanks, categories with letters, ML for MLO, patients in file names alone."""

import plistlib
from pathlib import Path

import numpy as np

from fakes.cbis_ddsm import dicom
from fakes.film import SENTINEL, film
from fakes.xls import write_xls

BIRADS = ("1", "4a", "2", "5", "3", "6", "4c", "0")


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: woman i has two films of category i of ``BIRADS``, in turn; the second is MLO, written ML in its name."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    book: list[list[object]] = [["Laterality", "View", "File Name", "ACR", "Bi-Rads", "Mass ", "Micros", "Distortion", "Asymmetry"]]
    lines = ["Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"]
    for woman in range(2 * per_class):
        category, side = BIRADS[woman % len(BIRADS)], "LR"[woman % 2]
        for place, (view, written) in enumerate((("CC", "CC"), ("MLO", "ML"))):
            file = 20586908 + 26 * woman + place
            name = f"{file}_{woman:04x}6c613a09baa8_MG_{side}_{written}_ANON.dcm"
            picture = film(rng, spots=[5] if category[0] in "456" else [], brightness=brightness)
            dicom(root / "AllDICOMs" / name, picture, key=name)
            if category[0] in "456":
                (root / "AllXML").mkdir(exist_ok=True)
                rings = [("Mass", ["(10.0, 20.0)", "(30.0, 20.0)", "(30.0, 50.0)", "(10.0, 50.0)"]), ("Calcification", ["(12.5, 33.25)"])]
                regions = [{"Name": kind, "NumberOfPoints": len(points), "Point_px": points} for kind, points in rings]
                content = {"Images": [{"ImageIndex": 0, "NumberOfROIs": 2, "ROIs": regions}]}
                (root / "AllXML" / f"{file}.xml").write_bytes(plistlib.dumps(content))
            ill = category[0] in "456"
            book.append([side, view, file, None, category, "X" if ill else None, "X" if ill else None, None, None])
            density = "     " if woman == 1 else str(1 + woman % 4)
            lines.append(f"removed;removed;{side};{view};201001;{file};{density};{category}")
    (root / "AllDICOMs" / "thumbs.dcm").write_text(SENTINEL)
    lines += ["removed;removed;L;CC;200801;99999999;2;1", ";;;;;;;"]
    write_xls(root / "INbreast.xls", {"Sheet1": book})
    (root / "INbreast.csv").write_text("\n".join(lines) + "\n")
    return root
