# SPDX-License-Identifier: Apache-2.0
"""Recall and false alarms of the detector of burned-in text: `python -m scripts.bench_burned_in [--films 200] [--alarms FOLDER]`.

Recall on phantoms and on real films into which invented text is written; false alarms on phantoms with side markers and on all real films
of MEDSETU_DATA. Many real films carry true text (PORTABLE, SEMI-ERECT, initials beside a side marker): every alarm is saved to
``--alarms`` to be looked at by eye, and those seen to be no text are named in ``NO_TEXT``.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import beta
from scripts.burnt_film import backdrop, burn, is_found, mark

from medsetu.privacy.burned_in import find_text
from medsetu.reader.image import read_image

RELEASES = {
    "nih_chestxray14": "images/*.png",
    "tb_chest_radiography_database": "*/*.png",
    "nitrd_da": "DatasetA/Training/*.jpg",
    "mini_mias": "*.pgm",
}
NO_TEXT = frozenset({"00004387_000", "00028589_000", "Normal-169", "mdb139", "px51"})
"""Films whose alarm was seen to be anatomy, a device or a side marker."""


def lower_bound(hits: int, total: int, *, level: float = 0.95) -> float:
    """One-sided lower bound of a share (Clopper and Pearson 1934)."""
    return float(beta.ppf(1 - level, hits, total - hits + 1)) if hits else 0.0


def real_films(folder: Path) -> Iterator[tuple[str, Path]]:
    """List the films of every release that is here."""
    for release, pattern in RELEASES.items():
        yield from ((release, path) for path in sorted((folder / release).glob(pattern)))


def recall_on_phantoms(films: int) -> None:
    """Print the recall on phantoms."""
    rng = np.random.default_rng(20261127)
    found = [is_found(find_text(film), box) for film, box in (burn(backdrop(rng), rng) for _ in range(films))]
    _tell("phantoms", sum(found), films)


def recall_on_real_films(films: int, *, folder: Path) -> None:
    """Print the recall on real films."""
    rng = np.random.default_rng(20261128)
    paths = [path for _, path in real_films(folder)]
    if paths:
        chosen = rng.choice(len(paths), films, replace=len(paths) < films)
        found = [is_found(find_text(film), box) for film, box in (burn(read_image(paths[place]).pixels, rng) for place in chosen)]
        _tell("real films", sum(found), films)


def _tell(what: str, hits: int, total: int) -> None:
    print(f"recall on {what}: {hits} of {total}, one-sided 95 % lower bound {lower_bound(hits, total):.4f}", flush=True)


def alarms(films: int, *, folder: Path, save: Path | None) -> None:
    """Print the alarms on phantoms with side markers and on real films."""
    rng = np.random.default_rng(7)
    hits = sum(bool(find_text(mark(backdrop(rng), rng)[0])) for _ in range(films))
    print(f"false alarms on phantoms with a side marker: {hits} of {films}", flush=True)
    begun = time.perf_counter()
    counted = {release: [0, 0, 0] for release in RELEASES}
    for release, path in real_films(folder):
        pixels = read_image(path).pixels
        boxes = find_text(pixels)
        counted[release][0] += 1
        counted[release][1] += bool(boxes)
        counted[release][2] += path.stem in NO_TEXT and bool(boxes)
        if boxes and save is not None:
            box = boxes[0]
            part = pixels[max(box.top - 20, 0) : box.bottom + 20, max(box.left - 20, 0) : box.right + 20]
            save.mkdir(parents=True, exist_ok=True)
            Image.fromarray((part * 255).astype(np.uint8)).save(save / f"{path.stem}.png")
    for release, (total, alarmed, wrong) in counted.items():
        print(f"{release}: {total} films, {alarmed} alarms, {wrong} of them no text")
    total, alarmed, wrong = (sum(row[place] for row in counted.values()) for place in range(3))
    clean = total - (alarmed - wrong)
    if clean:
        print(f"false alarms on real films without text: {wrong} of {clean} ({wrong / clean:.2%})")
        print(f"{(time.perf_counter() - begun) / total * 1000:.0f} ms per film")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--parts", nargs="+", choices=("phantoms", "real", "alarms"), default=("phantoms", "real", "alarms"))
    parser.add_argument("--alarms", type=Path, default=None)
    given = parser.parse_args()
    folder = Path(os.environ.get("MEDSETU_DATA", "../shared/data"))
    if "phantoms" in given.parts:
        recall_on_phantoms(given.films)
    if "real" in given.parts:
        recall_on_real_films(given.films, folder=folder)
    if "alarms" in given.parts:
        alarms(given.films, folder=folder, save=given.alarms)


if __name__ == "__main__":
    main()
