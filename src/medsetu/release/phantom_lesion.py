# SPDX-License-Identifier: Apache-2.0
"""What may be wrong in the lungs of the phantom: tuberculosis, effusion, and harmless look-alikes, with boxes around what was drawn."""

import numpy as np
from numpy.typing import NDArray

from medsetu.release.phantom_anatomy import aeration
from medsetu.release.phantom_chest import Chest, Exam, Map, ellipse, step
from medsetu.release.phantom_random import smooth_noise

Box = tuple[float, float, float, float]

_LOOK_ALIKE_SHARE = 0.25  # share of all patients with an old scar or nodule in an upper zone, and with a patch in a lower zone


def draw_lesions(exam: Exam, chest: Chest) -> tuple[Map, dict[str, list[Box]]]:
    """Draw opacities of the lungs: tuberculosis in the upper zones, fluid in the costophrenic angles, and look-alikes of neither.

    Position and shape belong to the patient; severity belongs to the study. Cardiomegaly is the heart itself (``phantom_chest``): here it
    only gets its box.

    Args:
        exam: Patient and film.
        chest: Frame of the film.

    Returns:
        Attenuation to add, shape (size, size), and for each present finding its boxes ``(x0, y0, x1, y1)`` in fractions of the film.
    """
    air = aeration(chest)
    grain = smooth_noise(exam.patient_stream("grain"), size=chest.size, knots=(17, 33, 65), roughness=0.8)
    opacity = _look_alikes(exam, chest, grain)
    boxes: dict[str, list[Box]] = {}
    if exam.severity.get("tuberculosis", 0.0) > 0:
        patches, boxes["tuberculosis"] = _tuberculosis(exam, chest, grain)
        opacity += patches * exam.lesion_contrast
    opacity *= air
    if exam.severity.get("effusion", 0.0) > 0:
        fluid, boxes["effusion"] = _effusion(exam, chest)
        replaced = min(1.05 * exam.lesion_contrast, 1.15)
        opacity = opacity * (1 - fluid) + fluid * air * replaced
    if exam.severity.get("cardiomegaly", 0.0) > 0:
        boxes["cardiomegaly"] = _box(chest.heart > 0)
    return opacity, boxes


def _tuberculosis(exam: Exam, chest: Chest, grain: Map) -> tuple[Map, list[Box]]:
    """Three to seven patches in one or both upper zones, some with a cavity: a dense rim around a lucent middle."""
    dice = exam.patient_stream("tuberculosis")
    severity = exam.severity["tuberculosis"]
    sides = ((-1,), (1,), (-1, 1))[int(dice.integers(3))]
    count = int(dice.integers(3, 8))
    patches = np.zeros_like(chest.x)
    boxes: list[Box] = []
    texture = np.clip(0.75 + 0.65 * grain, 0, 2)
    for number in range(count):
        depth, lateral, radius, stretch, cavity, strength = dice.random(6).tolist()
        side = sides[number % len(sides)]
        centre = (side * (0.20 + 0.34 * lateral) * chest.width / 0.7, chest.apex + 0.12 + 0.40 * depth)
        size = (0.06 + 0.08 * radius) * (0.65 + 0.5 * severity)
        inside = ellipse(chest.x, chest.y, centre=centre, radii=(size, size * (0.75 + 0.5 * stretch))) + 0.22 * grain
        glow = np.exp(np.clip(inside - 1, -8, 0) * 0.9)
        shadow = glow * texture
        if cavity < 0.3:
            rim = (inside - 0.1) * (1 / 0.28)
            shadow = np.exp(-np.minimum(rim * rim, 16)) - 0.25 * step(inside - 0.45, 0.2) + 0.3 * shadow
        patches += shadow * ((0.36 + 0.34 * strength) * (0.45 + 0.55 * severity))
        boxes += _box((inside > -0.5) & (chest.lung > 0.2))
    return patches, boxes


def _effusion(exam: Exam, chest: Chest) -> tuple[Map, list[Box]]:
    """Fluid that blunts one or both costophrenic angles; its upper border climbs towards the wall as a meniscus."""
    which, height = exam.patient_stream("effusion").random(2).tolist()
    severity = exam.severity["effusion"]
    side = chest.left if which < 0.4 else 1 - chest.left if which < 0.8 else np.ones_like(chest.left)
    angle = chest.base + 0.48 * 0.58 * 0.58  # height of the costophrenic angle
    out = np.clip(chest.u * (1 / chest.width), 0, 1.1)
    climb = out * out
    level = angle - (0.20 + 0.46 * severity * (0.5 + 0.5 * height)) * (0.25 + 0.75 * climb * climb)
    fluid = step(chest.y - level, 0.022) * side
    return fluid, _box((fluid > 0.5) & (chest.lung > 0.5))


def _look_alikes(exam: Exam, chest: Chest, grain: Map) -> Map:
    """Old scars and nodules above, a patch below: found in the healthy and the ill alike, so that no single bright spot decides."""
    dice = exam.patient_stream("look-alikes")
    scarred, patched = (dice.random(2) < _LOOK_ALIKE_SHARE).tolist()
    opacity = np.zeros_like(chest.x)
    for _ in range(3):
        side, depth, lateral, radius = dice.random(4).tolist()
        if scarred:
            centre = ((0.22 + 0.3 * lateral) * (1 if side < 0.5 else -1), chest.apex + 0.14 + 0.5 * depth)
            spot = ellipse(chest.x, chest.y, centre=centre, radii=(0.018 + 0.016 * radius,) * 2)
            opacity += step(spot, 0.5) * 0.32
    side, depth, lateral, radius = dice.random(4).tolist()
    if patched:
        centre = ((0.25 + 0.25 * lateral) * (1 if side < 0.5 else -1), chest.base - 0.12 - 0.25 * depth)
        spread = ellipse(chest.x, chest.y, centre=centre, radii=(0.09 + 0.06 * radius, 0.10))
        opacity += np.exp(np.clip(spread - 1, -8, 0) * 0.9) * np.clip(0.75 + 0.5 * grain, 0, 2) * 0.36
    return opacity


def _box(mask: NDArray[np.bool_]) -> list[Box]:
    """Smallest box around a mask in fractions of the film; none for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    height, width = mask.shape
    edges = (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
    return [(round(float(edges[0]), 4), round(float(edges[1]), 4), round(float(edges[2]), 4), round(float(edges[3]), 4))]
