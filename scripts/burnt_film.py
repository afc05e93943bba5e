# SPDX-License-Identifier: Apache-2.0
"""Films with invented text in their pixels, and films with side markers only."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medsetu.privacy.burned_in import Box

Film = NDArray[np.float32]
Rng = np.random.Generator
Place = tuple[int, int, int, int]  # top, bottom, left, right

FIRST = ("LAKSHMI", "RAMESH", "Sunita", "Anil", "PRIYA", "Mohammed", "Kavita", "SURESH", "Fatima", "Harpreet", "JOSEPH", "Meena")
LAST = ("SHARMA", "Devi", "KUMAR", "Nair", "KHAN", "Singh", "Patel", "REDDY", "Das", "Iyer", "Gupta", "THOMAS")
MARKERS = ("L", "R", "AP", "PA")
SMALLEST, LARGEST = 11, 36  # points
FAINTEST = 0.3  # contrast of the faintest text, of the grey range


def backdrop(rng: Rng, *, shape: tuple[int, int] = (384, 384)) -> Film:
    """Draw a smooth film with ribs and noise."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    lungs = sum(
        np.exp(-(((columns - shape[1] * c) / (shape[1] * 0.16)) ** 2) - ((rows - shape[0] * 0.5) / (shape[0] * 0.3)) ** 2)
        for c in (0.3, 0.7)
    )
    ribs = 0.06 * np.sin(rows / shape[0] * 55 + ((columns - shape[1] / 2) / shape[1]) ** 2 * 18)
    film = 0.62 - 0.45 * lungs + ribs * (lungs > 0.2) + rng.normal(0, 0.012, shape)
    return np.clip(film, 0, 1).astype(np.float32)


def phrase(rng: Rng) -> str:
    """Invent what a workstation writes: a name, a number, a date, an age."""
    number = "".join(map(str, rng.integers(0, 10, 7)))
    name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    day = f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/{rng.integers(1930, 2025)}"
    choices = (
        name,
        f"{rng.choice(LAST)}^{rng.choice(FIRST)}",
        f"ID: {number}",
        day,
        f"{name} {rng.integers(1, 90)}Y/F",
        f"MRN {number[:6]} 10:42",
    )
    return choices[int(rng.integers(len(choices)))]


def _stamp(film: Film, text: str, size: int, at: tuple[int, int], ink: float, *, boxed: bool = False) -> Place:
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    mask = Image.new("L", (right - left + 4, bottom - top + 4), 0)
    ImageDraw.Draw(mask).text((2 - left, 2 - top), text, fill=255, font=font)
    cover = np.asarray(mask, np.float32) / 255
    y, x = at
    patch = film[y : y + cover.shape[0], x : x + cover.shape[1]]
    if boxed:
        patch[:] = 1 - ink
    patch[:] = patch * (1 - cover) + ink * cover
    return y, y + cover.shape[0], x, x + cover.shape[1]


def _fitting(text: str, size: int, width: int) -> int:
    while ImageFont.load_default(size).getbbox(text)[2] + 8 > width:
        size -= 1
    return size


def burn(film: Film, rng: Rng) -> tuple[Film, Place]:
    """Write one line of text into a film, as scanners, workstations and JPEG do.

    Returns:
        The film, and top, bottom, left and right of the text.
    """
    text = phrase(rng)
    size = _fitting(text, int(rng.integers(SMALLEST, LARGEST + 1)), film.shape[1])
    left, top, right, bottom = ImageFont.load_default(size).getbbox(text)
    height, width = bottom - top + 4, right - left + 4
    at = int(rng.integers(0, film.shape[0] - height)), int(rng.integers(0, film.shape[1] - width))
    out = film.copy()
    ground = float(np.median(film[at[0] : at[0] + height, at[1] : at[1] + width]))
    kind = int(rng.integers(4))
    if kind == 0:
        ink = 1.0 if ground < 1 - FAINTEST else 0.0
    elif kind == 1:
        ink = 0.0 if ground > FAINTEST else 1.0
    elif kind == 2:
        ink = float(rng.integers(2))
    else:
        step = rng.uniform(FAINTEST, 0.6)
        ink = ground + step if ground < 0.5 else ground - step
    box = _stamp(out, text, size, at, min(max(ink, 0.0), 1.0), boxed=kind == 2)
    if rng.random() < 0.5:
        buffer = io.BytesIO()
        Image.fromarray((out * 255).round().astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(60, 96)))
        out = np.asarray(Image.open(buffer), np.float32) / 255
    return out, box


def mark(film: Film, rng: Rng) -> tuple[Film, Place]:
    """Put a side marker into a film."""
    out = film.copy()
    text = MARKERS[int(rng.integers(len(MARKERS)))]
    box = _stamp(out, text, int(rng.integers(14, 40)), (int(rng.integers(5, 40)), int(rng.integers(5, film.shape[1] - 80))), 1.0)
    return out, box


def is_found(boxes: Sequence[Box], box: Place) -> bool:
    """Whether boxes cover at least half of the length of a text."""
    top, bottom, left, right = box
    covered = np.zeros(right - left, bool)
    for one in boxes:
        if min(one.bottom, bottom) - max(one.top, top) > 0.3 * (bottom - top):
            covered[max(one.left - left, 0) : max(one.right - left, 0)] = True
    return bool(covered.mean() >= 0.5)
