# SPDX-License-Identifier: Apache-2.0
"""A tiny PadChest: 16-bit films in numbered folders, lists inside cells, and every row that the release has to be read with care."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import SENTINEL, film

HEADER = ["", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "ViewPosition_DICOM",
          "Projection", "MethodProjection", "Pediatric", "Modality_DICOM", "PhotometricInterpretation_DICOM", "ReportID", "Report",
          "MethodLabel", "Labels", "Localizations"]  # fmt: skip
ILL = "['laminar atelectasis', ' pleural effusion', 'tuberculosis sequelae', 'chronic changes']"
CASES = {  # film -> what differs from a clear frontal film labelled by a physician
    "odd00": {"Projection": "L"},
    "odd01": {"Projection": "COSTAL"},
    "odd02": {"Projection": "EXCLUDE"},
    "odd03": {"Labels": "['exclude']"},
    "odd04": {"PhotometricInterpretation_DICOM": "MONOCHROME1"},
    "odd05": {"Labels": "['pleural effusion"},
    "odd06": {"Labels": ""},
    "odd07": {"Labels": "['unchanged', '']", "Projection": "AP_horizontal"},
    "odd08": {"Labels": "['mass']", "MethodLabel": "RNN_model", "PatientBirth": ""},
    "odd09": {"Labels": "['tuberculosis', 'normal ']", "PatientSex_DICOM": "None"},
}


def write(root: Path, *, seed=0, per_class=6, brightness=0.0, packed=True, broken=False) -> Path:
    """Write the release: even films are normal, odd ones ill; then ``CASES``; ``broken`` cuts the first film short."""
    rng = np.random.default_rng(seed)
    films = {f"film{number:02d}": {"Labels": ILL} if number % 2 else {} for number in range(2 * per_class)} | CASES
    lines = [HEADER]
    for number, (stem, case) in enumerate(films.items()):
        name, folder = f"2168401113669640{number:02d}_{stem}.png", str(number % 3)
        row = {
            "": number, "ImageID": name, "ImageDir": folder, "StudyDate_DICOM": "20140915", "StudyID": f"20140915{number}",
            "PatientID": f"8{number // 2:04d}", "PatientBirth": "1930.0", "PatientSex_DICOM": "F", "Projection": "PA",
            "PhotometricInterpretation_DICOM": "MONOCHROME2", "Report": f"sin hallazgos, {SENTINEL}", "MethodLabel": "Physician",
            "Labels": "['normal']",
        } | case  # fmt: skip
        lines.append([row.get(column, "") for column in HEADER])
        (root / folder).mkdir(parents=True, exist_ok=True)
        picture = film(rng, spots=[5] if "effusion" in row["Labels"] else [], brightness=brightness)
        Image.fromarray(np.round(picture * 65535).astype(np.uint16)).save(root / folder / name)
    if broken:
        path = next((root / "0").iterdir())
        path.write_bytes(path.read_bytes()[:200])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    name = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    data = text.getvalue().encode()
    (root / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    return root
