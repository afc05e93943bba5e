# SPDX-License-Identifier: Apache-2.0
"""A tiny RSNA pneumonia challenge: one row per box in both lists, blanks where there is no box, test films without labels."""

import csv
import json
from pathlib import Path

import numpy as np

from fakes.cbis_ddsm import dicom
from fakes.film import film

CLASSES = ("Normal", "No Lung Opacity / Not Normal", "Lung Opacity")


def write(root: Path, *, seed=0, per_class=6, brightness=0.0, mapping=False) -> Path:
    """Write the release: films of the three classes in turn, each ill film with two boxes; ``mapping`` gives a patient two films."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    boxes, classes = [["patientId", "x", "y", "width", "height", "Target"]], [["patientId", "class"]]
    for number in range(3 * per_class):
        kind, name = number % 3, f"{number:04d}a322-28d9-4a2c"
        for box in (1, 2) if kind == 2 else (0,):
            boxes.append([name, *([f"{box}4.0", "15.0", "21.0", "37.5"] if box else [""] * 4), int(kind == 2)])
            classes.append([name, CLASSES[kind]])
        picture = film(rng, spots=[[], [10], [5]][kind], brightness=brightness)
        dicom(root / "stage_2_train_images" / f"{name}.dcm", picture, key=name, modality="CR", ViewPosition="AP", PatientAge="051Y")
    dicom(root / "stage_2_test_images" / "fff0.dcm", film(rng), key="fff0", modality="CR")
    if mapping:
        names = [path.stem for path in sorted((root / "stage_2_train_images").iterdir())]
        films = [{"subset_img_id": name, "img_id": f"{1 + place // 2:08d}_{place % 2:03d}.png"} for place, name in enumerate(names)]
        (root / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(films))
    for file, lines in (("stage_2_train_labels.csv", boxes), ("stage_2_detailed_class_info.csv", classes)):
        with (root / file).open("w", newline="") as stream:
            csv.writer(stream).writerows(lines)
    return root
