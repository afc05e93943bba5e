# SPDX-License-Identifier: Apache-2.0
"""A tiny hospital of one's own: images in sub-folders, a label table in its own words, orphans on both sides."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fakes.film import SENTINEL, eight_bit, film

COLUMNS = {"image": "file", "patient": "hospital_no", "view": "projection", "sex": "gender", "age": "age", "split": "part"}
FINDING_COLUMNS = {
    "tuberculosis": {"column": "diagnosis", "positive": ["TB"], "negative": ["healthy"]},
    "effusion": "fluid",
}


def write(root: Path, *, seed=0, patients=8, films=2, brightness=0.1, kind="csv", orphans=True) -> Path:
    """Write ``labels.<kind>`` and the images below ``films/``; ``kind`` is csv, tsv or parquet."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        (root / "films" / f"ward{patient % 2}").mkdir(parents=True, exist_ok=True)
        sick, fluid = patient % 2 == 0, ("1", "0", "-1", "")[patient % 4]
        for number in range(films):
            file = f"films/ward{patient % 2}/{patient:03d}_{number}.png"
            picture = film(rng, spots=[5] * sick + [13] * (fluid == "1"), brightness=brightness)
            Image.fromarray(eight_bit(picture)).save(root / file)
            rows.append(
                {
                    "file": file,
                    "hospital_no": SENTINEL if patient == 0 else f"H{patient}",
                    "projection": ("PA", "ap", "lateral", "")[patient % 4],
                    "gender": ("female", "M", "", "F")[patient % 4],
                    "age": ("0", "045Y", "61", "")[patient % 4],
                    "diagnosis": "TB" if sick else "Healthy ",
                    "fluid": fluid,
                    "part": ("train", "validation", "test", "training")[patient % 4],
                }
            )
    if orphans:
        rows.append({**rows[0], "file": "films/ward0/lost.png"})
        Image.fromarray(eight_bit(film(rng))).save(root / "films" / "ward0" / "unlabelled.png")
    frame = pd.DataFrame(rows)
    if kind == "parquet":
        frame.to_parquet(root / "labels.parquet", index=False)
    else:
        frame.to_csv(root / f"labels.{kind}", sep="\t" if kind == "tsv" else ",", index=False)
    return root
