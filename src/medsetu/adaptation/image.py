# SPDX-License-Identifier: Apache-2.0
"""Repairs of images: give local films the grey levels or the style of global validation films. Deterministic; numpy only.

``fit`` reads global validation films and returns an intensity step (see ``medsetu.data.intensity``): a frozen dataclass that maps (H, W)
intensities in [0, 1] to the same. It may stand in ``data.intensity`` or be applied to prepared images: black borders, which padding adds,
are no part of a film and stay black.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from medsetu.core.errors import ConfigError, DataError
from medsetu.data.intensity import Intensity
from medsetu.evaluation.interval import Floats

Pixels = NDArray[np.float32]


@runtime_checkable
class ImageRepair(Protocol):
    """A repair of images that learns from films of the global side, without labels."""

    def fit(self, images: Iterable[Pixels]) -> Intensity:
        """Learn from (H, W) global validation films."""


@dataclass(frozen=True)
class HistogramMatch:
    """Map grey levels so that a film's distribution becomes the reference.

    Attributes:
        reference: Quantiles of the reference at evenly spaced probabilities from 0 to 1, in [0, 1], ascending.

    Example:
        >>> HistogramMatch((0.0, 0.5, 1.0))(np.array([[0.2, 0.3]], dtype=np.float32)).tolist()
        [[0.25, 0.75]]
    """

    reference: tuple[float, ...]

    def __call__(self, pixels: Pixels) -> Pixels:
        """Map one film; equal grey levels stay equal, and their order stays."""
        return _on_film(pixels, self._matched)

    def _matched(self, film: Pixels) -> Floats:
        _, place, count = np.unique(film, return_inverse=True, return_counts=True)
        middle = (np.cumsum(count) - count / 2) / film.size
        mapped = np.interp(middle, np.linspace(0, 1, len(self.reference)), self.reference)
        return np.asarray(mapped[place.reshape(film.shape)])


@dataclass(frozen=True)
class Histogram:
    """Histogram matching to the mean distribution function of the global films.

    Attributes:
        levels: Quantiles kept, at least 2.

    Raises:
        ConfigError: Fewer than two levels.
    """

    levels: int = 257

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ConfigError(what=f"{self.levels} levels make no histogram", where="adaptation.levels", remedy="Give at least 2")

    def fit(self, images: Iterable[Pixels]) -> HistogramMatch:
        """Average the distribution functions at 4096 grey levels, each film with the same weight, and invert.

        Raises:
            DataError: No film.
        """
        bins = 4096
        total, films = np.zeros(bins), 0
        for film in _films(images):
            total += np.histogram(film, bins=bins, range=(0, 1))[0] / film.size
            films += 1
        share = np.cumsum(total) / films
        wanted = np.minimum(np.linspace(0, share[-1], self.levels) + 1e-12, share[-1])  # from the lowest grey level that occurs
        first = np.searchsorted(share, wanted)
        return HistogramMatch(tuple(float(level) for level in (first + 0.5) / bins))


@dataclass(frozen=True)
class StyleMatch:
    """Give a film a mean and a standard deviation.

    Attributes:
        mean: Mean intensity.
        sd: Standard deviation, at least 0.
    """

    mean: float
    sd: float

    def __call__(self, pixels: Pixels) -> Pixels:
        """Shift and stretch one film; a film without contrast becomes the mean."""
        return _on_film(pixels, self._matched)

    def _matched(self, film: Pixels) -> Floats:
        values = film.astype(np.float64)
        return np.asarray((values - values.mean()) * (self.sd / max(float(values.std()), 1e-9)) + self.mean)


@dataclass(frozen=True)
class Style:
    """Mean and contrast of the global films: style in its simplest sense (Huang and Belongie 2017, on pixels)."""

    def fit(self, images: Iterable[Pixels]) -> StyleMatch:
        """Average mean and standard deviation over films.

        Raises:
            DataError: No film.

        Example:
            >>> Style().fit([np.array([[0.5, 1.0]], dtype=np.float32)])
            StyleMatch(mean=0.75, sd=0.25)
        """
        found = np.array([(film.mean(dtype=np.float64), film.std(dtype=np.float64)) for film in _films(images)])
        return StyleMatch(*(float(value) for value in found.mean(axis=0)))


@dataclass(frozen=True)
class FourierMatch:
    """Exchange the amplitude of low frequencies, keep every phase.

    Attributes:
        amplitude: (2r + 1, 2r + 1) amplitudes per pixel at frequencies -r to r in both directions.
    """

    amplitude: tuple[tuple[float, ...], ...]

    def __call__(self, pixels: Pixels) -> Pixels:
        """Change one film; a film narrower than the exchanged band is left as it is."""
        return _on_film(pixels, self._matched)

    def _matched(self, film: Pixels) -> Floats:
        radius = len(self.amplitude) // 2
        if min(film.shape) < 2 * radius + 1:
            return film.astype(np.float64)
        spectrum = np.fft.fft2(film.astype(np.float64))
        place = np.ix_(_low(radius), _low(radius))
        spectrum[place] = np.asarray(self.amplitude) * film.size * np.exp(1j * np.angle(spectrum[place]))
        return np.asarray(np.fft.ifft2(spectrum).real)


@dataclass(frozen=True)
class Fourier:
    """Fourier domain adaptation (Yang and Soatto 2020): low-frequency amplitudes of the global films.

    Attributes:
        radius: Highest frequency exchanged, cycles per film, at least 0; 0 exchanges the mean alone.

    Raises:
        ConfigError: The radius is negative.
    """

    radius: int = 2

    def __post_init__(self) -> None:
        if self.radius < 0:
            raise ConfigError(what=f"A radius of {self.radius} is impossible", where="adaptation.radius", remedy="Give 0 or more")

    def fit(self, images: Iterable[Pixels]) -> FourierMatch:
        """Average the amplitudes over films that are wide enough.

        Raises:
            DataError: No film is wide enough.
        """
        place, total, films = np.ix_(_low(self.radius), _low(self.radius)), np.zeros((2 * self.radius + 1,) * 2), 0
        for film in _films(images):
            if min(film.shape) >= 2 * self.radius + 1:
                total += np.abs(np.fft.fft2(film.astype(np.float64))[place]) / film.size
                films += 1
        if films == 0:
            raise _no_film()
        return FourierMatch(tuple(tuple(float(value) for value in row) for row in total / films))


def film_area(pixels: Pixels) -> tuple[slice, slice]:
    """Find the film inside black borders; the whole image where everything is black.

    Example:
        >>> film_area(np.array([[0, 0, 0], [0, 1, 0]], dtype=np.float32))
        (slice(1, 2, None), slice(1, 2, None))
    """
    spans = []
    for axis in (1, 0):
        lit = np.flatnonzero(pixels.max(axis=axis) > 0)
        spans.append(slice(int(lit[0]), int(lit[-1]) + 1) if lit.size else slice(0, pixels.shape[1 - axis]))
    return spans[0], spans[1]


class _Change(Protocol):
    def __call__(self, film: Pixels) -> Floats:
        """Change a film."""


def _on_film(pixels: Pixels, change: _Change) -> Pixels:
    area = film_area(pixels)
    result = np.zeros(pixels.shape, dtype=np.float32)
    result[area] = np.clip(change(pixels[area]), 0, 1)
    return result


def _films(images: Iterable[Pixels]) -> Iterator[Pixels]:
    """Cut each film out of its borders; at least one, or an error."""
    some = False
    for pixels in images:
        some = True
        yield pixels[film_area(pixels)]
    if not some:
        raise _no_film()


def _low(radius: int) -> NDArray[np.int64]:
    return np.arange(-radius, radius + 1, dtype=np.int64)


def _no_film() -> DataError:
    return DataError(
        what="There is no global film to learn the look of", where="Repair of images", remedy="Give validation films of the global side"
    )
