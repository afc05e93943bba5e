# SPDX-License-Identifier: Apache-2.0
"""A tiny CheXpert: paths with the name of the archive in front, uncertain and blank labels, lateral films."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import eight_bit, film

OBSERVATIONS = ["No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
                "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"]  # fmt: skip


def write(root: Path, *, seed=0, per_class=6, brightness=0.05) -> Path:
    """Write the release: even patients are clear, odd ones have an effusion and uncertain pneumonia, or edema."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 2 * per_class), ("valid", per_class)):
        lines = [["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *OBSERVATIONS]]
        for number in range(1, count + 1):
            patient = f"patient{number + (64540 if split == 'valid' else 0):05d}"
            ill = number % 2 == 1
            labels = dict.fromkeys(("Pleural Effusion", "Atelectasis", "Cardiomegaly", "Consolidation", "Pneumothorax"), "1.0")
            labels = labels | {"Pneumonia": "-1.0"} if ill else {"No Finding": "1.0"}
            labels = {"Edema": "1.0", "Pneumonia": "1.0"} if number % 6 == 5 else labels
            for file, kind, view in (("view1_frontal.jpg", "Frontal", "AP"), ("view2_lateral.jpg", "Lateral", "")):
                place = root / split / patient / "study1" / file
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(eight_bit(film(rng, spots=[5] if ill else [], brightness=brightness))).save(place, quality=95)
                told = [labels.get(name, "") for name in OBSERVATIONS]
                sex = "Unknown" if number == 3 else "Male"
                age = "0" if number == 2 else str(30 + number)
                lines.append([f"CheXpert-v1.0-small/{split}/{patient}/study1/{file}", sex, age, kind, view, *told])
        with (root / f"{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(lines)
    return root
