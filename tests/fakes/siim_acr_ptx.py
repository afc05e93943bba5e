# SPDX-License-Identifier: Apache-2.0
"""A tiny SIIM-ACR: a header with a blank, ' -1' for none, several rows per film, and a film that nobody read."""

from pathlib import Path

import numpy as np

from fakes.cbis_ddsm import dicom
from fakes.film import film


def write(root: Path, *, seed=0, per_class=6, brightness=0.0) -> Path:
    """Write the release: odd films have two regions; the last film has no row."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    lines = ["ImageId, EncodedPixels"]
    for number in range(2 * per_class + 1):
        image = f"1.2.276.0.7230010.3.1.4.8323329.{300 + number}.1517875163.{537053 + number}"
        place = root / "dicom-images-train" / f"{image}.study" / f"{image}.series" / f"{image}.dcm"
        dicom(place, film(rng, spots=[5] if number % 2 else [], brightness=brightness), key=image, modality="CR")
        if number < 2 * per_class:
            lines += [f"{image}, {start} 2 62 3" for start in (387, 901)] if number % 2 else [f"{image}, -1"]
    (root / "train-rle.csv").write_text("\n".join(lines) + "\n")
    return root
