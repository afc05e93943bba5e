# SPDX-License-Identifier: Apache-2.0
"""What a shortcut could know: file facts, border, a tiny thumbnail, metadata, and the film without its lungs."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medsetu.core.errors import DataError
from medsetu.core.run import atomic_write, content_key, verify_sidecar
from medsetu.evaluation.interval import Floats
from medsetu.manifest.progress import progress
from medsetu.reader.sample import read_shown

FILE_FACTS = "file facts"
BORDER_RING = "border ring"
THUMBNAIL = "8 x 8 thumbnail"
METADATA = "metadata"
LUNGS_REMOVED = "lungs removed"
RUNGS = (FILE_FACTS, METADATA, BORDER_RING, THUMBNAIL, LUNGS_REMOVED)
WITHOUT_LUNGS = (FILE_FACTS, METADATA, BORDER_RING)  # rungs that see no lung at all: nothing of the disease can be in them

NO_FACTS = "no facts"
SIDE = 32  # pixels of the reduced film
RING = 4  # pixels, one eighth of the side
LUNG_ROWS = slice(4, 25)  # a fixed template on the reduced film, not a segmentation
LUNG_COLUMNS = (slice(4, 14), slice(18, 28))
RARE = 5  # films below which a category counts as "other"


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder.

    Attributes:
        name: One of ``RUNGS``.
        features: (n, p) float64, no NaN; p is 0 where there are no facts.
        strength: Inverse regularisation C of its logistic regression, on standardised features.
    """

    name: str
    features: Floats
    strength: float


def rungs(rows: pd.DataFrame, reduced: NDArray[np.float32]) -> list[Rung]:
    """Build the features of every rung.

    Args:
        rows: (n) manifest rows.
        reduced: (n, 32, 32) reduced films in [0, 1], from ``reduced_films``.

    Returns:
        Rungs in the order of ``RUNGS``; constant columns are left out.
    """
    facts = [
        *(np.log1p(rows[name].to_numpy(np.float64)) for name in ("file_bytes", "height", "width")),
        np.log(rows["width"].to_numpy(np.float64) / rows["height"].to_numpy(np.float64)),
        rows["bits"].to_numpy(np.float64),
        *_categories(rows, ("color_mode", "file_format")),
    ]
    age = rows["age_years"].to_numpy(np.float64)
    middle = np.nanmedian(age) if np.isfinite(age).any() else 0.0
    metadata = [np.where(np.isnan(age), middle, age), np.isnan(age).astype(np.float64), *_categories(rows, ("sex", "view", "device"))]
    features = {
        FILE_FACTS: (np.stack(facts, axis=1), 1.0),
        METADATA: (np.stack(metadata, axis=1), 1.0),
        BORDER_RING: (reduced[:, _ring()], 0.01),
        THUMBNAIL: (reduced.reshape(len(reduced), 8, SIDE // 8, 8, SIDE // 8).mean(axis=(2, 4)).reshape(len(reduced), 64), 0.01),
        LUNGS_REMOVED: (reduced[:, ~_lungs()], 0.01),
    }
    return [Rung(name, _varying(features[name][0]), features[name][1]) for name in RUNGS]


def reduced_films(rows: pd.DataFrame, *, cache: Path | None = None) -> NDArray[np.float32]:
    """Read every film once and reduce it to 32 x 32 pixels by averaging areas.

    Args:
        rows: (n) manifest rows with ``sample_id``, ``root``, ``path`` and ``sha256``.
        cache: Folder that keeps the result, keyed by the content of the files; None keeps nothing.

    Returns:
        (n, 32, 32) float32 in [0, 1].

    Raises:
        DataError: A file cannot be read.
    """
    kept = None if cache is None else cache / f"reduced-{content_key([SIDE, rows['sha256'].tolist()])}.npz"
    if kept is not None and kept.is_file():
        with contextlib.suppress(DataError):  # a damaged cache is written again
            return _load(kept)
    films = np.empty((len(rows), SIDE, SIDE), dtype=np.float32)
    with progress(len(rows), label="Shortcut ladder: reading films") as advance:
        for number, (root, path, sample_id) in enumerate(zip(rows["root"], rows["path"], rows["sample_id"], strict=True)):
            films[number] = reduce_film(read_shown(Path(root) / path, sample_id=sample_id).pixels)
            advance(1)
    if kept is not None:
        buffer = io.BytesIO()
        np.savez(buffer, films=films)
        atomic_write(kept, buffer.getvalue(), sidecar=True)
    return films


def reduce_film(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average a film over areas to 32 x 32 pixels.

    Args:
        pixels: (H, W) float32 in [0, 1].

    Returns:
        (32, 32) float32 in [0, 1].

    Example:
        >>> reduce_film(np.full((100, 80), 0.5, np.float32)).shape
        (32, 32)
    """
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


def _load(path: Path) -> NDArray[np.float32]:
    verify_sidecar(path)
    with np.load(path, allow_pickle=False) as stored:
        films: NDArray[np.float32] = stored["films"]
    return films


def _ring() -> NDArray[np.bool_]:
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[RING:-RING, RING:-RING] = False
    return mask


def _lungs() -> NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    for columns in LUNG_COLUMNS:
        mask[LUNG_ROWS, columns] = True
    return mask


def _categories(rows: pd.DataFrame, names: Sequence[str]) -> list[Floats]:
    """One column per category; rare ones together, missing ones as their own."""
    columns = []
    for name in names:
        values = rows[name].fillna("").astype(str)
        common = values.map(values.value_counts()) >= RARE
        marks = pd.get_dummies(values.where(common, "other"), dtype=np.float64)
        columns += [marks[mark].to_numpy(np.float64) for mark in sorted(marks.columns)]
    return columns


def _varying(features: NDArray[np.floating]) -> Floats:
    table = np.asarray(features, dtype=np.float64)
    return table[:, np.ptp(table, axis=0) > 0] if len(table) else table[:, :0]
