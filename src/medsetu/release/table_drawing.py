# SPDX-License-Identifier: Apache-2.0
"""Drawings of one's own: a table of boxes, folders of masks, or the Pascal VOC files that are the labels already."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import finding_name
from medsetu.reader.annotation import FORMS
from medsetu.reader.sheet import read_sheet
from medsetu.reader.voc import read_voc
from medsetu.release.base import by_stem, image_files, require_file, require_folder
from medsetu.release.drawing import Row, drawn_box, drawn_mask
from medsetu.release.table_boxes import BOXES
from medsetu.release.table_cell import require_known, word_of
from medsetu.release.table_path import image_paths

KEYS = ("file", "form", "image", "box", "finding", "reader", "names", "suffix")
MASKS = (".png", ".tif", ".tiff", ".bmp", ".dcm")


def check_masks(masks: Any, *, where: str) -> dict[str, str]:  # noqa: ANN401 - from YAML
    """Refuse a description of masks that cannot be meant.

    Args:
        masks: As ``stored_masks`` takes it; empty or None for none.
        where: For messages.

    Returns:
        The same.

    Raises:
        ConfigError: It is no mapping of findings to folders.
    """
    if masks and not (isinstance(masks, Mapping) and all(isinstance(folder, str) and folder for folder in masks.values())):
        raise ConfigError(
            what="Masks are not described", where=f"{where}, key masks", remedy="Write masks: {<finding>: <folder below root>, ...}"
        )
    return {str(finding): folder for finding, folder in (masks or {}).items()}


def check_boxes(boxes: Any, *, where: str) -> dict[str, Any]:  # noqa: ANN401 - from YAML
    """Refuse a description of boxes that cannot be meant.

    Args:
        boxes: As ``listed_boxes`` takes it; empty or None for none.
        where: For messages.

    Returns:
        The same.

    Raises:
        ConfigError: A key or a form is unknown, or image, file or the four columns of the box are not named.
    """
    if not boxes:
        return {}
    if not isinstance(boxes, Mapping):
        raise ConfigError(what="Boxes are not described", where=f"{where}, key boxes", remedy="Write boxes: {file: boxes.csv, ...}")
    require_known(boxes, KEYS, where=f"{where}, key boxes")
    require_known([boxes.get("form", "edges")], FORMS, where=f"{where}, key boxes.form")
    edges, names = boxes.get("box"), boxes.get("names") or {}
    four = isinstance(edges, Sequence) and not isinstance(edges, str) and len(edges) == 4
    if not four or not isinstance(names, Mapping) or not all(boxes.get(key) for key in ("file", "image", "finding")):
        raise ConfigError(
            what="Boxes are not described",
            where=f"{where}, key boxes",
            remedy="Write boxes: {file: boxes.csv, image: <column>, box: [<four columns>], finding: <column>}",
        )
    return dict(boxes)


def listed_boxes(boxes: Mapping[str, Any], *, root: Path, release: str, prefix: str = "") -> list[Row]:
    """Read boxes from a table, one row per box; a row without numbers draws nothing.

    Args:
        boxes: ``file`` (as given, or below root), ``image``, ``finding`` and, where there is one, ``reader``: columns; ``box``: four
            columns; ``form``: one of ``reader.annotation.FORMS``; ``names``: word of the column to a finding; ``suffix``: ending to add to
            each image name.
        root: Folder of the images.
        release: Name of the release, for messages.
        prefix: Beginning of the image names to leave out.

    Returns:
        Rows for ``finish_index``.

    Raises:
        DataError: The table is missing, cannot be read, or has not these columns, or a name leads out of the root.
    """
    path = Path(str(boxes["file"]))
    path = require_file(path if path.is_file() else root / path, release=release)
    edges, reader = [str(name) for name in boxes["box"]], boxes.get("reader")
    names = {str(word): str(finding) for word, finding in dict(boxes.get("names") or {}).items()}
    rows = read_sheet(path, columns=[str(boxes["image"]), *edges, str(boxes["finding"]), *([str(reader)] if reader else [])])
    rows = [row for row in rows if any(row[edge] for edge in edges)]
    names_of = pd.Series([row[str(boxes["image"])] for row in rows], dtype=str)
    where = f"Release '{release}', column '{boxes['image']}' of the boxes"
    paths = image_paths(names_of, root=root, prefix=prefix, suffix=str(boxes.get("suffix", "")), where=where)
    return [
        drawn_box(
            path,
            names.get(row[str(boxes["finding"])], finding_name(row[str(boxes["finding"])])),
            [row[edge] for edge in edges],
            form=str(boxes.get("form", "edges")),
            reader=row[str(reader)] if reader else "",
        )
        for path, row in zip(paths, rows, strict=True)
    ]


def stored_masks(masks: Mapping[str, str], *, root: Path, images: Collection[str], release: str) -> list[Row]:
    """Find the masks of each finding by the name of their image.

    Args:
        masks: Finding to the folder of its masks below root.
        root: Folder of the images.
        images: Paths of the samples.
        release: Name of the release, for messages.

    Returns:
        Rows for ``finish_index``; masks of no image bear its place, and are counted there.

    Raises:
        DataError: A folder is missing or leaves the root, or two images have one name.
    """
    known = by_stem(images, release=release)
    drawn: list[Row] = []
    for finding, folder in masks.items():
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise DataError(what="A folder of masks leaves the root", where=f"Release '{release}'", remedy="Move the masks below root")
        require_folder(root / folder, release=release)
        for file in image_files(root, below=folder, suffixes=MASKS):
            drawn.append(drawn_mask(known.get(PurePosixPath(file).stem, ""), finding, file))
    return drawn


def object_boxes(folder: Path, rules: Mapping[str, Mapping[str, Any]], *, images: Collection[str], release: str) -> list[Row]:
    """Take the boxes of Pascal VOC files for each finding that their object makes.

    Args:
        folder: Folder of the XML files.
        rules: Finding to a rule as ``table_boxes.box_rule`` writes it.
        images: Paths of the samples.
        release: Name of the release, for messages.

    Returns:
        Rows for ``finish_index``.

    Raises:
        DataError: A file is not well-formed VOC, or two images or files have one name.
    """
    known = by_stem(images, release=release)
    drawn: list[Row] = []
    for stem, file in by_stem(image_files(folder, suffixes=BOXES), release=release).items():
        if stem in known:
            found = read_voc((folder / file).read_bytes(), sample_id=f"{release}/{file}")
            size = (float(found.height), float(found.width))
            for shape in found.shapes:
                named = [finding for finding, rule in rules.items() if word_of(shape.finding) in rule["positive"]]
                drawn += [drawn_box(known[stem], finding, shape.box, size=size) for finding in named]
    return drawn
