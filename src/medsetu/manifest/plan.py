# SPDX-License-Identifier: Apache-2.0
"""What a recipe may choose about the manifest: shares, folds, duplicates and how much may be unreadable."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from medsetu.core.errors import ConfigError
from medsetu.core.vote import MAJORITY
from medsetu.manifest.region import check_rule
from medsetu.manifest.vote import Consensus, check_consensus

WHEN = ("auto", "always", "never")
REFUSE, DROP, TAG = "refuse", "drop", "tag"
NAMES = ("own", "common")

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Crossfit:
    """How a small local side is cross-fitted: every sample is tested once per repeat.

    Attributes:
        folds: Number of folds, at least 2.
        repeats: Number of times the folds are drawn anew, at least 1; the repeat is part of the seed.
        when: "auto" where the local test part would hold fewer than ``minimum_test`` samples, "always", or "never".
    """

    folds: int = 5
    repeats: int = 3
    when: str = "auto"

    def __post_init__(self) -> None:
        _check_number("crossfit.folds", self.folds, low=2)
        _check_number("crossfit.repeats", self.repeats, low=1)
        _check_choice("crossfit.when", self.when, WHEN)


@dataclass(frozen=True)
class Similarity:
    """When two pictures count as near duplicates.

    On 1,366 real films (932,295 pairs) the defaults pair no two of them, and find all copies that were resized, windowed, inverted,
    mirrored, or written with 8 or 16 bits or as JPEG; ``docs/leakage.md`` has the measurement, and what is not found.

    Attributes:
        distance: Largest number of differing bits of the 64-bit perceptual hash, 0 to 31.
        correlation: Smallest correlation of the fine structure of the 32 x 32 thumbnails, 0 to 1; both conditions must hold.
        mirrored: The same for mirror images, which must be more alike: the two breasts of a woman reach 0.962, and the tail of 77 pairs
            of mammograms expects less than 0.1 above 0.975.
    """

    distance: int = 10
    correlation: float = 0.95
    mirrored: float = 0.975

    def __post_init__(self) -> None:
        _check_number("near.distance", self.distance, low=0, high=31)
        _check_number("near.correlation", self.correlation, low=0, high=1)
        _check_number("near.mirrored", self.mirrored, low=0, high=1)


@dataclass(frozen=True)
class LeakagePolicy:
    """What is done with samples that stand on two sides, or may have been seen in pretraining: refuse the run, drop them, or tag them.

    What is dropped leaves the earlier side (global before local before external), with the other films of its patient, and is counted in
    the participant flow. What is tagged stays, is marked in the column ``seen``, and results are given with and without it. A patient, a
    study or a file of equal bytes on two sides is proven leakage, which no tag cures. Inside a side, they share one part of a split.

    Attributes:
        patient: The same patient id on two sides: refuse or drop.
        study: The same study id on two sides: refuse or drop.
        exact: Equal files on two sides: refuse or drop.
        near: Pictures on two sides that are alike, also as negatives or mirror images: refuse, drop or tag.
        listed: Pictures in a pretraining list of ``SplitPlan.known``: refuse, drop (on every side) or tag.
        catalogue: Releases on two sides of which the catalogue says that they share images: refuse, drop (the release of the earlier
            side) or tag.
        backbone: Releases that the weights of the backbone may have seen, by their card and the catalogue: refuse or tag; the manifest
            is the same for every backbone, so nothing is dropped from it.
    """

    patient: str = REFUSE
    study: str = DROP
    exact: str = DROP
    near: str = DROP
    listed: str = TAG
    catalogue: str = TAG
    backbone: str = TAG

    def __post_init__(self) -> None:
        for rule in ("patient", "study", "exact"):
            _check_choice(f"leakage.{rule}", getattr(self, rule), (REFUSE, DROP))
        for rule in ("near", "listed", "catalogue"):
            _check_choice(f"leakage.{rule}", getattr(self, rule), (REFUSE, DROP, TAG))
        _check_choice("leakage.backbone", self.backbone, (REFUSE, TAG))


@dataclass(frozen=True)
class SplitPlan:
    """Everything a recipe may choose about who is in, and on which side.

    Attributes:
        val: Share of samples for validation: of the whole side where medsetu draws the test part, else of what is not test. [0, 1)
        test: Share of samples for the internal test, where no official split is honoured. [0, 1)
        crossfit: Cross-fitting of the local side.
        minimum_test: Fewest samples of a test part that is drawn; below it a local side is cross-fitted.
        official: Honour the split of a release that gives both train and test, and gives one to every sample.
        stratify: Findings whose classes must be present in every part; all findings, as far as they allow, when empty.
        max_quarantine: Largest share of unreadable files of a release before the whole run is refused. [0, 1]
        near: When two pictures count as near duplicates.
        leakage: What is done with what stands on two sides, or was seen before.
        names: "own", findings as each release names them, or "common", translated by the table ``configs/release/harmonised.csv``.
        proxy: Finding to labels that stand for it although the table does not call them exactly it; with common names only.
        consensus: How votes of several readers become labels: one rule (majority, unanimous, any-positive, dawid_skene, soft, or own, as
            the release says), or a rule by release, or by release and finding; ``*`` stands for any other. Nothing is changed when empty.
        drawing: How the drawings of several readers become one region of a film: majority, staple, any-positive or unanimous.
        known: Tables of pictures that weights have seen in pretraining: name to CSV file with a column ``sha256`` or ``phash``.
    """

    val: float = 0.15
    test: float = 0.2
    crossfit: Crossfit = field(default_factory=Crossfit)
    minimum_test: int = 60
    official: bool = True
    stratify: Sequence[str] = ()
    max_quarantine: float = 0.05
    near: Similarity = field(default_factory=Similarity)
    leakage: LeakagePolicy = field(default_factory=LeakagePolicy)
    names: str = "own"
    proxy: Mapping[str, Sequence[str]] = field(default_factory=dict)
    consensus: Consensus = field(default_factory=dict)
    drawing: str = MAJORITY
    known: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "crossfit", _part(Crossfit, self.crossfit))
        object.__setattr__(self, "near", _part(Similarity, self.near))
        object.__setattr__(self, "leakage", _part(LeakagePolicy, self.leakage))
        object.__setattr__(self, "stratify", tuple(self.stratify))
        object.__setattr__(self, "known", {str(name): str(path) for name, path in self.known.items()})
        object.__setattr__(self, "consensus", check_consensus(self.consensus))
        check_rule(self.drawing)
        _check_number("val", self.val, low=0, high=1)
        _check_number("test", self.test, low=0, high=1)
        _check_number("max_quarantine", self.max_quarantine, low=0, high=1)
        _check_number("minimum_test", self.minimum_test, low=0)
        _check_choice("names", self.names, NAMES)
        object.__setattr__(self, "proxy", {str(finding): tuple(labels) for finding, labels in self.proxy.items()})
        if self.proxy and self.names == "own":
            raise ConfigError(
                what="A proxy is named, but findings keep the names of their releases",
                where="Key manifest.proxy",
                remedy="Set manifest.names=common, or leave the proxy out",
            )
        if self.val + self.test >= 1:
            raise ConfigError(
                what=f"Validation {self.val} and test {self.test} leave nothing to train on",
                where="Key manifest.val and manifest.test",
                remedy="Choose shares that add up to less than 1",
            )


def _part(kind: type[_Part], value: _Part | Mapping[str, Any]) -> _Part:
    """Build a nested setting from the mapping that YAML gives."""
    return kind(**value) if isinstance(value, Mapping) else value


def _check_number(key: str, value: object, *, low: float, high: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(
            what=f"The value {value} is out of range",
            where=f"Key manifest.{key}",
            remedy=f"Give a number from {low} to {high}" if high < math.inf else f"Give a number of at least {low}",
        )


def _check_choice(key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(what=f"The value '{value}' is not known", where=f"Key manifest.{key}", value=value, allowed=allowed)
