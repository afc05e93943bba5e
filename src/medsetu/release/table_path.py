# SPDX-License-Identifier: Apache-2.0
"""Names of images in any label table: where they lead below the folder of the images, and why they may lead nowhere."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.release.base import IMAGE_SUFFIXES, ending

_ABSOLUTE = re.compile(r"^/|^[A-Za-z]:")


def image_paths(names: pd.Series, *, root: Path, prefix: str, suffix: str, where: str) -> pd.Series:
    """Turn the names of a table into paths below a folder.

    Args:
        names: Text column; backslashes count as slashes, empty stays empty.
        root: Folder of the images; a name that begins with it is read from there.
        prefix: Beginning of the names to leave out.
        suffix: Ending to add.
        where: Release and column, for the message.

    Returns:
        Paths with forward slashes, relative to root.

    Raises:
        DataError: A name leads outside the folder.
    """
    beginnings = [text.replace("\\", "/").rstrip("/") + "/" for text in (prefix, root.as_posix(), root.resolve().as_posix()) if text]
    paths: pd.Series = names.map(lambda name: _path(name, beginnings, suffix))
    outside = paths.map(lambda path: bool(_ABSOLUTE.match(path)) or ".." in PurePosixPath(path).parts).astype(bool)
    if outside.any():
        first = int(outside.to_numpy().argmax()) + 1
        raise DataError(
            what=f"{int(outside.sum())} rows point outside the image folder, the first is row {first}",
            where=where,
            remedy="Write paths relative to root, make root the folder that holds all images, or let prefix be the beginning to leave out",
        )
    return paths


def _path(name: str, beginnings: Sequence[str], suffix: str) -> str:
    if not name:
        return ""
    text = name.replace("\\", "/")
    found = next((start for start in beginnings if text.startswith(start)), "")
    return PurePosixPath(text[len(found) :] + suffix).as_posix()


def lookup(files: set[str]) -> Callable[[str], bool]:
    """Tell whether a path is a file, the folder of a series, or a member below a file.

    Example:
        >>> there = lookup({"a/1.dcm", "b.nii"})
        >>> [there(path) for path in ("a", "b.nii/3", "a/2.dcm")]
        [True, True, False]
    """
    folders = {parent.as_posix() for file in files for parent in PurePosixPath(file).parents} - {"."}

    def is_there(path: str) -> bool:
        return path in files or path in folders or any(parent.as_posix() in files for parent in PurePosixPath(path).parents)

    return is_there


def usage(used: set[str]) -> Callable[[str], bool]:
    """Tell whether a row names a file, a folder that holds it, or one of its members.

    Example:
        >>> is_used = usage({"a", "b.nii/3"})
        >>> [is_used(file) for file in ("a/1.dcm", "b.nii", "c.png")]
        [True, True, False]
    """
    above = {parent.as_posix() for path in used for parent in PurePosixPath(path).parents}

    def is_used(file: str) -> bool:
        return file in used or file in above or any(parent.as_posix() in used for parent in PurePosixPath(file).parents)

    return is_used


def advice(absent: Iterable[str], orphans: Sequence[str]) -> str:
    """Say what would make names of a table lead to images; only files of the folder are named, never cells of the table.

    Args:
        absent: Paths that lead nowhere.
        orphans: Images that no row names.

    Returns:
        A sentence without full stop; empty when nothing known would help.

    Example:
        >>> advice(["7", "8"], ["7.png", "8.png"])
        "With suffix '.png' 2 of them would have an image"
        >>> advice(["7.png"], ["films/7.png"])
        "With root set to its folder 'films' 1 of them would have an image"
        >>> advice(["7.png"], ["0007.png"])
        '1 of them lack leading zeros, which spreadsheets drop: keep the column as text'
    """
    names, files = [path for path in absent if path], set(orphans)
    for suffix in sorted({ending(file) for file in files} & set(IMAGE_SUFFIXES)):
        if count := sum(name + suffix in files for name in names):
            return f"With suffix '{suffix}' {count} of them would have an image"
    by_name: dict[str, list[PurePosixPath]] = {}
    for file in files:
        by_name.setdefault(_key(file), []).append(PurePosixPath(file))
    pairs = [(PurePosixPath(name), by_name[_key(name)]) for name in names if _key(name) in by_name]
    return _of_pairs(pairs) if pairs else _of_numbers(names, files)


def _key(path: str) -> str:
    """Name of a file without folder, ending and capitals."""
    return PurePosixPath(path).name.lower().removesuffix(ending(path))


def _of_pairs(pairs: Sequence[tuple[PurePosixPath, list[PurePosixPath]]]) -> str:
    folders = Counter(found.parent.as_posix() for name, several in pairs for found in several if found.name == name.name)
    if folders and folders.most_common(1)[0][0] == ".":
        return f"{len(pairs)} of them name folders that are not there: leave them out with prefix"
    if len(folders) == 1:
        (folder,) = folders
        return f"With root set to its folder '{folder}' {len(pairs)} of them would have an image"
    if folders:
        return f"{len(pairs)} of them are names of files that lie in {len(folders)} folders: write the folder before the name"
    return f"{len(pairs)} of them differ from a file in folder, ending or capital letters alone"


def _of_numbers(names: Sequence[str], files: Iterable[str]) -> str:
    bare = {_key(file).lstrip("0") for file in files}
    count = sum(_key(name).isdigit() and _key(name) in bare for name in names)
    return f"{count} of them lack leading zeros, which spreadsheets drop: keep the column as text" if count else ""
