# SPDX-License-Identifier: Apache-2.0
"""A tiny MIMIC-CXR-JPG: packed lists, labels by study, several views, a view that is not told, a study without labels."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
from PIL import Image

from fakes.chexpert import OBSERVATIONS
from fakes.film import SENTINEL, eight_bit, film

META = ["dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns", "StudyDate",
        "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
        "PatientOrientationCodeSequence_CodeMeaning"]  # fmt: skip


def write(root: Path, *, seed=0, per_class=6, brightness=0.0, packed=True) -> Path:
    """Write the release: odd patients have an effusion, uncertain edema, and two studies."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    meta, split = [META], [["dicom_id", "study_id", "subject_id", "split"]]
    labels = [["subject_id", "study_id", *OBSERVATIONS]]
    for number in range(2 * per_class):
        subject, ill = 10000032 + number, number % 2 == 1
        part = ("train", "train", "validate", "test")[number // 2 % 4]
        for study in range(1 + ill):
            report = 50414267 + 10 * number + study
            told = {"Pleural Effusion": "1.0", "Edema": "-1.0", "Pneumonia": "0.0"} if ill else {"No Finding": "1.0"}
            if not (number == 0 and study == 0):  # the first study has no labels
                labels.append([subject, report, *(told.get(name, "") for name in OBSERVATIONS)])
            for view in ("PA", "LATERAL") if number != 3 else ("AP", ""):
                image = f"{subject}-{report}-{(view or 'none').lower()}"
                place = root / "files" / f"p{str(subject)[:2]}" / f"p{subject}" / f"s{report}" / f"{image}.jpg"
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(eight_bit(film(rng, spots=[5] if ill else [], brightness=brightness))).save(place)
                meta.append([image, subject, report, "CHEST (PA AND LAT)", view, 64, 64, "21800506", "213014.531", SENTINEL, view, "Erect"])
                split.append([image, report, subject, part])
    for kind, lines in (("metadata", meta), ("split", split), ("chexpert", labels), ("negbio", labels)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        name = f"mimic-cxr-2.0.0-{kind}.csv"
        data = text.getvalue().encode()
        (root / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    return root
