# SPDX-License-Identifier: Apache-2.0
"""Find releases: by filters on their cards, and by words people use for them; a word nobody uses gets the nearest ones."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from medsetu.catalog.card import REGIONS, ROUTES, Card
from medsetu.catalog.licence import USES, verdict
from medsetu.core.errors import ConfigError, nearest

MODALITIES: dict[str, str] = {  # what people call a modality -> as cards write it
    "chest x-ray": "CXR",
    "chest radiography": "CXR",
    "radiography": "XR",
    "x-ray": "XR",
    "mammography": "MG",
    "mammogram": "MG",
    "ultrasound": "US",
    "sonography": "US",
    "computed tomography": "CT",
    "mri": "MR",
    "magnetic resonance": "MR",
    "retina": "fundus",
    "fundus photography": "fundus",
    "histopathology": "WSI",
    "pathology slides": "WSI",
}
_FORMATS = {"dicom": "dcm", "jpeg": "jpg", "tiff": "tif", "nifti": "nii", "nii.gz": "nii", "csv.gz": "csv", "excel": "xlsx"}
_SAME = {  # words of one meaning, as cards write them
    "tb": "tuberculosis",
    "xray": "x-ray",
    "xrays": "x-ray",
    "x-rays": "x-ray",
    "covid-19": "covid",
    "mammogram": "mammography",
    "mri": "mr",
    "hemorrhage": "haemorrhage",
    "tumor": "tumour",
    "edema": "oedema",
    "pediatric": "paediatric",
    "bi-rads": "birads",
    "osteoarthritis": "kellgren",
}
_WEIGHTS = (("name", 8), ("aliases", 8), ("title", 4), ("findings", 4), ("modality", 3), ("body_part", 3), ("country", 3), ("sites", 2))


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a card must be; an empty value asks nothing. Case does not count.

    Attributes:
        region: india (also what was made in India from patients elsewhere) or global.
        country: Country of the patients.
        modality: As cards write it, or as people call it (``mammography``).
        body_part: What the images show.
        use: A use that the terms must permit, see ``medsetu.catalog.licence.USES``.
        access: open, sign-in, agreement or unavailable.
        format: File format, such as ``dcm``.
        patient_ids: yes or no.
    """

    region: str = ""
    country: str = ""
    modality: str = ""
    body_part: str = ""
    use: str = ""
    access: str = ""
    format: str = ""
    patient_ids: str = ""


def chosen(cards: Sequence[Card], wanted: Filter) -> list[Card]:
    """Keep the cards that pass a filter.

    Args:
        cards: Cards of the catalogue.
        wanted: The filter.

    Returns:
        The cards that pass, in their order.

    Raises:
        ConfigError: A value is one that no card has; the nearest is offered.

    Example:
        >>> from medsetu.catalog.card import load_cards
        >>> [card.name for card in chosen(load_cards(), Filter(region="india", modality="mammography", use="commercial"))]
        ['dmid']
    """
    values = _values(cards)
    asked = {key: _asked(key, str(getattr(wanted, key)), values[key]) for key in values}
    _refuse_unknown("use", wanted.use.lower(), tuple(USES))
    kept = [card for card in cards if all(word in ("", *_of(card, key)) for key, word in asked.items())]
    return [card for card in kept if verdict([card], wanted.use.lower()).allowed] if wanted.use else kept


def _values(cards: Sequence[Card]) -> dict[str, tuple[str, ...]]:
    keys = [field.name for field in fields(Filter) if field.name != "use"]
    found = {key: tuple(sorted({word for card in cards for word in _of(card, key)})) for key in keys}
    return {**found, "region": REGIONS, "access": ROUTES, "patient_ids": ("yes", "no")}


def _of(card: Card, key: str) -> tuple[str, ...]:
    """Words of a card that a filter may ask for, in small letters."""
    told: dict[str, Iterable[str | None]] = {
        "region": (card.region, card.made_in),
        "country": card.country.split(", "),
        "modality": (card.modality, *card.also),
        "body_part": (card.body_part,),
        "access": (card.route,),
        "format": [_FORMATS.get(word.lower(), word) for word in card.formats],
        "patient_ids": (card.patient_ids,),
    }
    return tuple(word.lower() for word in told[key] if word)


def _asked(key: str, value: str, known: tuple[str, ...]) -> str:
    word = value.strip().lower()
    synonyms: Mapping[str, str] = {"modality": MODALITIES, "format": _FORMATS}.get(key, {})
    word = synonyms.get(word, word).lower()
    _refuse_unknown(key, word, (*known, *(said for said, meant in synonyms.items() if meant.lower() in known and said not in known)))
    return word


def _refuse_unknown(key: str, word: str, known: Sequence[str]) -> None:
    if word and word not in known:
        raise ConfigError(what=f"'{word}' is not a value of '{key}'", where=f"Key {key}", value=word, allowed=list(known))


def find(cards: Sequence[Card], text: str) -> list[Card]:
    """Find releases by words: names, other names, titles, findings, modality, body part, country, hospitals.

    Every word must occur somewhere on a card, as a word or as its beginning. Names count most.

    Args:
        cards: Cards of the catalogue.
        text: Words with blanks between.

    Returns:
        Cards, the best first; equal ones by name.

    Raises:
        ConfigError: No card has all the words; the nearest words are offered.

    Example:
        >>> from medsetu.catalog.card import load_cards
        >>> [card.name for card in find(load_cards(), "TB New Delhi")][:3]
        ['nitrd', 'nitrd_da', 'nitrd_db']
    """
    wanted = [_SAME.get(word, word) for word in _split(text)]
    scored = [(sum(points), card) for card in cards if all(points := [_points(card, word) for word in wanted])]
    if not wanted or not scored:
        known = sorted({word for card in cards for word in _vocabulary(card)})
        lost = [word for word in wanted if not any(_points(card, word) for card in cards)]
        guesses = [guess for word in lost if (guess := nearest(word, known))]
        raise ConfigError(
            what=f"No card has {'all the words' if wanted else 'no words'} of '{text}'",
            where="Words of the search",
            remedy=f"Did you mean {' or '.join(repr(guess) for guess in guesses)}?" if guesses else "Use fewer or other words",
        )
    return [card for _, card in sorted(scored, key=lambda pair: (-pair[0], pair[1].name))]


def named(cards: Sequence[Card], name: str) -> Card | None:
    """Take the card of a name, or of another name that exactly one card bears.

    Example:
        >>> from medsetu.catalog.card import load_cards
        >>> named(load_cards(), "VinBigData").name, named(load_cards(), "NLM TB")
        ('vindr_cxr', None)
    """
    found = [card for card in cards if card.name == name]
    found = found or [card for card in cards if name.lower() in (alias.lower() for alias in card.aliases)]
    return found[0] if len(found) == 1 else None


def _points(card: Card, word: str) -> int:
    return max(
        (weight * (2 if word in words else 1) for key, weight in _WEIGHTS if (words := _words(card, key)) and _begun(word, words)),
        default=0,
    )


def _begun(word: str, words: Sequence[str]) -> bool:
    return any(other.startswith(word) for other in words)


def _vocabulary(card: Card) -> set[str]:
    return {word for key, _ in _WEIGHTS for word in _words(card, key)}


def _words(card: Card, key: str) -> list[str]:
    value = getattr(card, key)
    parts = [value] if isinstance(value, str) else list(value)
    if key == "modality":
        parts = [*parts, *card.also, *[word for word, code in MODALITIES.items() if code in (card.modality, *card.also)]]
    if key == "country":
        parts = [*parts, card.region, card.made_in or ""]
    return [_SAME.get(word, word) for part in parts for word in _split(part)]


def _split(text: str) -> list[str]:
    """Cut a text into words in small letters, names with underscores also into their parts.

    Example:
        >>> _split("NLM Shenzhen TB (chest_x-ray)")
        ['nlm', 'shenzhen', 'tb', 'chest_x-ray', 'chest', 'x-ray']
    """
    words = re.findall(r"[\w.+-]*\w", text.lower())
    return [part for word in words for part in dict.fromkeys((word, *word.split("_"))) if part]
