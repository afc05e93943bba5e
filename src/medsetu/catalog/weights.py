# SPDX-License-Identifier: Apache-2.0
"""The card of weights: who made them, from what, what they read, and three sets of terms: of the code, of the weights, of the data."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from medsetu.catalog.card import CHOICES, PERMISSIONS, SPDX, Card, cards_folder
from medsetu.catalog.entry import choice, read_entry, require_name, wrong
from medsetu.catalog.relation import relatives
from medsetu.core.errors import ConfigError
from medsetu.core.run import atomic_write

MIRROR = "MEDSETU_WEIGHTS"  # environment variable: folder of weights that were fetched elsewhere, and of own cards
FAMILIES = ("timm", "monai", "medicalnet")
LIBRARIES = ("timm", "torchvision", "torchxrayvision", "project", "medsetu")
SIDECAR = ".card.yaml"  # instead of .safetensors
_TUPLES = ("trained_on", "leave_out", "unverified", "traps")
_NUMBERS = ("size", "mean", "std")
_LICENCES = ("code_licence", "weights_licence")
_UNITS: dict[str, tuple[str, ...]] = {
    "library": LIBRARIES,
    "family": FAMILIES,
    "research_use": PERMISSIONS,
    "commercial_use": PERMISSIONS,
    "weights_release": PERMISSIONS,
    "confidence": CHOICES["confidence"],
}


@dataclass(frozen=True, kw_only=True)
class WeightCard:
    """What is known of one file of weights; None is unknown.

    Attributes:
        name: Short name; equals the stem of its file.
        title: Name as published.
        library: Who names the weights: timm, torchvision, torchxrayvision, project (its authors), or medsetu (made here).
        weights: Their name there, such as ``resnet18.a1_in1k``.
        backbone: Option of ``backbone=`` that loads them; None where medsetu has no loader, and the card is for information.
        architecture: What they are; a name of ``family`` where ``library`` is project and ``backbone`` is set.
        parameters: Numbers in the trunk, as counted by building it; None where that was not done.
        size: Height and width, or depth, height and width, pixels or voxels.
        channels: 1 (grey) or 3.
        mean: Per channel, of intensities in [0, 1].
        std: Per channel, of intensities in [0, 1].
        intensity: What the images are before normalisation, in words.
        place: Repository on the Hugging Face hub, or an https address; None where a program cannot fetch them.
        filename: Name of the file in the repository, or what a file laid into the mirror must be called.
        revision: Commit in the repository; None where none is pinned.
        sha256: Of the file, or its first digits as the publisher writes them into its name; None where nobody states it.
        code_licence: SPDX identifier or ``LicenseRef-...`` of the code; None when no licence text is known.
        weights_licence: The same, of the weights.
        data_terms: What the terms of the training data say, in a sentence.
        licence_note: What follows from all three, in a sentence.
        research_use: yes, no, or ask (confirm before relying on it).
        commercial_use: yes, no or ask.
        weights_release: Whether weights derived from them may be published: yes, no or ask.
        trained_on: Releases of the catalogue by name, and other corpora, such as ``imagenet-1k``.
        training: How they were trained, in a sentence.
        citation: What to cite.
        homepage: Address.
        checked_on: Day on which the card was written down.
        confidence: verified (main facts read in a cited source) or memory (recalled).
        unverified: Fields that are second-hand even on a verified card.
        traps: What goes wrong with them.
        prefix: Names in the file that begin so belong to the trunk, and lose it; empty: all names belong.
        leave_out: Names in the file that no trunk has, without the prefix; ``*`` stands for anything.
        entry: Key of the file under which the tensors lie, where it holds several sets of them; empty where it holds one.
        family: What builds the architecture, where ``library`` is project: timm, monai or medicalnet.
        options: Arguments with which the architecture is built, beside its name; None where there are none.
        fingerprint: What the trunk answers to the probe batch, see ``medsetu.backbone.fingerprint``; None where it was never measured.
    """

    name: str
    title: str
    library: str
    weights: str
    backbone: str | None
    architecture: str
    parameters: int | None
    size: tuple[int, ...] | None
    channels: int | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    intensity: str
    place: str | None
    filename: str | None
    revision: str | None
    sha256: str | None
    code_licence: str | None
    weights_licence: str | None
    data_terms: str | None
    licence_note: str
    research_use: str
    commercial_use: str
    weights_release: str
    trained_on: tuple[str, ...]
    training: str
    citation: str | None
    homepage: str | None
    checked_on: date
    confidence: str
    unverified: tuple[str, ...] = ()
    traps: tuple[str, ...] = ()
    prefix: str = ""
    leave_out: tuple[str, ...] = ()
    entry: str = ""
    family: str = "timm"
    options: Mapping[str, Any] | None = None
    fingerprint: Mapping[str, Any] | None = None


def weights_folder() -> Path:
    """Find the cards of weights that came with this copy of medsetu.

    Example:
        >>> (weights_folder() / "rad_dino.yaml").is_file()
        True
    """
    return cards_folder() / "weights"


def mirror_folder() -> Path | None:
    """Find the folder of weights that were fetched elsewhere: the one that ``MEDSETU_WEIGHTS`` names; None when it names none."""
    named = os.environ.get(MIRROR, "")
    return Path(named).expanduser() if named else None


def load_weight_card(name: str) -> WeightCard:
    """Read the card of one file of weights; a card in the mirror folder wins over the one that came with medsetu.

    Args:
        name: Name of the card.

    Returns:
        The card.

    Raises:
        ConfigError: There is no such card (the nearest name is offered), or the card is wrong.

    Example:
        >>> load_weight_card("rad_dino").backbone
        'rad_dino'
    """
    known = _paths()
    if name not in known:
        raise ConfigError(what=f"There is no card for weights '{name}'", where=str(weights_folder()), value=name, allowed=sorted(known))
    return _read(known[name])


def load_weight_cards() -> list[WeightCard]:
    """Read every card of weights, sorted by name.

    Raises:
        ConfigError: A card is wrong.
    """
    return [_read(path) for _, path in sorted(_paths().items())]


def find_weight_card(library: str, weights: str) -> WeightCard | None:
    """Find the card of weights by the name their library gives them; None when nobody wrote one.

    Example:
        >>> find_weight_card("torchvision", "resnet50.IMAGENET1K_V2").sha256
        '11ad3fa6'
    """
    return next((card for card in load_weight_cards() if (card.library, card.weights) == (library, weights)), None)


def sidecar_of(weights: Path) -> Path:
    """Name the card that lies beside a file of weights.

    Example:
        >>> sidecar_of(Path("checkpoints/finetune.safetensors")).name
        'finetune.card.yaml'
    """
    return weights.with_name(weights.stem + SIDECAR)


def read_sidecar(weights: Path) -> WeightCard | None:
    """Read the card beside a file of weights; None when there is none.

    Raises:
        ConfigError: The card is wrong.
    """
    path = sidecar_of(weights)
    return _read(path) if path.is_file() else None


def write_sidecar(card: WeightCard, weights: Path) -> Path:
    """Write a card beside a file of weights, as the YAML that ``read_sidecar`` reads.

    Args:
        card: The card.
        weights: The file.

    Returns:
        Path of the card.
    """
    plain = {key: list(item) if isinstance(item, tuple) else item for key, item in asdict(card).items()}
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)
    return atomic_write(sidecar_of(weights), f"# Card of {weights.name}, written by medsetu.\n{text}".encode())


def seen_releases(card: WeightCard | None, releases: Sequence[Card]) -> dict[str, str]:
    """Say which releases weights may have seen in pretraining, by name or by images shared with a release they were taught on.

    Images are shared by what the catalogue says, also by way of other releases; see ``medsetu.catalog.relation``.

    Args:
        card: Card of the weights; None for weights drawn at random.
        releases: Cards of the catalogue.

    Returns:
        Release -> reason, for the ``seen`` column of the tables.

    Example:
        >>> from medsetu.catalog.card import load_cards
        >>> seen_releases(load_weight_card("densenet121_xrv_nih"), load_cards())["rsna_pneumonia"]
        'shares images with nih_chestxray14, on which densenet121_xrv_nih was taught'
    """
    if card is None:
        return {}
    found = {name: f"{card.name} was taught on {name}" for name in card.trained_on}
    for taught in card.trained_on:
        for relation in relatives(taught, releases).values():
            way = f" by way of {', '.join(reversed(relation.by_way_of))}" if relation.by_way_of else ""
            found.setdefault(relation.other, f"shares images with {taught}{way}, on which {card.name} was taught")
    return found


def _paths() -> dict[str, Path]:
    """Path of every card; those of the mirror folder come last and win."""
    folders = [weights_folder(), *([mirror] if (mirror := mirror_folder()) else [])]
    paths = [path for folder in folders for path in sorted(folder.glob("*.yaml")) if not path.name.endswith(SIDECAR)]
    return {path.stem: path for path in paths}


def _read(path: Path) -> WeightCard:
    card = WeightCard(**read_entry(path, WeightCard, value=_value))
    if not path.name.endswith(SIDECAR):
        require_name(card.name, path)
    shape = (card.mean, card.std)
    if any(values is not None and len(values) != card.channels for values in shape):
        raise wrong(path, what="Mean and std do not have one value per channel")
    return card


def _value(key: str, value: Any, path: Path) -> Any:  # noqa: ANN401 - a YAML value becomes a field of WeightCard
    if key in _UNITS:
        return choice(key, value, path, allowed=_UNITS[key])
    if key in _TUPLES:
        return tuple(str(item) for item in value or ())
    if value is None:
        return None
    if key in _NUMBERS:
        return tuple(int(item) if key == "size" else float(item) for item in value)
    wanted: dict[str, type] = {"checked_on": date, "fingerprint": Mapping, "options": Mapping, "parameters": int, "channels": int}
    if not isinstance(value, wanted.get(key, str)):
        raise wrong(path, what=f"The value of '{key}' has the wrong type")
    if key in _LICENCES and not SPDX.match(str(value)):
        raise wrong(
            path, what=f"The value of '{key}' is not an SPDX expression", remedy="Write an SPDX identifier, LicenseRef-<name>, or null"
        )
    return value
