# SPDX-License-Identifier: Apache-2.0
"""What a film shows of how it was taken: exposure, contrast, sharpness, noise, and how much of it is black or white."""

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medsetu.core.errors import DataError
from medsetu.core.run import content_key
from medsetu.core.table import conform, read_table, write_table
from medsetu.evaluation.interval import Floats
from medsetu.manifest.progress import progress
from medsetu.reader.sample import read_shown

STATISTICS: dict[str, str] = {  # name to unit
    "exposure": "mean of [0, 1]",
    "contrast": "sd of [0, 1]",
    "sharpness": "variance of the Laplacian over that of the film",
    "noise": "sd of [0, 1]",
    "black": "share of pixels",
    "white": "share of pixels",
}
SIDE = 256  # pixels of the grid on which sharpness is compared: films of every matrix size alike
EDGE = 0.01  # grey values closer than this to 0 or 1 are black or white
_COLUMNS = {"sample_id": "str"} | dict.fromkeys(STATISTICS, "float64")


def film_statistics(rows: pd.DataFrame, *, cache: Path | None = None) -> pd.DataFrame:
    """Read every film once and describe it by ``STATISTICS``.

    Args:
        rows: (n) manifest rows with ``sample_id``, ``root``, ``path`` and ``sha256``.
        cache: Folder that keeps the result, keyed by the content of the files; None keeps nothing.

    Returns:
        (n) rows in the given order: ``sample_id`` and one column per statistic.

    Raises:
        DataError: A file cannot be read.
    """
    key = content_key([list(STATISTICS), SIDE, EDGE, rows["sample_id"].tolist(), rows["sha256"].tolist()])
    kept = None if cache is None else cache / f"acquisition-{key}.parquet"
    if kept is not None and kept.is_file():
        with contextlib.suppress(DataError):  # a damaged cache is written again
            return conform(read_table(kept), _COLUMNS, name="acquisition")
    found = []
    with progress(len(rows), label="Acquisition: reading films") as advance:
        for root, path, sample_id in zip(rows["root"], rows["path"], rows["sample_id"], strict=True):
            found.append({"sample_id": sample_id} | describe_film(read_shown(Path(root) / path, sample_id=sample_id).pixels))
            advance(1)
    table = conform(pd.DataFrame(found, columns=list(_COLUMNS)), _COLUMNS, name="acquisition")
    if kept is not None:
        write_table(table, kept)
    return table


def describe_film(pixels: NDArray[np.float32]) -> dict[str, float]:
    """Describe one film.

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) on a 256 x 256 grid, over the variance of the film, so that
    matrix size and contrast do not count. Noise is the estimate of Immerkær (CVIU 1996, 64:300-302) on the film's own pixels.

    Args:
        pixels: (H, W) float32 in [0, 1].

    Returns:
        ``STATISTICS``, name to number; sharpness is NaN for a film of one grey, noise for a film below 3 x 3 pixels.

    Example:
        >>> describe_film(np.full((8, 8), 0.5, np.float32))["exposure"]
        0.5
    """
    return {
        "exposure": float(pixels.mean(dtype=np.float64)),
        "contrast": float(pixels.std(dtype=np.float64)),
        "sharpness": sharpness(pixels),
        "noise": noise(pixels),
        "black": float((pixels < EDGE).mean()),
        "white": float((pixels > 1 - EDGE).mean()),
    }


def sharpness(pixels: NDArray[np.float32]) -> float:
    """Variance of the Laplacian over the variance of the film, on a 256 x 256 grid; NaN for a film of one grey.

    Example:
        >>> sharpness(np.zeros((4, 4), np.float32))
        nan
    """
    film = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    spread = float(film.var())
    return float(_neighbours(film).var() / spread) if np.ptp(film) > 0 and spread > 0 else float("nan")


def noise(pixels: NDArray[np.float32]) -> float:
    """Standard deviation of the noise, from what no smooth picture explains; NaN below 3 x 3 pixels.

    Example:
        >>> round(noise(np.random.default_rng(0).normal(0.5, 0.1, (200, 200)).astype(np.float32)), 2)
        0.1
    """
    if min(pixels.shape) < 3:
        return float("nan")
    residual = _second(_second(pixels).T)  # the operator 1 -2 1 along both axes
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(residual).mean(dtype=np.float64))


def _second(film: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(film[2:] - 2 * film[1:-1] + film[:-2])


def _neighbours(film: Floats) -> Floats:
    return np.asarray(_second(film)[:, 1:-1] + _second(film.T).T[1:-1])
