# SPDX-License-Identifier: Apache-2.0
"""The two countries of the phantom: every way in which they differ is one knob with a known effect."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from medsetu.core.errors import ConfigError

FINDINGS = ("tuberculosis", "effusion", "cardiomegaly")


@dataclass(frozen=True)
class Country:
    """Who is imaged, how, and how the films are read. Each knob can be turned alone; shares and rates lie in [0, 1].

    Attributes:
        exposure: Mean dose relative to a well exposed film (above 0): less is noisier and paler.
        exposure_sd: Spread of the natural logarithm of the dose from film to film.
        noise: Quantum noise relative to the usual detector at equal dose (0 or above).
        pixel_size: Pixel size relative to the size asked for, in [1, 4]: 2 halves rows and columns.
        blur_mm: Detector blur, standard deviation in mm (0 or above).
        monochrome1_share: Share of films stored as MONOCHROME1.
        habitus_mean: Mean body habitus in standard deviations of the reference population: below 0 slender, above 0 stout.
        habitus_sd: Spread of the body habitus.
        ap_share: Share of AP films (larger heart, shallow breath, shoulder blades over the lungs); the others are PA.
        age_mean: Mean age in years; ages are kept within 18 to 95.
        age_sd: Spread of the age in years.
        female_share: Share of women.
        tuberculosis_prevalence: Share of patients with tuberculosis.
        effusion_prevalence: Share of patients with a pleural effusion.
        cardiomegaly_prevalence: Share of patients with an enlarged heart.
        false_negative_rate: Share of present findings that the label table calls absent.
        false_positive_rate: Share of absent findings that the label table calls present.
        marker_share: Share of films with the burned-in site marker while it knows nothing of the finding.
        marker_strength: Shortcut: 0, the marker is independent of tuberculosis; 1, it is there exactly with tuberculosis.
        lesion_contrast: Attenuation of tuberculous and pleural opacities relative to the reference (0 or above).
    """

    exposure: float = 1.0
    exposure_sd: float = 0.15
    noise: float = 1.0
    pixel_size: float = 1.0
    blur_mm: float = 0.6
    monochrome1_share: float = 0.0
    habitus_mean: float = 0.0
    habitus_sd: float = 1.0
    ap_share: float = 0.1
    age_mean: float = 50.0
    age_sd: float = 16.0
    female_share: float = 0.5
    tuberculosis_prevalence: float = 0.4
    effusion_prevalence: float = 0.3
    cardiomegaly_prevalence: float = 0.3
    false_negative_rate: float = 0.0
    false_positive_rate: float = 0.0
    marker_share: float = 0.3
    marker_strength: float = 0.0
    lesion_contrast: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a knob outside its range.

        Raises:
            ConfigError: A value is impossible.
        """
        for field in fields(self):
            low, high = _range(field.name)
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(
                    what=f"Knob '{field.name}' of the phantom is {value!r}",
                    where="Setting knobs of release 'phantom'",
                    remedy=f"Give a number from {low:g} to {high:g}",
                )


_RANGES: dict[str, tuple[float, float]] = {
    "exposure": (0.05, 20.0),
    "exposure_sd": (0.0, 2.0),
    "noise": (0.0, 20.0),
    "pixel_size": (1.0, 4.0),
    "blur_mm": (0.0, 20.0),
    "habitus_mean": (-4.0, 4.0),
    "habitus_sd": (0.0, 3.0),
    "age_mean": (18.0, 95.0),
    "age_sd": (0.0, 40.0),
    "lesion_contrast": (0.0, 5.0),
}


def _range(knob: str) -> tuple[float, float]:
    return _RANGES.get(knob, (0.0, 1.0))


GLOBAL = Country(marker_share=0.2, marker_strength=0.3)
LOCAL = Country(
    exposure=0.75,
    exposure_sd=0.25,
    noise=1.5,
    pixel_size=1.25,
    blur_mm=1.2,
    monochrome1_share=0.3,
    habitus_mean=-0.6,
    habitus_sd=0.9,
    ap_share=0.3,
    age_mean=40.0,
    age_sd=15.0,
    female_share=0.4,
    tuberculosis_prevalence=0.5,
    effusion_prevalence=0.25,
    cardiomegaly_prevalence=0.2,
    false_negative_rate=0.05,
    false_positive_rate=0.02,
    marker_share=0.3,
    marker_strength=0.0,
    lesion_contrast=0.9,
)
COUNTRIES: dict[str, Country] = {"global": GLOBAL, "local": LOCAL}


def country(name: str, knobs: Mapping[str, float]) -> Country:
    """Find a country by name and turn some of its knobs.

    Args:
        name: ``global`` or ``local``.
        knobs: Knob to value; the others stay as the preset has them.

    Returns:
        The country.

    Raises:
        ConfigError: The country or a knob is unknown, or a value is out of range.

    Example:
        >>> country("global", {"exposure": 0.5}).exposure
        0.5
    """
    if name not in COUNTRIES:
        raise ConfigError(
            what=f"The phantom has no country '{name}'", where="Setting country of release 'phantom'", value=name, allowed=list(COUNTRIES)
        )
    allowed = [field.name for field in fields(Country)]
    for knob in knobs:
        if knob not in allowed:
            raise ConfigError(
                what=f"The phantom has no knob '{knob}'", where="Setting knobs of release 'phantom'", value=str(knob), allowed=allowed
            )
    return replace(COUNTRIES[name], **knobs)
