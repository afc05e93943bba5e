# SPDX-License-Identifier: Apache-2.0
"""The healthy body of the phantom as a map of attenuation: soft tissue, lungs, bones, air and texture, simply added up."""

import math

import numpy as np

from medsetu.release.phantom_chest import Chest, Exam, Map, ellipse, step
from medsetu.release.phantom_random import smooth_noise

_RAYS, _ANGLES = 60, 1440  # vessels around each hilum, and steps of the table they are looked up in


def draw_body(exam: Exam, chest: Chest) -> Map:
    """Add up soft tissue, lungs, heart, bones and texture of a body without lesions.

    Args:
        exam: Patient and film.
        chest: Frame of the film.

    Returns:
        Attenuation in natural logarithms, shape (size, size): 0 in air, about 1 in the lungs and 3 behind the heart.
    """
    tissue = exam.patient_normals("tissue", 2)
    body, thickness = _soft_tissue(exam, chest)
    aerated = aeration(chest)
    attenuation = thickness - aerated * (1.25 + 0.06 * tissue[0]) * np.minimum(1, thickness)
    attenuation += chest.mediastinum * 0.22 + np.sqrt(np.clip(chest.heart, 0, 1)) * 0.28
    below = step(chest.y - chest.dome, 0.02) * body
    attenuation += below * 0.28
    bone = 1.1 - 0.006 * (exam.age_years - 50) + 0.06 * tissue[1]
    attenuation += (_ribs(exam, chest) * (1 - 0.5 * below) + _shoulder(exam, chest) + _spine(exam, chest)) * (bone * body)
    attenuation += _markings(exam, chest) * aerated - _air(exam, chest)
    texture = smooth_noise(exam.patient_stream("texture"), size=chest.size, knots=(5, 9, 17, 33, 65), roughness=0.65)
    attenuation += texture * 0.055 * body
    return np.clip(attenuation, 0, None)


def aeration(chest: Chest) -> Map:
    """Share of the air of a full lung at each pixel: 1 in the open lung, little where heart or vessels lie before it.

    Args:
        chest: Frame of the film.

    Returns:
        Values in [0, 1], shape (size, size).
    """
    return chest.lung * (1 - 0.78 * chest.mediastinum)


def _soft_tissue(exam: Exam, chest: Chest) -> tuple[Map, Map]:
    """Outline of neck, shoulders, trunk and arms in [0, 1], and the attenuation of the soft tissue in it."""
    y, u = chest.y, chest.u
    stout = max(-2.5, min(2.5, exam.habitus))
    flare = np.clip(0.10 - y, 0, None)
    half = chest.width + 0.10 + 0.035 * stout + (0.05 + 0.03 * stout) * np.clip(y, -0.3, 1)
    neck = 0.23 + 0.015 * stout - u
    shoulder = np.minimum(y + 0.62 + (0.40 + 0.01 * stout) * np.exp((0.20 - u) * 4.0), 1.18 - u)
    trunk = np.minimum(half + 0.9 * flare * flare - u, shoulder)
    arm = np.minimum(0.14 + 0.012 * stout - np.abs(u - 1.06 - 0.12 * (y + 0.5)), shoulder)
    body = np.maximum(step(np.maximum(neck, trunk), 0.016), 0.8 * step(arm, 0.016))
    across = u / (half + 0.12)
    roundness = np.sqrt(np.clip(1 - 0.75 * across * across, 0.14, 1))
    thickness = body * roundness * (2.3 * (1 + 0.07 * stout)) * (0.76 + 0.24 * step(y + 0.45, 0.5))
    if exam.female:
        breast = ellipse(u, y, centre=(0.40, 0.18), radii=(0.31 + 0.02 * stout, 0.32 + 0.02 * stout))
        thickness += np.sqrt(np.clip(breast, 0, 1)) * (0.32 + 0.06 * stout)
    return body, thickness


def _ribs(exam: Exam, chest: Chest) -> Map:
    """Posterior and anterior ribs: two families of bands, each evaluated at once through its phase, and the wall they form."""
    own = exam.patient_normals("ribs", 2)
    pitch = 0.132 + 0.005 * own[0]
    w = chest.u * (1 / chest.width)
    posterior = chest.y + 0.16 * w - 0.34 * w * w * w
    anterior = chest.y - 0.18 - (0.62 + 0.04 * own[1]) * (1 - w)
    fade = step(0.72 - chest.y, 0.2)
    cage = step(chest.lateral + 0.015 - chest.u, 0.012) * step(chest.y - chest.apex, 0.03) * fade
    ribs: Map = _bands(posterior, pitch=pitch, offset=chest.apex - 0.02, thickness=0.21) * step(w - 0.12, 0.05) * 0.30
    ribs += _bands(anterior, pitch=pitch, offset=chest.apex + 0.06, thickness=0.23) * step(w - 0.50, 0.12) * 0.17
    away = (chest.u - chest.lateral) * (1 / 0.022)
    wall: Map = np.exp(-away * away) * step(chest.y - (chest.apex + 0.12), 0.08) * fade
    cage_map: Map = ribs * cage + wall * 0.22
    return cage_map


def _bands(height: Map, *, pitch: float, offset: float, thickness: float) -> Map:
    """Bands one pitch apart with bright borders, as the cortex of a bone has."""
    phase = (height - offset) * (1 / pitch)
    away = np.abs(phase - np.rint(phase))
    rim: Map = np.clip(away * (1 / thickness), 0, 1)
    return step(thickness - away, 0.05) * (0.55 + 0.45 * rim * rim)


def _shoulder(exam: Exam, chest: Chest) -> Map:
    """Clavicles, shoulder blades (over the lungs in AP) and upper arms."""
    own = exam.patient_normals("shoulder", 1)[0]
    y, u = chest.y, chest.u
    raised, inward = (0.05, 0.28) if exam.ap else (0.0, 0.0)
    course = -0.53 - raised + 0.015 * own - (0.16 - raised) * u + 0.03 * np.sin(u * 7.5)
    away = np.abs(y - course) * (1 / 0.033)
    rim = np.clip(away, 0, 1)
    bones: Map = step(1 - away, 0.3) * (0.6 + 0.4 * rim * rim) * step(u - 0.07, 0.02) * step(0.84 - u, 0.03) * 0.38
    edge = u - (0.80 - inward) - 0.16 * (y + 0.55)
    blade = np.minimum(np.minimum(edge, y + 0.62), np.minimum(0.12 - y, 0.30 - edge + 0.3 * y))
    border = edge * (1 / 0.016)
    bones += step(blade, 0.012) * 0.15 + np.exp(-border * border) * step(blade + 0.02, 0.02) * 0.14
    head = step(ellipse(u, y, centre=(0.98, -0.55), radii=(0.11, 0.11)), 0.2)
    shaft = np.minimum(0.055 - np.abs(u - 1.04 - 0.12 * (y + 0.5)), y + 0.52)
    arm: Map = np.maximum(head * 0.30, step(shaft, 0.015) * 0.35)
    return bones + arm


def _spine(exam: Exam, chest: Chest) -> Map:
    """Vertebral bodies and the discs between them, slightly bent."""
    own = exam.patient_normals("spine", 2)
    across = np.abs(chest.x - 0.012 * own[0] * np.sin(chest.y * 3))
    phase = (chest.y + 0.03 * own[1]) * (1 / 0.115)
    disc = step(np.abs(phase - np.rint(phase)) - 0.36, 0.08)
    return step(0.085 - across, 0.02) * (0.34 - 0.12 * disc)


def _air(exam: Exam, chest: Chest) -> Map:
    """Trachea, and in some a stomach bubble under the left dome."""
    own = exam.patient_normals("air", 3)
    air = step(0.045 - np.abs(chest.x - 0.01 * own[0]), 0.015) * step(-0.18 - chest.y, 0.08) * 0.32
    if own[1] > 0:
        bubble = ellipse(chest.x, chest.y, centre=(0.34 + 0.04 * own[2], chest.base + 0.17), radii=(0.15, 0.08))
        air += step(bubble, 0.4) * step(chest.y - chest.dome - 0.02, 0.02) * 0.45
    return air


def _markings(exam: Exam, chest: Chest) -> Map:
    """Hila and the vessels that leave them: two families of bent rays (arteries, veins) on each side, thinning outwards."""
    knots = exam.patient_stream("vessels").standard_normal((2, 2, _RAYS), dtype=np.float32)
    across, down = chest.u - 0.14, chest.y + 0.05
    radius = np.sqrt(across * across + down * down)
    turn = np.arctan2(down, across) * (_ANGLES / (2 * math.pi)) + chest.left * _ANGLES + _ANGLES / 2
    bend = np.sin(radius * 9) * (_ANGLES / 45)
    fade = np.exp(radius * -1.9) * (0.24 * step(radius - 0.09, 0.09))
    vessels: Map = (_rays(knots[0], turn + bend) + _rays(knots[1], turn - 1.7 * bend)) * fade
    hilum: Map = np.clip(ellipse(chest.u, chest.y, centre=(0.17, -0.05), radii=(0.13, 0.20)), 0, 1)
    return vessels + hilum * (0.30 + vessels)


def _rays(knots: Map, turn: Map) -> Map:
    """Look up brightness by angle; ``knots`` of both sides, shape (2, rays), are joined by straight lines to a ring of angles."""
    places = np.arange(_ANGLES) * (_RAYS / _ANGLES)
    ring = [np.interp(places, np.arange(_RAYS + 1), np.append(side, side[0])) for side in knots]
    table = np.clip(np.concatenate(ring), -0.1, 2.0).astype(np.float32)
    looked_up: Map = table.take(turn.astype(np.int32), mode="wrap")
    return looked_up
