# SPDX-License-Identifier: Apache-2.0
"""A tiny COVID-19 collection: PNG, JPEG and a volume, a tree of causes, places, licences, and a header that ends in a comma."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import SENTINEL, eight_bit, film

HEADER = ["patientid", "offset", "sex", "age", "finding", "RT_PCR_positive", "survival", "intubated", "intubation_present", "went_icu",
          "in_icu", "needed_supplemental_O2", "extubated", "temperature", "pO2_saturation", "leukocyte_count", "neutrophil_count",
          "lymphocyte_count", "view", "modality", "date", "location", "folder", "filename", "doi", "url", "license", "clinical_notes",
          "other_notes", ""]  # fmt: skip
CASES = [  # finding, location, view, modality, ending
    ("Pneumonia/Viral/COVID-19", "Cho Ray Hospital, Ho Chi Minh City, Vietnam", "PA", "X-ray", "jpeg"),
    ("Pneumonia/Viral/COVID-19", "Wuhan Union Hospital, Wuhan, Hubei, China", "AP Supine", "X-ray", "png"),
    ("Pneumonia/Viral/SARS", "Mount Sinai Hospital, Toronto, Ontario, Canada", "PA", "X-ray", "jpg"),
    ("Pneumonia/Bacterial/Klebsiella", "New Delhi, India", "PA", "X-ray", "jpg"),
    ("Pneumonia", "Nowhere", "AP Erect", "X-ray", "jpg"),
    ("Tuberculosis", "", "PA", "X-ray", "jpg"),
    ("No Finding", "Italy", "PA", "X-ray", "jpg"),
    ("todo", "Italy", "PA", "X-ray", "jpg"),
    ("Pneumonia/Viral/COVID-19", "Italy", "L", "X-ray", "jpg"),
    ("Pneumonia/Viral/COVID-19", "Italy", "Axial", "CT", "jpg"),
    ("Pneumonia/Viral/COVID-19", "Italy", "Axial", "CT", "nii.gz"),
]


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: ``CASES``, the films among them repeated with further patients until there are enough."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "volumes"):
        (root / folder).mkdir(parents=True)
    lines = [HEADER]
    for number in range(len(CASES) * max(1, per_class // 3)):
        finding, location, view, modality, ending = CASES[number % len(CASES)]
        name, folder = f"case-{number:02d}.{ending}", "volumes" if ending == "nii.gz" else "images"
        row = {
            "patientid": f"{number // 2}", "offset": 3, "sex": "M", "age": "65.0", "finding": finding, "view": view, "modality": modality,
            "location": location, "folder": folder, "filename": name, "license": "CC BY-NC-SA" if number % 2 else "",
            "clinical_notes": f"fever, cough; {SENTINEL}",
        }  # fmt: skip
        lines.append([row.get(column, "") for column in HEADER])
        if folder == "volumes":
            (root / folder / name).write_bytes(b"\x1f\x8b")
        else:
            picture = eight_bit(film(rng, spots=[5] if "COVID" in finding else [], brightness=brightness))
            Image.fromarray(picture).convert("RGB" if number % 3 else "L").save(root / folder / name)
    with (root / "metadata.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    return root
