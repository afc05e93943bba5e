# SPDX-License-Identifier: Apache-2.0
"""A folder of Pascal VOC files as a label table: one row per object, so that an image has a finding where an object bears its name."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from medsetu.core.errors import ConfigError
from medsetu.reader.voc import read_voc
from medsetu.release.base import by_stem, ending, image_files
from medsetu.release.table_cell import ANY_OTHER

OBJECT = "object"
BOXES = (".xml",)
UNLISTED = "unlisted"


def box_rows(folder: Path, *, root: Path, release: str, every: bool) -> pd.DataFrame:
    """List the objects of every file of boxes, by the image that bears the same name.

    Args:
        folder: Folder of the XML files, searched with its subfolders.
        root: Folder of the images.
        release: Name of the release, for messages.
        every: Whether images without a file get a row without object too.

    Returns:
        Text columns ``image`` (path below root; the bare name where there is no such image) and ``object`` (empty for an image on which
        nothing is drawn).

    Raises:
        DataError: A file is not well-formed VOC, or two images or two files have one name.
    """
    images = by_stem(image_files(root), release=release)
    drawn = by_stem(image_files(folder, suffixes=BOXES), release=release)
    rows = []
    for stem, file in drawn.items():
        shapes = read_voc((folder / file).read_bytes(), sample_id=f"{release}/{file}").shapes
        rows += [(images.get(stem, stem), name) for name in (dict.fromkeys(shape.finding for shape in shapes) or [""])]
    rows += [(path, "") for stem, path in images.items() if stem not in drawn] if every else []
    return pd.DataFrame(rows, columns=["image", OBJECT], dtype=str)


def box_rule(spec: Any) -> dict[str, Any]:  # noqa: ANN401 - a name, a list of names, or a mapping from YAML
    """Write the objects that make a finding the long way, as a rule on the column of objects: any other object is not it.

    Args:
        spec: Name of an object, names of objects, or lists ``positive`` and ``unknown``.

    Returns:
        A rule as ``medsetu.release.table_cell.rule_of`` takes it.

    Raises:
        ConfigError: It is none of them.

    Example:
        >>> box_rule("TB")
        {'column': 'object', 'positive': ['TB'], 'negative': ['*', '']}
    """
    lists = spec if isinstance(spec, Mapping) else {"positive": [spec] if isinstance(spec, str) else spec}
    named = lists.get("positive")
    if set(lists) - {"positive", "unknown"} or not named or isinstance(named, str) or not isinstance(named, Sequence):
        raise ConfigError(
            what="A finding does not name its objects",
            where="Key finding_columns",
            remedy="Write finding: <object>, finding: [<object>, <object>], or finding: {positive: [...], unknown: [...]}",
        )
    return {"column": OBJECT, **{key: list(names) for key, names in lists.items()}, "negative": [ANY_OTHER, ""]}


def fold_objects(rows: pd.DataFrame, *, findings: Sequence[str]) -> pd.DataFrame:
    """Join the rows of an image: a finding is there where one of its objects is, and unknown where only an unclear one is.

    Args:
        rows: One row per image and object, with ``path`` and findings.
        findings: Finding columns.

    Returns:
        One row per path, its other facts as on its first row.

    Example:
        >>> fold_objects(pd.DataFrame({"path": ["a", "a"], "mass": [0.0, 1.0]}), findings=["mass"]).values.tolist()
        [['a', 1.0]]
    """
    folded = rows.drop_duplicates("path").set_index("path")
    by_path = rows.groupby("path", sort=False)
    for finding in findings:
        unclear = rows[finding].isna().groupby(rows["path"], sort=False).any()
        top = by_path[finding].max()
        folded[finding] = top.where((top == 1) | ~unclear)
    return folded.reset_index()[list(rows.columns)]


def is_box_folder(path: Path) -> bool:
    """Tell whether a path is a folder with files of boxes in it.

    Example:
        >>> is_box_folder(Path("labels.csv"))
        False
    """
    return path.is_dir() and any(ending(PurePosixPath(file.name).as_posix()) in BOXES for file in path.rglob("*.xml"))
