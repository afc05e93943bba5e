# SPDX-License-Identifier: Apache-2.0
"""A tiny VinDr-CXR: three rows per training film, one per test film, two names for the last disease, rows out of order."""

import csv
from pathlib import Path

import numpy as np

from fakes.cbis_ddsm import dicom
from fakes.film import film

NAMES = ["Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation", "Edema", "Emphysema",
         "Enlarged PA", "ILD", "Infiltration", "Lung Opacity", "Lung cavity", "Lung cyst", "Mediastinal shift", "Nodule/Mass",
         "Pleural effusion", "Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", "Other lesion", "COPD",
         "Lung tumor", "Pneumonia", "Tuberculosis"]  # fmt: skip
BOXES = {"Tuberculosis": (10.5, 12, 30.5, 40), "Lung cavity": (14, 20, 24, 30), "Pleural effusion": (40, 44, 70, 60)}  # one leaves the film
TOLD = [{"Tuberculosis", "Lung cavity"}, {"Tuberculosis"}, {"Pleural effusion"}]  # what the three readers see on an ill film


def write(root: Path, *, seed=0, per_class=6, brightness=0.1) -> Path:
    """Write the release: even films are clear; of odd ones two readers see tuberculosis, one a cavity, one an effusion."""
    rng = np.random.default_rng(seed)
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train", 2 * per_class), ("test", per_class)):
        last = "Other diseases" if split == "train" else "Other disease"
        names = [*NAMES, last, "No finding"]
        lines, boxes = [], []
        for number in range(count):
            ill, image = number % 2 == 1, f"{split}{number:04d}{'abcdef'[number % 6] * 8}"
            photometric = "MONOCHROME1" if number % 4 == 3 else "MONOCHROME2"
            picture = film(rng, spots=[5] if ill else [], brightness=brightness)
            picture = 1 - picture if photometric == "MONOCHROME1" else picture
            path = root / split / f"{image}.dicom"
            dicom(path, picture, key=image, modality="DX", PhotometricInterpretation=photometric)
            for reader in range(3 if split == "train" else 1):
                seen = TOLD[reader] if ill else set()
                cells = [int(name in seen or (name == "No finding" and not seen)) for name in names]
                who = [f"R{8 + reader}"] if split == "train" else []
                lines.append([image, *who, *cells])
                for name in sorted(seen) or ["No finding"]:
                    box = [edge + 2 * reader for edge in BOXES[name]] if seen else [""] * 4  # readers differ
                    boxes.append([image, *who, name, *box])
        lines = [lines[place] for place in rng.permutation(len(lines))]
        header = ["image_id", *(["rad_id"] if split == "train" else []), *names]
        with (root / "annotations" / f"image_labels_{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *lines])
        header = ["image_id", *(["rad_id"] if split == "train" else []), "class_name", "x_min", "y_min", "x_max", "y_max"]
        with (root / "annotations" / f"annotations_{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *boxes])
    return root
