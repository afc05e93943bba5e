# SPDX-License-Identifier: Apache-2.0
"""A tiny NIH ChestX-ray14: true in layout (unquoted brackets in the header, an age of 414), false in content."""

from pathlib import Path

import numpy as np
from PIL import Image

from fakes.film import SENTINEL, eight_bit, film

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis",
    "Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip


def write(root: Path, *, seed=0, patients=12, films=2, brightness=0.0, prevalence=0.15, folder="images", lists=False, boxes=True) -> Path:
    """Write the release; ``folder`` is ``images`` or ``images_001/images``; ``lists`` adds the official split, ``boxes`` the list of them.

    Boxes lie in the frame of 1024 x 1024 of the published films; the films are copies of 64 x 64.
    """
    rng = np.random.default_rng(seed)
    (root / folder).mkdir(parents=True)
    drawn = ["Image Index,Finding Label,Bbox [x,y,w,h],,,"]
    lines, splits = [HEADER], {"train_val_list.txt": [], "test_list.txt": []}
    for patient in range(1, patients + 1):
        for follow_up in range(films):
            name = f"{patient:08d}_{follow_up:03d}.png"
            present = [finding for finding in FINDINGS if rng.random() < prevalence]
            picture = eight_bit(film(rng, spots=[FINDINGS.index(finding) for finding in present], brightness=brightness))
            Image.fromarray(picture).convert("RGBA" if patient == 2 else "L").save(root / folder / name)
            drawn += [f"{name},{finding.replace('Infiltration', 'Infiltrate')},160.5,320,320,160.25,,," for finding in present[:1]]
            identity = SENTINEL if patient == 1 else str(patient)
            age = 414 if patient == 3 else 20 + patient
            view = "PA" if patient % 3 else "AP"
            lines.append(
                f"{name},{'|'.join(present) or 'No Finding'},{follow_up},{identity},{age},{'MF'[patient % 2]},{view},2500,2048,0.171,0.171"
            )
            splits["test_list.txt" if patient % 4 == 0 else "train_val_list.txt"].append(name)
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")
    if boxes:
        (root / "BBox_List_2017.csv").write_text("\n".join(drawn) + "\n")
    if lists:
        for name, members in splits.items():
            (root / name).write_text("\n".join(members) + "\n")
    return root
