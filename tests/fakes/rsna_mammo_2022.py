# SPDX-License-Identifier: Apache-2.0
"""A tiny RSNA mammography challenge: two sites of which one tells no density, ages with a point, JPEG 2000, odd views, test films."""

import csv
from pathlib import Path

import numpy as np

from fakes.dicom import dataset, to_bytes
from fakes.film import film

HEADER = ["site_id", "patient_id", "image_id", "laterality", "view", "age", "cancer", "biopsy", "invasive", "BIRADS", "implant", "density",
          "machine_id", "difficult_negative_case"]  # fmt: skip
JPEG_2000 = "1.2.840.10008.1.2.4.90"


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: odd women have cancer of the right breast and belong to site 2; the first has an AT view."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    lines = [HEADER]
    for woman in range(2 * per_class):
        site = 1 + woman % 2
        for place, (side, view) in enumerate((side, view) for side in "LR" for view in ("CC", "MLO")):
            view = "AT" if woman == 0 and place == 0 else view
            cancer = int(woman % 2 == 1 and side == "R")
            image = 462822612 + 100 * woman + place
            birads, density = ("0" if cancer else "1", "ABCD"[woman % 4]) if site == 1 else ("", "")
            age = f"{50 + woman}.0" if woman else ""
            lines.append([site, 10006 + woman, image, side, view, age, cancer, cancer, cancer, birads, 0, density, 29, "False"])
            picture = film(rng, spots=[5] if cancer else [], brightness=brightness)
            _write(root / "train_images" / str(10006 + woman) / f"{image}.dcm", picture)
    _write(root / "test_images" / "10008" / "736471439.dcm", film(rng))
    with (root / "train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    return root


def _write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.round(picture * 4095).astype(np.uint16)
    path.write_bytes(to_bytes(dataset(stored, bits=12, Modality="MG", SOPClassUID="1.2.840.10008.5.1.4.1.1.1.2"), JPEG_2000))
