# SPDX-License-Identifier: Apache-2.0
"""The frame of one phantom film: who is imaged, how they stand, and the outlines of cage, lungs, diaphragm and heart.

Lengths are in half fields (1 = 200 mm), x to the right of the film (the patient's left), y downwards. Scalars stay Python floats so that
the maps stay float32.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medsetu.release.phantom_random import stream

FIELD_MM = 400.0  # side of the square film

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Exam:
    """What a film shows: one patient on one day.

    Attributes:
        keys: Seed, population, patient and study: the names of the random streams.
        female: Sex of the body.
        age_years: Age in years.
        habitus: Standard deviations from slender (below 0) to stout.
        ap: AP film; else PA.
        severity: Finding to severity in [0, 1]; 0 or absent without it.
        lesion_contrast: Attenuation of opacities relative to the reference.
    """

    keys: tuple[int, str, int, int]
    female: bool = False
    age_years: float = 50.0
    habitus: float = 0.0
    ap: bool = False
    severity: Mapping[str, float] = field(default_factory=dict)
    lesion_contrast: float = 1.0

    def patient_stream(self, aspect: str) -> np.random.Generator:
        """Open a stream that is the same in all studies of the patient."""
        seed, population, patient, _ = self.keys
        return stream(seed, population, "patient", aspect, patient)

    def study_stream(self, aspect: str) -> np.random.Generator:
        """Open a stream of this film alone."""
        seed, population, patient, study = self.keys
        return stream(seed, population, "study", aspect, patient, study)

    def patient_normals(self, aspect: str, count: int) -> list[float]:
        """Draw standard normal numbers that belong to the patient."""
        numbers: list[float] = self.patient_stream(aspect).standard_normal(count).tolist()
        return numbers


@dataclass(frozen=True)
class Chest:
    """The frame that everything is drawn into; maps have shape (size, size).

    Attributes:
        x: Horizontal coordinate after positioning.
        y: Vertical coordinate after positioning.
        u: Distance from the midline.
        left: 1 on the patient's left (right half of the film), else 0.
        width: Half width of the lungs at their base.
        apex: Height of the lung apex.
        base: Height of the right diaphragm.
        dome: Height of the diaphragm at each x.
        lateral: Lateral border of the lungs at each y.
        heart: Heart: 1 at its centre, 0 at its border, negative outside.
        mediastinum: Heart, great vessels and what lies between the lungs, in [0, 1].
        lung: Lung field in [0, 1], heart not subtracted.
    """

    x: Map
    y: Map
    u: Map
    left: Map
    width: float
    apex: float
    base: float
    dome: Map
    lateral: Map
    heart: Map
    mediastinum: Map
    lung: Map

    @property
    def size(self) -> int:
        """Pixels per side."""
        return len(self.x)


def step(distance: NDArray[np.floating], width: float) -> Map:
    """Rise smoothly from 0 to 1 while a signed distance passes from -width to width.

    Example:
        >>> step(np.float32([-1, 0, 1]), 1.0).tolist()
        [0.0, 0.5, 1.0]
    """
    ramp: Map = np.clip(distance * (0.5 / width) + 0.5, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def ellipse(x: Map, y: Map, *, centre: tuple[float, float], radii: tuple[float, float]) -> Map:
    """Compute 1 at the centre of an ellipse, 0 at its border, negative outside.

    Example:
        >>> ellipse(np.float32([0, 2]), np.float32([0, 0]), centre=(0, 0), radii=(2, 1)).tolist()
        [1.0, 0.0]
    """
    across, down = (x - centre[0]) * (1 / radii[0]), (y - centre[1]) * (1 / radii[1])
    return 1 - across * across - down * down


def turned(x: Map, y: Map, angle: float) -> tuple[Map, Map]:
    """Turn coordinates by an angle in radians."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x


def chest_of(exam: Exam, size: int) -> Chest:
    """Place the patient before the detector and outline cage, diaphragm, heart and lungs.

    Args:
        exam: Patient and film.
        size: Pixels per side.

    Returns:
        The frame.
    """
    build = exam.patient_normals("build", 6)
    pose: list[float] = exam.study_stream("pose").standard_normal(5).tolist()
    x, y = _coordinates(pose, ap=exam.ap, size=size)
    u, left = np.abs(x), (x > 0).astype(np.float32)
    width = 0.70 + 0.025 * build[0] + 0.02 * exam.habitus - 0.03 * exam.female
    apex = -0.74 + 0.02 * build[1]
    base = 0.42 + 0.035 * build[2] - 0.035 * exam.habitus + 0.03 * pose[4] - 0.09 * exam.ap
    top = 0.30  # distance of the apex from the midline
    depth = np.clip((y - apex) * (1 / (base + 0.2 - apex)), 0, 1)
    rest = 1 - depth
    lateral = top + (width - top) * np.sqrt(1 - rest * rest)
    medial = top - (top - 0.10 - 0.006 * (exam.age_years - 50) / 10) * step(depth - 0.13, 0.24)
    bend = u * (1 / width) - 0.42
    dome = base - 0.02 + 0.48 * bend * bend + left * (0.035 + 0.012 * build[3])
    heart = _heart(exam, x=x, y=y, base=base, width=width, shape=build[4:])
    inside = np.minimum(np.minimum(lateral - u, u - medial), np.minimum(dome - y, (y - apex) * 2))
    mediastinum = np.maximum(step(heart, 0.14), _great_vessels(exam, x=x, y=y))
    return Chest(x, y, u, left, width, apex, base, dome, lateral, heart, mediastinum, step(inside, 0.014))


def _coordinates(pose: Sequence[float], *, ap: bool, size: int) -> tuple[Map, Map]:
    """Film coordinates, shifted by 6 mm, turned by 1.5 degrees and magnified by 3 % (standard deviations)."""
    axis = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    scale = 1 / (1 + 0.03 * pose[0] + 0.04 * ap)
    across, down = np.meshgrid((axis - 0.03 * pose[1]) * scale, (axis - 0.03 * pose[2]) * scale)
    return turned(across, down, math.radians(max(-3.0, min(3.0, 1.5 * pose[3]))))


def cardiothoracic_ratio(exam: Exam) -> float:
    """Width of the heart over the width of the lungs, before the magnification of an AP film.

    Args:
        exam: Patient and film.

    Returns:
        About 0.44 in health, 0.53 to 0.62 with cardiomegaly; grows slightly with age and habitus.

    Example:
        >>> well, ill = Exam((0, "global", 0, 0)), Exam((0, "global", 0, 0), severity={"cardiomegaly": 1.0})
        >>> round(cardiothoracic_ratio(ill) - cardiothoracic_ratio(well), 3)
        0.17
    """
    severity = exam.severity.get("cardiomegaly", 0.0)
    own = exam.patient_normals("heart", 1)[0]
    enlarged = 0.06 + 0.11 * severity if severity > 0 else 0.0
    return 0.44 + 0.025 * own + 0.0008 * (exam.age_years - 50) + 0.012 * exam.habitus + enlarged


def _heart(exam: Exam, *, x: Map, y: Map, base: float, width: float, shape: Sequence[float]) -> Map:
    """A leaning ellipse (left ventricle) joined to an upright one (right atrium); together as wide as the ratio says."""
    half = cardiothoracic_ratio(exam) * width * (1.10 if exam.ap else 1.0)
    along, across = turned(x - 0.30 * half, y - (base - 0.55 * half), 0.62 + 0.06 * shape[0])
    ventricle = ellipse(along, across, centre=(0.0, 0.0), radii=(1.02 * half, 0.66 * half))
    atrium = ellipse(x, y, centre=(-0.08 * half, base - (0.62 + 0.03 * shape[1]) * half), radii=(0.62 * half, 0.80 * half))
    return np.maximum(ventricle, atrium)


def _great_vessels(exam: Exam, *, x: Map, y: Map) -> Map:
    """Upper mediastinum with the aortic knob on the patient's left, wider with age."""
    aged = (exam.age_years - 50) / 20
    knob = ellipse(x, y, centre=(0.07 + 0.01 * aged, -0.30), radii=(0.105 + 0.014 * aged, 0.115))
    trunk = 0.11 + 0.012 * aged + 0.10 * step(y - 0.05, 0.5) - np.abs(x - 0.01)
    return np.maximum(step(knob, 0.25), step(trunk, 0.035))
