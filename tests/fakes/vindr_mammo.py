# SPDX-License-Identifier: Apache-2.0
"""A tiny VinDr-Mammo: lists inside cells, boxes with negative corners, several findings per film, sides that contradict the files."""

import csv
from pathlib import Path

import numpy as np

from fakes.cbis_ddsm import dicom
from fakes.film import film

BREASTS = [
    "study_id",
    "series_id",
    "image_id",
    "laterality",
    "view_position",
    "height",
    "width",
    "breast_birads",
    "breast_density",
    "split",
]
FINDINGS = [*BREASTS[:-1], "finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax", "split"]
FACTS = ["SOP Instance UID", "Patient's Age", "Manufacturer", "Manufacturer's Model Name"]


def write(root: Path, *, seed=0, per_class=6, brightness=0.1) -> Path:
    """Write the release: of four examinations one has category 5, one 3, two 1 or 2; the first film has no row of findings."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    breasts, findings, facts = [BREASTS], [FINDINGS], [FACTS]
    for exam in range(2 * per_class):
        category, density = (1, 2, 3, 5)[exam % 4], "ABCD"[exam % 4]
        for view in ("CC", "MLO"):
            study, image = f"{exam:04x}b8b6a4a5a2d2", f"{exam:04x}{view.lower()}f3a1c2"
            row = [study, f"s{exam}", image, "L", view, 64, 64, f"BI-RADS {category}", f"DENSITY {density}"]
            split = "test" if exam % 3 == 2 else "training"
            breasts.append([*row, split])
            facts.append([image, f"{40 + exam:03d}Y", "SIEMENS", "Mammomat Inspiration"])
            drawn = ["['Mass', 'Skin Retraction']", "['Suspicious Calcification']"] if category == 5 else ["['No Finding']"]
            for cell in drawn if not (exam == 0 and view == "CC") else ():
                box = [-3.5, 10.0, 20.0, 30.0] if category == 5 else [""] * 4
                findings.append([*row, cell, f"BI-RADS {category}" if category == 5 else "", *box, split])
            picture = film(rng, spots=[5] if category == 5 else [], brightness=brightness)
            dicom(root / "images" / study / f"{image}.dicom", picture, key=image, ImageLaterality="R", ViewPosition="")
    for name, lines in (("breast-level_annotations", breasts), ("finding_annotations", findings), ("metadata", facts)):
        with (root / f"{name}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(lines)
    return root
