# SPDX-License-Identifier: Apache-2.0
"""What readers drew on the films of a manifest: every drawing placed on its film or refused with a reason, and one region per finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.run import content_key
from medsetu.core.worker import cores, run_batches
from medsetu.manifest.region import Mask, fuse_masks, grid_shape, on_grid, overlap
from medsetu.manifest.vote import reader_pseudonym
from medsetu.reader.drawn import MASK as STORED
from medsetu.reader.drawn import Drawn, place
from medsetu.reader.frame import Edges
from medsetu.reader.rle import encode_text
from medsetu.reader.sample import sample_state

SCHEMA: Final = 1  # raise it whenever a change alters the tables
BOX, MASK = "box", "mask"
CRASHED: Final = "the decoder crashed on this drawing"
DRAWING_COLUMNS: Final = {
    "sample_id": "str",
    "release": "str",
    "finding": "str",
    "reader": "str",  # pseudonym; "" when the release does not say
    "form": "str",  # box or mask
    "top": "float64",  # edges in pixels of the decoded image: the first row is 0 to 1
    "left": "float64",
    "bottom": "float64",
    "right": "float64",
    "area_share": "float64",  # of the image, in (0, 1]
    "height": "int64",  # of the decoded image
    "width": "int64",
    "kind": "str",  # how the release keeps it, see reader.drawn
    "content": "str",  # run lengths, points, or the path of a mask below the root
    "note": "str",  # what was done to fit it on the image; "" for nothing
}
REGION_COLUMNS: Final = {
    "sample_id": "str",
    "release": "str",
    "finding": "str",
    "rule": "str",  # how several readers' drawings became one; "" for one reader
    "n_readers": "int64",  # who read this film for this finding
    "n_drew": "int64",  # of them
    "iou": "float64",  # mean over pairs who both drew
    "dice": "float64",
    "dice_all": "float64",  # mean over pairs of whom one drew, 0 where the other did not
    "area_share": "float64",  # of the region, in [0, 1]; 0 where the rule left nothing
    "grid_height": "int64",
    "grid_width": "int64",
    "runs": "str",  # COCO's compressed run lengths of the region on the grid
}
PROBLEM_COLUMNS: Final = ("sample_id", "finding", "problem")
_TEXT = pd.StringDtype(na_value=float("nan"))


@dataclass(frozen=True)
class Mark:
    """One drawing of one reader.

    Attributes:
        finding: What it speaks for.
        reader: Pseudonym, or empty.
        drawn: The drawing, not opened yet.
    """

    finding: str
    reader: str
    drawn: Drawn


@dataclass(frozen=True)
class Film:
    """A film with all that was drawn on it.

    Attributes:
        sample_id: Its sample.
        release: Its release.
        root: Folder of the release.
        height: Rows as decoded.
        width: Columns.
        marks: The drawings.
        readers: Finding to those who read the film for it, where votes tell; who drew counts in any case.
        rule: How several readers' drawings become one.
    """

    sample_id: str
    release: str
    root: Path
    height: int
    width: int
    marks: tuple[Mark, ...]
    readers: Mapping[str, frozenset[str]]
    rule: str


@dataclass
class Placed:
    """What one film gave: rows of the three tables."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    regions: list[tuple[Any, ...]] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Drawings:
    """What was drawn on the films of a manifest.

    Attributes:
        table: One row per drawing that lies on its film, ``DRAWING_COLUMNS``.
        regions: One row per film and finding, ``REGION_COLUMNS``.
        problems: Drawings that were left out, with the reason, ``PROBLEM_COLUMNS``.
        key: Of all that decided them.
    """

    table: pd.DataFrame
    regions: pd.DataFrame
    problems: pd.DataFrame
    key: str = ""


def films_of(drawn: pd.DataFrame, manifest: pd.DataFrame, *, votes: pd.DataFrame, rule: str) -> list[Film]:
    """Gather the drawings of each film that is in the manifest.

    Args:
        drawn: ``release.drawing.DRAWN_COLUMNS`` of all releases.
        manifest: Samples with release, root, height and width.
        votes: What each reader said; who read a film and drew nothing is known from them. Those of ``only_voted`` are no such readers.
        rule: One of ``manifest.region.REGION_RULES``.

    Returns:
        One entry per film with drawings, in the order of the manifest.
    """
    facts = manifest[["sample_id", "release", "root", "height", "width"]]
    there = drawn[drawn["sample_id"].isin(facts["sample_id"])]
    release = dict(zip(facts["sample_id"], facts["release"], strict=True))
    said = votes[votes["sample_id"].isin(there["sample_id"]) & ~votes["reader"].isin(only_voted(drawn, votes)["reader"])]
    readers: dict[str, dict[str, frozenset[str]]] = {}
    for (sample, finding), rows in said.groupby(["sample_id", "finding"])["reader"]:
        readers.setdefault(str(sample), {})[str(finding)] = frozenset(rows)
    marks: dict[str, list[Mark]] = {}
    for row in there.itertuples(index=False):
        marks.setdefault(str(row.sample_id), []).append(_mark(row, release[str(row.sample_id)]))
    listed = facts[facts["sample_id"].isin(marks)].itertuples(index=False, name=None)
    return [
        Film(sample, name, Path(root), int(height), int(width), tuple(marks[sample]), readers.get(sample, {}), rule)
        for sample, name, root, height, width in listed
    ]


def only_voted(drawn: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """Find readers who were not asked to draw: they call findings present, and drew nothing on any film of a release on which others drew.

    Counted as readers who saw nothing, they would outvote every drawing.

    Args:
        drawn: ``release.drawing.DRAWN_COLUMNS`` of all releases.
        votes: What each reader said.

    Returns:
        ``release, reader`` (a pseudonym), a row each.

    Example:
        >>> drawn = pd.DataFrame({"sample_id": ["a/1"], "reader": ["Dr X"]})
        >>> votes = pd.DataFrame({"release": "a", "reader": [reader_pseudonym("a", "Dr X"), "r2", "r3"], "vote": [1.0, 1.0, 0.0]})
        >>> only_voted(drawn, votes)["reader"].tolist()
        ['r2']
    """
    release = [str(sample).partition("/")[0] for sample in drawn["sample_id"]]
    hands = pd.DataFrame({"release": release, "reader": drawn["reader"]}).drop_duplicates()
    drew = {reader_pseudonym(name, reader) for name, reader in zip(hands["release"], hands["reader"], strict=True) if reader}
    present = votes[(votes["vote"] == 1) & votes["release"].isin(set(release)) & ~votes["reader"].isin(drew)]
    return present[["release", "reader"]].drop_duplicates(ignore_index=True)


def _mark(row: Any, release: str) -> Mark:  # noqa: ANN401 - a row of a data frame
    box = (row.x_min, row.y_min, row.x_max, row.y_max)
    reader = reader_pseudonym(release, row.reader) if row.reader else ""
    return Mark(row.finding, reader, Drawn(row.kind, box, row.content, row.height, row.width))


def drawing_notes(drawn: pd.DataFrame, *, rule: str) -> list[str]:
    """Say by which rule the drawings of several readers become one region, a sentence per release in which readers are told apart.

    Args:
        drawn: ``release.drawing.DRAWN_COLUMNS`` of all releases.
        rule: One of ``manifest.region.REGION_RULES``.

    Returns:
        Sentences for the notes of the manifest.

    Example:
        >>> rows = pd.DataFrame({"sample_id": ["vindr/a", "vindr/a", "b/1"], "reader": ["R8", "R9", ""]})
        >>> drawing_notes(rows, rule="staple")
        ['vindr: drawings of several readers on one film became one region by staple, pixel by pixel']
    """
    named = drawn[drawn["reader"] != ""]
    releases = sorted({str(sample).partition("/")[0] for sample in named["sample_id"]})
    return [f"{release}: drawings of several readers on one film became one region by {rule}, pixel by pixel" for release in releases]


def place_films(films: list[Film]) -> list[Placed]:
    """Place the drawings of several films; the work of one process."""
    return [place_film(film) for film in films]


def place_film(film: Film) -> Placed:
    """Place all drawings of a film and make one region of each finding.

    Args:
        film: The film.

    Returns:
        Its rows of the three tables; a drawing that does not fit is a problem and takes part in nothing.
    """
    found = Placed()
    masks: dict[str, dict[str, Mask]] = {}
    for mark in film.marks:
        try:
            box, mask, note = place(mark.drawn, root=film.root, height=film.height, width=film.width, sample_id=film.sample_id)
        except DataError as error:
            found.problems.append((film.sample_id, mark.finding, error.what))
            continue
        found.rows.append(_row(film, mark, box, mask, note))
        small = on_grid(box, mask, height=film.height, width=film.width)
        own = masks.setdefault(mark.finding, {})
        own[mark.reader] = own[mark.reader] | small if mark.reader in own else small
    who_drew = frozenset(reader for own in masks.values() for reader in own)
    found.regions = [_region(film, finding, own, who_drew) for finding, own in masks.items()]
    return found


def _row(film: Film, mark: Mark, box: Edges, mask: Mask | None, note: str) -> tuple[Any, ...]:
    left, top, right, bottom = box
    share = float(mask.mean()) if mask is not None else (right - left) * (bottom - top) / (film.height * film.width)
    named = (film.sample_id, film.release, mark.finding, mark.reader, BOX if mask is None else MASK)
    return (*named, top, left, bottom, right, share, film.height, film.width, mark.drawn.kind, mark.drawn.content, note)


def _region(film: Film, finding: str, own: Mapping[str, Mask], who_drew: frozenset[str]) -> tuple[Any, ...]:
    """One region; where no votes tell who read, whoever drew anything on the film did. Drawings without a reader's name are no vote."""
    unnamed = set(own) == {""}  # of a consensus, or of nobody known: readers by name cannot outvote it
    readers = [""] if unnamed else sorted(film.readers.get(finding, who_drew - {""}) | set(own))
    rows, columns = grid_shape(film.height, film.width)
    masks = [own.get(reader, np.zeros((rows, columns), dtype=bool)) for reader in readers]
    region = fuse_masks(masks, rule=film.rule)
    several = len(masks) > 1
    named = (film.sample_id, film.release, finding, film.rule if several else "", len(masks), len(own))
    return (*named, *overlap(masks), float(region.mean()), rows, columns, encode_text(region))


def _lost(film: Film) -> Placed:
    return Placed(problems=[(film.sample_id, mark.finding, CRASHED) for mark in film.marks])


def measure(films: Sequence[Film], *, workers: int | None = None) -> Drawings:
    """Place all drawings.

    Args:
        films: What ``films_of`` gives.
        workers: Processes that open masks; None takes one per usable core where there are masks to open.

    Returns:
        The three tables, sorted by sample and finding.
    """
    stored = any(mark.drawn.content for film in films for mark in film.marks)
    found = Placed()
    for batch in run_batches(films, place_films, lost=_lost, workers=workers if workers is not None else cores() if stored else 1):
        for placed in batch:
            found.rows += placed.rows
            found.regions += placed.regions
            found.problems += placed.problems
    problems = pd.DataFrame(found.problems, columns=list(PROBLEM_COLUMNS), dtype=_TEXT)
    return Drawings(
        _table(found.rows, DRAWING_COLUMNS, by=["sample_id", "finding", "reader", "top", "left"]),
        _table(found.regions, REGION_COLUMNS, by=["sample_id", "finding"]),
        problems.sort_values([*PROBLEM_COLUMNS], ignore_index=True),
        key_of(films),
    )


def _table(rows: Sequence[tuple[Any, ...]], columns: Mapping[str, str], *, by: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(columns)).astype({name: _TEXT if kind == "str" else kind for name, kind in columns.items()})
    return table.sort_values(by, ignore_index=True, kind="stable")


def _state(path: Path) -> list[str | int]:
    try:
        return sample_state(path)
    except OSError:
        return []  # it is not there, and will be a problem


def key_of(films: Sequence[Film]) -> str:
    """Key of all that decides the tables: drawings, sizes of films, readers and the rule; masks in files by size and time of change.

    Example:
        >>> key_of([]) == key_of([])
        True
    """
    told = [
        [
            film.sample_id,
            film.height,
            film.width,
            film.rule,
            repr(film.marks),
            sorted((key, *sorted(who)) for key, who in film.readers.items()),
            [_state(film.root / mark.drawn.content) for mark in film.marks if mark.drawn.kind == STORED],
        ]
        for film in films
    ]
    return content_key([SCHEMA, told])
