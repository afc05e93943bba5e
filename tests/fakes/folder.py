# SPDX-License-Identifier: Apache-2.0
"""A release that is nothing but a folder of invented pictures and a table, with as many patients, films and faults as asked for."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from medsetu.core.sample import pseudonym
from medsetu.manifest.scan import Record, Task, inspect
from medsetu.release.base import ReleaseIndex, finish_index

SENTINEL = "ZZ^SENTINEL"


@dataclass
class Folder:
    """A release: what it lists is what the table says."""

    root: Path
    rows: pd.DataFrame
    name: str = "folder"
    findings: tuple[str, ...] = ("tuberculosis",)
    excluded: list[tuple[str, str]] = field(default_factory=list)

    def index(self) -> ReleaseIndex:
        return finish_index(self.rows, release=self.name, root=self.root, findings=self.findings, excluded=self.excluded)


def picture(seed: int, *, shape: tuple[int, int] = (96, 80)) -> np.ndarray:
    """Paint a smooth random field with fine structure, in [0, 1]; another seed is another field."""
    generator = np.random.default_rng(seed)
    layers = [generator.random((size, size), dtype=np.float32) for size in (5, 24)]
    wide = [np.asarray(Image.fromarray(layer).resize(shape[::-1], Image.Resampling.BICUBIC)) for layer in layers]
    return np.clip(0.6 * wide[0] + 0.4 * wide[1], 0, 1)


def save(pixels: np.ndarray, path: Path, **options: object) -> Path:
    """Write a picture of [0, 1] as 8-bit grey in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(path, **options)
    return path


def write(
    root: Path, *, name: str = "folder", patients: int = 20, films: tuple[int, ...] = (1,), ids: bool = True, seed: int = 0
) -> Folder:
    """Write a release: every second patient has tuberculosis; films per patient follow ``films`` in turn."""
    rows = []
    for patient in range(patients):
        for number in range(films[patient % len(films)]):
            path = f"p{patient:03d}_{number}.png"
            save(picture(1_000_000 * (seed + 1) + 100 * patient + number), root / path)
            identifier = pseudonym(name, f"{SENTINEL}{patient}") if ids else float("nan")
            rows.append({"path": path, "patient_id": identifier, "tuberculosis": float(patient % 2), "site": f"s{patient % 3}"})
    return Folder(root, pd.DataFrame(rows), name=name)


def crashing_batch(tasks: list[Task]) -> list[Record]:
    """Open files like a worker whose decoder dies on a file named bomb."""
    if any("bomb" in task.path.name for task in tasks):
        os._exit(1)
    return [inspect(task) for task in tasks]
