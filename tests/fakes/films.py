# SPDX-License-Identifier: Apache-2.0
"""A folder of small films with a manifest, and an input contract."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from medsetu.core.run import sha256_file
from medsetu.core.table import MANIFEST_COLUMNS

SENTINEL = "ZZ^SENTINEL"


@dataclass(frozen=True)
class Spec:
    """The input contract of a network, as ``medsetu.backbone.spec.InputSpec`` states it."""

    size: tuple[int, int] = (16, 16)
    channels: int = 1
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def film(seed: int, *, height: int = 40, width: int = 32) -> np.ndarray:
    """Draw 8-bit noise over a ramp: no two films alike."""
    generator = np.random.default_rng(seed)
    ramp = np.linspace(40, 160, width)[None, :] + np.linspace(0, 40, height)[:, None]
    return np.clip(ramp + generator.normal(0, 20, (height, width)), 0, 255).astype(np.uint8)


def make_manifest(root: Path, *, count: int = 24, domain: str = "global", first: int = 0) -> pd.DataFrame:
    """Write films of two classes, three sites and two images per patient, and their manifest."""
    rows = []
    for number in range(first, first + count):
        path = root / domain / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(film(number)).save(path)
        fact = dict.fromkeys(MANIFEST_COLUMNS, "")
        fact |= {
            "sample_id": f"{domain}_release/{number:03d}.png",
            "patient_id": f"{SENTINEL}{number // 2}",
            "group_id": f"{SENTINEL}{number // 2}",
            "release": f"{domain}_release",
            "domain": domain,
            "site": f"site{number % 3}",
            "path": path.name,
            "root": str(path.parent),
            "sha256": sha256_file(path),
            "tuberculosis": float(number % 4 == 0),
            "effusion": float("nan") if number % 7 == 3 else float(number % 2),
        }
        rows.append(fact)
    return pd.DataFrame(rows)


def assign(manifest: pd.DataFrame, *, every: int = 4) -> pd.Series:
    """Give every fourth sample to validation, shifted so that both classes stand on both sides."""
    split = ["val" if number % (every + 1) == 0 else "train" for number in range(len(manifest))]
    return pd.Series(split, index=manifest["sample_id"].tolist())
