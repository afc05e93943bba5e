# SPDX-License-Identifier: Apache-2.0
"""A tiny CQ500: hyphens in the table and none in the folders, several series per scan, a corrupt scan that was never unpacked."""

import csv
from pathlib import Path

import numpy as np

from fakes import series
from fakes.volumes import head

NAMES = ["ICH", "IPH", "IVH", "SDH", "EDH", "SAH", "BleedLocation-Left", "BleedLocation-Right", "ChronicBleed", "Fracture",
         "CalvarialFracture", "OtherFracture", "MassEffect", "MidlineShift"]  # fmt: skip
TOLD = [{"ICH", "SDH", "MidlineShift"}, {"ICH", "SDH"}, {"ICH", "Fracture"}]  # what the three readers see on a bleeding scan


def write(root: Path, *, seed=0, per_class=4, brightness=0.0) -> Path:
    """Write scans 1 to 2 * per_class, of which odd ones bleed; each has a thin, a plain and a post-contrast series."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(1, 2 * per_class + 1):
        scan = head(rng, bleed=number % 2 == 1) + np.int16(1000 * brightness)
        place = root / f"qct{number % 2}" / f"CQ500CT{number} CQ500CT{number}" / "Unknown Study"
        for name, skip in (("CT Plain Thin", ()), ("CT Plain", range(4, 10)), ("CT POST CONTRAST THIN", ())):
            series.write(place / name, volume=scan, skip=skip, series=f"1.{number}.{len(name)}")
        seen = [TOLD[reader] if number % 2 else set() for reader in range(3)]
        rows.append([f"CQ500-CT-{number}", "B1", *(int(name in seen[reader]) for reader in range(3) for name in NAMES)])
    rows.append(["CQ500-CT-120", "B2", *[0] * 42])
    header = ["name", "Category", *(f"R{reader}:{name}" for reader in (1, 2, 3) for name in NAMES)]
    with (root / "reads.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows[::-1]])
    return root
