# SPDX-License-Identifier: Apache-2.0
"""TBX11K (Liu et al., CVPR 2020, doi:10.1109/CVPR42600.2020.00272): healthy, sick without tuberculosis, active and latent tuberculosis."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import MEANINGS, NEGATIVE, POSITIVE, UNKNOWN
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder
from medsetu.release.drawing import Row, drawn_box

LISTS = {"train": "TBX11K_train", "val": "TBX11K_val"}
EXTRA = {"da+db": "nitrd", "mc+shenzhen": "shenzhen and montgomery"}  # folder of imgs/extra -> release that its films come from
ACTIVE, LATENT = "ActiveTuberculosis", "ObsoletePulmonaryTuberculosis"
_ALIKE = {"health": (NEGATIVE, NEGATIVE), "sick": (NEGATIVE, POSITIVE)}  # folder -> tuberculosis of any kind, abnormal
_KIND = re.compile(r"<object>\s*<name>\s*(\w+)\s*</name>")
_LONGEST = 1 << 20  # bytes of an XML file that are looked at
_BORROWED = re.compile(r"^(?:(?P<word>[np])x?\d+|(?:MCUCXR|CHNCXR)_\d+_(?P<digit>[01]))$", re.IGNORECASE)


@dataclass(frozen=True)
class _Box:
    """A box as COCO has it: file name below ``imgs``, kind, corner with width and height, and height and width of its image."""

    film: str
    kind: str
    numbers: Sequence[object]
    size: tuple[float, float]


@dataclass
class _Lists:
    """What the lists of boxes say: split and kinds of boxes by file name below ``imgs``, and the boxes themselves."""

    split: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, set[str]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    boxes: list[_Box] = field(default_factory=list)


@dataclass(frozen=True)
class Tbx11k:
    """TBX11K as downloaded: ``imgs/{health,sick,tb,test,extra}`` and ``annotations/json/TBX11K_{train,val}.json``.

    A list that is not there as JSON is read from ``lists/TBX11K_{train,val}.txt`` with the kinds of boxes of ``annotations/xml``; where
    the boxes lie is read from JSON alone.

    Attributes:
        root: Folder that holds ``imgs`` and ``annotations``.
        latent: What ``tuberculosis`` is where all boxes are of the obsolete kind: unknown, positive or negative.
        untyped: The same where a film of ``tb`` has no box of a known kind.
        extra: Folders of ``imgs/extra`` to take in, ``da+db`` or ``mc+shenzhen``. They hold films of other releases; ``da+db`` is the
            Indian test side of many studies.
        name: Name of the release in tables.
    """

    root: Path
    latent: str = "unknown"
    untyped: str = "unknown"
    extra: Sequence[str] = ()
    name: str = "tbx11k"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "extra", tuple(self.extra))
        for key, value in (("latent", self.latent), ("untyped", self.untyped)):
            if value not in MEANINGS:
                raise ConfigError(what="Such films have no such meaning", where=f"Key {key}", value=value, allowed=[*MEANINGS])
        for folder in self.extra:
            if folder not in EXTRA:
                raise ConfigError(what="There is no such folder of films", where="Key extra", value=folder, allowed=[*EXTRA])

    @property
    def findings(self) -> tuple[str, ...]:
        """Tuberculosis by the rule of the recipe, its two kinds, and any disease."""
        return ("tuberculosis", "active_tuberculosis", "latent_tuberculosis", "abnormal")

    def index(self) -> ReleaseIndex:
        """List the films by folder; the kind of tuberculosis comes from the boxes.

        Returns:
            The index, without patients; films of ``test`` (labels are kept back) and of other releases are listed as excluded.

        Raises:
            DataError: A folder is missing, no list of boxes is there, or one cannot be read.
        """
        require_folder(self.root / "imgs", release=self.name)
        lists = self._lists()
        rows: list[dict[str, object]] = []
        excluded: list[tuple[str, str]] = []
        for path in image_files(self.root, below="imgs"):
            folder = PurePosixPath(path).parts[1]
            if folder in (*_ALIKE, "tb"):
                below = path.removeprefix("imgs/")
                labels = self._labels(folder, lists.kinds.get(below, set()))
                rows.append({"path": path, "seen": "", "country": "CHN", "official_split": lists.split.get(below, ""), **labels})
            elif folder == "extra":
                self._borrow(path, rows, excluded)
            else:
                excluded.append((path, "test film, its label is kept back" if folder == "test" else "folder says nothing of its films"))
        return finish_index(
            pd.DataFrame(rows, columns=["path", "seen", "country", "official_split", *self.findings]),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=self._notes(lists, rows),
            drawn=[row for box in lists.boxes for row in self._rows(box)],
        )

    def _labels(self, folder: str, kinds: set[str]) -> dict[str, float]:
        if folder in _ALIKE:
            tuberculosis, abnormal = _ALIKE[folder]
            return dict(zip(self.findings, (tuberculosis, NEGATIVE, NEGATIVE, abnormal), strict=True))
        active, latent = ACTIVE in kinds, LATENT in kinds
        if not active and not latent:
            return dict(zip(self.findings, (MEANINGS[self.untyped], UNKNOWN, UNKNOWN, POSITIVE), strict=True))
        tuberculosis = POSITIVE if active else MEANINGS[self.latent]
        return dict(zip(self.findings, (tuberculosis, float(active), float(latent), POSITIVE), strict=True))

    def _rows(self, box: _Box) -> list[Row]:
        """A box for its kind, and for tuberculosis where that kind counts as it."""
        own = {ACTIVE: ["active_tuberculosis"], LATENT: ["latent_tuberculosis"]}.get(box.kind, [])
        counts = {ACTIVE: "positive", LATENT: self.latent}.get(box.kind, self.untyped)
        findings = [*own, *(["tuberculosis"] if counts == "positive" else [])]
        return [drawn_box(f"imgs/{box.film}", finding, box.numbers, form="corner", size=box.size) for finding in findings]

    def _borrow(self, path: str, rows: list[dict[str, object]], excluded: list[tuple[str, str]]) -> None:
        """Take in a film of another release where the recipe asks for it; its name says what it shows."""
        folder = (*PurePosixPath(path).parts, "")[2]
        match = _BORROWED.match(PurePosixPath(path).stem)
        if folder not in self.extra:
            excluded.append((path, f"film of another release ({EXTRA.get(folder, 'imgs/extra')})"))
        elif match is None:
            excluded.append((path, "file name says neither normal nor tuberculosis"))
        else:
            value = POSITIVE if "1" in (match["digit"] or "") or (match["word"] or "").lower() == "p" else NEGATIVE
            rows.append({"path": path, "seen": f"copy of a film of {EXTRA[folder]}", "country": "", "tuberculosis": value})

    def _lists(self) -> _Lists:
        found = _Lists()
        for split, name in LISTS.items():
            packed, plain = self.root / "annotations" / "json" / f"{name}.json", self.root / "lists" / f"{name}.txt"
            if not packed.is_file() and not plain.is_file():
                found.absent.append(name)
                continue
            kinds, boxes = _boxes(packed) if packed.is_file() else (self._drawn(plain), [])
            found.boxes += boxes
            found.split |= dict.fromkeys(kinds, split)
            found.kinds |= kinds
        if not found.split:
            raise DataError(
                what="No list of boxes is there",
                where=f"Release '{self.name}', folders annotations/json and lists",
                remedy=f"Keep {' and '.join(LISTS.values())} where the release has them: the kind of tuberculosis stands in them alone",
            )
        return found

    def _drawn(self, path: Path) -> dict[str, set[str]]:
        """Kinds of boxes by file name, from a plain list and one XML file per film with boxes. The XML is searched, never parsed."""
        names = [line.strip().removeprefix("imgs/") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found: dict[str, set[str]] = {}
        for name in names:
            drawn = self.root / "annotations" / "xml" / f"{PurePosixPath(name).stem}.xml"
            text = drawn.read_bytes()[:_LONGEST].decode("utf-8", errors="replace") if drawn.is_file() else ""
            found[name] = set(_KIND.findall(text))
        return found

    def _notes(self, lists: _Lists, rows: Sequence[Mapping[str, object]]) -> list[str]:
        untyped = sum(row["active_tuberculosis"] != row["active_tuberculosis"] for row in rows if "active_tuberculosis" in row)
        notes = ["No patient ids: splits and intervals are by image"]
        notes += [
            f"Latent tuberculosis alone counts as {self.latent}",
            f"{untyped} films of tb have no box that tells the kind: {self.untyped}",
        ]
        notes += [f"The list {name} is not here: its films have no split and no kind" for name in lists.absent]
        notes += [f"imgs/extra/{folder} is taken in: never beside {EXTRA[folder]}" for folder in self.extra]
        return notes


def _boxes(path: Path) -> tuple[dict[str, set[str]], list[_Box]]:
    """Kinds of boxes by file name, and the boxes; a film without box has none. Kinds are found by name, whatever their number."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        kind = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        name = {entry["id"]: str(entry["file_name"]) for entry in content["images"]}
        size = {entry["id"]: (float(entry["height"]), float(entry["width"])) for entry in content["images"]}
        found: dict[str, set[str]] = {file: set() for file in name.values()}
        boxes = []
        for box in content["annotations"]:
            image, name_of_kind = box["image_id"], kind[box["category_id"]]
            found[name[image]].add(name_of_kind)
            x, y, width, height = box["bbox"]
            boxes.append(_Box(name[image], name_of_kind, (x, y, width, height), size[image]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            what=f"A list of boxes cannot be read ({type(error).__name__})", where=str(path), remedy="Use the list as published"
        ) from error
    return found, boxes
