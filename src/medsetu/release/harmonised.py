# SPDX-License-Identifier: Apache-2.0
"""Labels of several releases under common names: a table says which label is a finding exactly, more broadly or more narrowly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.core.place import config_folder
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import Release, ReleaseIndex

TABLE = "harmonised.csv"
EXACT, BROADER, NARROWER, INCOMPARABLE = "exact", "broader", "narrower", "unknown"
RELATIONS = (EXACT, BROADER, NARROWER, INCOMPARABLE)
_COLUMNS = ("release", "label", "relation", "finding")


@dataclass(frozen=True)
class Name:
    """One row of the table.

    Attributes:
        release: Kind of the release: the stem of its adapter.
        label: Finding as the adapter names it.
        relation: What the label is to the finding: ``exact``; ``broader``, so that its absence excludes the finding; ``narrower``, so that
            its presence implies it; ``unknown``, not comparable.
        finding: Common name.
    """

    release: str
    label: str
    relation: str
    finding: str


def kind_of(release: Release) -> str:
    """Stem of the adapter that reads a release, whatever the release is called in a recipe."""
    inner = release.release if isinstance(release, Harmonised) else release
    return type(inner).__module__.rpartition(".")[2]


@cache
def read_names(path: Path | None = None) -> tuple[Name, ...]:
    """Read the table of names.

    Args:
        path: A table with the columns release, label, relation, finding; None takes that of medsetu.

    Returns:
        Its rows.

    Raises:
        DataError: A relation is unknown, or a label is exactly two findings, or has two relations to one.
    """
    place = config_folder() / "release" / TABLE if path is None else path
    names = tuple(Name(*(row[column] for column in _COLUMNS)) for row in read_sheet(place, columns=_COLUMNS))
    pairs = [(name.release, name.label, name.finding) for name in names]
    exact = [(name.release, name.label) for name in names if name.relation == EXACT]
    if not {name.relation for name in names} <= set(RELATIONS) or len(set(pairs)) < len(pairs) or len(set(exact)) < len(exact):
        raise DataError(
            what="A relation is unknown, or a label is exactly two findings, or has two relations to one",
            where=str(place),
            remedy=f"Write one of {', '.join(RELATIONS)}, once for each pair",
        )
    return names


def translate(labels: pd.DataFrame, names: Sequence[Name]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Write labels under common names, and say no more than they say.

    An exact label is copied. A broader one that is absent excludes the finding, a narrower one that is present implies it; else they say
    nothing. What several labels say of one finding is joined; where they contradict each other it is NaN. A label that is exactly no
    common finding keeps its name beside the findings it says something of.

    Args:
        labels: (n, L) 1 / 0 / NaN by label.
        names: Rows of the table for this release.

    Returns:
        (n, F) 1 / 0 / NaN by finding, and the number of contradictions per finding where there are any.

    Example:
        >>> labels = pd.DataFrame({"nodule_mass": [1.0, 0.0]})
        >>> names = [Name("x", "nodule_mass", "broader", "nodule"), Name("x", "nodule_mass", "narrower", "lesion")]
        >>> translate(labels, names)[0].to_dict("list")
        {'nodule_mass': [1.0, 0.0], 'nodule': [nan, 0.0], 'lesion': [1.0, nan]}
    """
    said: dict[str, list[pd.Series[float]]] = {finding: [] for finding in findings_of(list(labels.columns), names)}
    for name in names:
        if name.label in labels and name.relation != INCOMPARABLE:
            said[name.finding].append(_heard(labels[name.label], name.relation))
    exact = {name.label for name in names if name.relation == EXACT}
    for label in labels.columns:
        if label not in exact and not said[label]:
            said[label].append(labels[label])
    joined, contradictions = {}, {}
    for finding, columns in said.items():
        table = pd.concat(columns, axis=1)
        present, absent = (table == POSITIVE).any(axis=1), (table == NEGATIVE).any(axis=1)
        joined[finding] = pd.Series(np.select([present & ~absent, absent & ~present], [POSITIVE, NEGATIVE], default=UNKNOWN), labels.index)
        if int((present & absent).sum()):
            contradictions[finding] = int((present & absent).sum())
    return pd.DataFrame(joined, index=labels.index), contradictions


def findings_of(labels: Sequence[str], names: Sequence[Name]) -> tuple[str, ...]:
    """Findings that labels say something of, in the order of the labels.

    Args:
        labels: Labels of a release.
        names: Rows of the table for it.

    Returns:
        Common names, and names of labels that are exactly no common finding.

    Example:
        >>> findings_of(["abnormal", "age"], [Name("x", "abnormal", "exact", "chest_abnormal")])
        ('chest_abnormal', 'age')
    """
    found: dict[str, None] = {}
    for label in labels:
        rows = [name for name in names if name.label == label and name.relation != INCOMPARABLE]
        own = [] if any(name.relation == EXACT for name in rows) else [label]
        found |= dict.fromkeys([*own, *(name.finding for name in sorted(rows, key=lambda name: RELATIONS.index(name.relation)))])
    return tuple(found)


def _heard(label: "pd.Series[float]", relation: str) -> "pd.Series[float]":
    if relation == EXACT:
        return label
    return label.where(label == (NEGATIVE if relation == BROADER else POSITIVE))


@dataclass(frozen=True)
class Harmonised:
    """A release whose labels bear common names.

    Attributes:
        release: The release as its adapter reads it.
        proxy: Finding to labels that the recipe takes for it although they are not exactly it, such as ``{malignant: [suspicious]}``;
            only pairs of the table, and every use is noted.
    """

    release: Release
    proxy: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the release."""
        return self.release.name

    @property
    def root(self) -> Path:
        """Folder of the release."""
        return self.release.root

    @property
    def findings(self) -> tuple[str, ...]:
        """Common findings that its labels say something of, and its own labels that are no common finding."""
        return findings_of(self.release.findings, self.names)

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """Rows of the table for this release, proxies taken for exact."""
        own = [name for name in read_names() if name.release == kind_of(self.release)]
        return tuple(replace(name, relation=EXACT) if name.label in self.proxy.get(name.finding, ()) else name for name in own)

    def index(self) -> ReleaseIndex:
        """Index the release and translate its labels and readings.

        Returns:
            The index; notes name proxies, labels that are not comparable, and contradictions.

        Raises:
            DataError: As the release's own index.
        """
        index = self.release.index()
        labels = list(self.release.findings)
        translated, contradictions = translate(index.samples[labels], self.names)
        read = [label for label in labels if label in index.readings]
        readings = index.readings.drop(columns=read).join(translate(index.readings[read], self.names)[0]) if read else index.readings
        samples = pd.concat([index.samples.drop(columns=labels), translated], axis=1)
        drawn = self._drawn(index.drawn)
        return ReleaseIndex(samples, index.excluded, (*index.notes, *self._notes(contradictions)), readings, drawn)

    def _drawn(self, drawn: pd.DataFrame) -> pd.DataFrame:
        """Drawings under the common names that their label is exactly, or is a part of; others keep their own name."""
        heard = [(name.label, name.finding) for name in self.names if name.relation in (EXACT, NARROWER)]
        told = pd.DataFrame(heard, columns=["finding", "common"])
        joined = drawn.merge(told, on="finding", how="left", sort=False)
        exact = {name.label for name in self.names if name.relation == EXACT}
        own = drawn[~drawn["finding"].isin(exact)]
        common = joined[joined["common"].notna()]
        common = common.assign(finding=common["common"].astype(drawn["finding"].dtype)).drop(columns="common")
        return pd.concat([common, own], ignore_index=True)

    def _notes(self, contradictions: Mapping[str, int]) -> list[str]:
        apart = [f"{name.label} and {name.finding}" for name in self.names if name.relation == INCOMPARABLE]
        used = [f"{name.label} stands for {name.finding}" for name in self.names if name.label in self.proxy.get(name.finding, ())]
        notes = [f"Declared proxy: {text}" for text in used]
        notes += [f"Not comparable: {'; '.join(apart)}"] if apart else []
        return notes + [
            f"{count} samples with labels that contradict each other on {finding}: unknown" for finding, count in contradictions.items()
        ]


def harmonise(sides: Mapping[str, Mapping[str, Release]], *, proxy: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Release]]:
    """Give the labels of every release of a recipe common names.

    Args:
        sides: Releases by side and name.
        proxy: As in ``Harmonised``.

    Returns:
        The same, harmonised.

    Raises:
        ConfigError: A proxy is no pair of the table for any of the releases.
    """
    kinds = {kind_of(release) for releases in sides.values() for release in releases.values()}
    pairs = {(name.finding, name.label) for name in read_names() if name.release in kinds}
    for finding, labels in proxy.items():
        for label in labels:
            if (finding, label) not in pairs:
                raise ConfigError(
                    what=f"The table of names has no pair of '{label}' and '{finding}' for the releases of this recipe",
                    where="Key manifest.proxy",
                    value=label,
                    allowed=sorted({other for place, other in pairs if place == finding}),
                )
    return {side: {name: Harmonised(release, proxy) for name, release in releases.items()} for side, releases in sides.items()}
