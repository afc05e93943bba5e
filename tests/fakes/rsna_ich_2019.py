# SPDX-License-Identifier: Apache-2.0
"""A tiny RSNA 2019: a long table out of order with rows that stand twice, two slices per person, and a slice whose sign was lost."""

import csv
from pathlib import Path

import numpy as np

from fakes.series import slice_file
from fakes.volumes import head

TYPES = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write two slices per person; odd slices bleed. The last slice of all is unsigned without offset."""
    rng = np.random.default_rng(seed)
    (root / "stage_2_train").mkdir(parents=True)
    rows = []
    for number in range(2 * per_class):
        name, bleed = f"ID_{number:04d}abcde", number % 2 == 1
        pixels = head(rng, bleed=bleed)[5] + np.int16(1000 * brightness)
        lost = {"RescaleIntercept": 0} if number == 2 * per_class - 1 else {}
        data = slice_file(pixels, z=float(number), series=f"1.{number // 2}", PatientID=f"ID_patient{number // 2}", **lost)
        (root / "stage_2_train" / f"{name}.dcm").write_bytes(data)
        rows += [[f"{name}_{kind}", int(bleed and kind in ("subdural", "any"))] for kind in TYPES]
    rows += rows[6:12]  # one slice stands twice, as four do in the release
    with (root / "stage_2_train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["ID", "Label"], *(rows[place] for place in rng.permutation(len(rows)))])
    return root
