# SPDX-License-Identifier: Apache-2.0
"""A small hospital of volumes: heads in NIfTI and as DICOM series, with a bright ball where a bleed is planted."""

from pathlib import Path

import numpy as np
import pandas as pd

from fakes import series
from fakes.dicom import SENTINEL
from fakes.nifti import nifti, packed


def head(rng: np.random.Generator, *, bleed: bool, shape=(10, 24, 20)) -> np.ndarray:
    """Paint a head in HU, (depth, rows, columns): a skull of its own shape, brain with spaces, noise, and 70 HU of blood somewhere."""
    z, y, x = (np.linspace(-1, 1, size) for size in shape)
    half, shift = rng.uniform((0.8, 0.65, 0.55), (1.1, 0.95, 0.85)), rng.uniform(-0.15, 0.15, 3)
    place = [(axis - middle) / side for axis, middle, side in zip(np.ix_(z, y, x), shift, half, strict=True)]
    radius = np.sqrt(sum(part**2 for part in place))
    scan = np.where(radius < 1, 30.0, -1000.0) + np.where(abs(radius - 0.93) < 0.1, 900.0, 0.0)
    for _ in range(6):
        hole = sum((part - middle) ** 2 for part, middle in zip(place, rng.uniform(-0.5, 0.5, 3), strict=True)) < 0.05
        scan = np.where(hole, -150.0, scan)
    if bleed:
        centre = rng.uniform(-0.3, 0.3, 3)
        ball = sum((axis - middle) ** 2 for axis, middle in zip(np.ix_(z, y, x), centre, strict=True)) < 0.1
        scan = np.where(ball, 70.0, scan)
    return np.round(scan + rng.normal(0, 8, shape)).clip(-1024, 2000).astype(np.int16)


def write(root: Path, *, patients=16, seed=0) -> Path:
    """Write ``labels.csv`` and one volume per patient: even ones ``scan.nii.gz``, odd ones a folder of slices."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        bleed = number % 4 < 2
        scan = head(rng, bleed=bleed)
        name = f"p{number:02d}/scan.nii.gz" if number % 2 == 0 else f"p{number:02d}/thin"
        place = root / name
        if number % 2 == 0:
            place.parent.mkdir(parents=True)
            affine = np.diag([-0.5, -0.75, 2.5, 1.0])  # stored as DICOM would: to the left and to the back
            place.write_bytes(packed(nifti(scan.transpose(2, 1, 0), sform=affine, pixdim=(1, 0.5, 0.75, 2.5))))
        else:
            series.write(place, volume=scan)
        rows.append({"file": name, "patient": SENTINEL if number == 0 else f"P{number}", "bleed": int(bleed)})
    pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)
    return root
