# SPDX-License-Identifier: Apache-2.0
"""Folders in BIDS layout (bids-specification.readthedocs.io): images by their entities, people by ``participants.tsv``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medsetu.core.errors import DataError
from medsetu.reader.annotation import parse_json
from medsetu.reader.guard import Unreadable, guarded
from medsetu.reader.sheet import read_sheet

TABLE = "participants.tsv"
NOT_AVAILABLE = "n/a"
_ENTITY = re.compile(r"^([a-zA-Z]+)-([a-zA-Z0-9+]+)$")
_ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class BidsImage:
    """One image.

    Attributes:
        path: Relative path.
        subject: Label after ``sub-``.
        session: Label after ``ses-``; empty where there are no sessions.
        entities: All of them, in order: ``(("sub", "01"), ("run", "2"))``.
        suffix: ``T1w``, ``FLAIR``, ``bold``.
    """

    path: str
    subject: str
    session: str
    entities: tuple[tuple[str, str], ...]
    suffix: str


def parse_name(path: str) -> BidsImage | None:
    """Read the entities of a file name.

    Args:
        path: Relative path with forward slashes.

    Returns:
        The image, or None when the name is not of BIDS, or folder and name speak of two subjects or sessions.

    Example:
        >>> found = parse_name("sub-01/ses-A/anat/sub-01_ses-A_run-2_T1w.nii.gz")
        >>> found.subject, found.session, found.suffix, dict(found.entities)["run"]
        ('01', 'A', 'T1w', '2')
        >>> parse_name("sub-01/anat/sub-02_T1w.nii.gz") is None
        True
    """
    name = PurePosixPath(path).name
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), "")
    *parts, suffix = name.removesuffix(ending).split("_")
    matches = [_ENTITY.match(part) for part in parts]
    if not ending or not matches or not all(matches):
        return None
    entities = tuple((match[1], match[2]) for match in matches if match)
    known = dict(entities)
    folders = {match[1]: match[2] for part in PurePosixPath(path).parts[:-1] if (match := _ENTITY.match(part))}
    if "sub" not in known or any(folders.get(key, known.get(key)) != known.get(key) for key in ("sub", "ses")):
        return None
    return BidsImage(path, known["sub"], known.get("ses", ""), entities, suffix)


def find_images(paths: Iterable[str], *, suffix: str) -> tuple[list[BidsImage], list[tuple[str, str]]]:
    """Choose one image per subject and session.

    Args:
        paths: Relative paths; those below ``derivatives`` and ``sourcedata`` are not looked at.
        suffix: ``T1w`` and the like.

    Returns:
        The images, the first of each session by its name, and pairs of path and reason for others of that suffix and for strange names.

    Example:
        >>> names = ["sub-1/anat/sub-1_run-1_T1w.nii", "sub-1/anat/sub-1_run-2_T1w.nii", "sub-1/anat/sub-1_T2w.nii", "notes.nii"]
        >>> found, left = find_images(names, suffix="T1w")
        >>> [image.path for image in found], [reason for _, reason in left]
        (['sub-1/anat/sub-1_run-1_T1w.nii'], ['another run of its session', 'no name of BIDS'])
    """
    chosen: dict[tuple[str, str], BidsImage] = {}
    left: list[tuple[str, str]] = []
    for path in sorted(paths, key=lambda path: (not path.startswith("sub-"), path)):
        if PurePosixPath(path).parts[0] in ("derivatives", "sourcedata") or not path.endswith(_ENDINGS):
            continue
        image = parse_name(path)
        if image is None:
            left.append((path, "no name of BIDS"))
        elif image.suffix == suffix and chosen.setdefault((image.subject, image.session), image) is not image:
            left.append((path, "another run of its session"))
    return list(chosen.values()), left


def read_participants(root: Path, *, columns: Iterable[str], optional: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """Read ``participants.tsv``.

    Args:
        root: Folder of the set.
        columns: That must be there, besides ``participant_id``.
        optional: That may be there.

    Returns:
        Cells by subject, without ``sub-``; ``n/a`` is empty.

    Raises:
        DataError: The table or a column is missing, or a subject has two rows.
    """
    path = root / TABLE
    rows = read_sheet(path, columns=["participant_id", *columns], optional=[*optional], separator="\t")
    found = {
        row["participant_id"].removeprefix("sub-"): {name: "" if cell.lower() == NOT_AVAILABLE else cell for name, cell in row.items()}
        for row in rows
    }
    if len(found) < len(rows):
        raise DataError(what="A participant has two rows", where=str(path), remedy="Keep one row per participant")
    return found


@guarded("BIDS sidecar")
def read_device(image: Path, *, sample_id: str = "") -> str:
    """Read manufacturer and model from the JSON beside an image.

    Args:
        image: The image.
        sample_id: Named in errors.

    Returns:
        Both in lower case; empty when there is no JSON, or it does not say.

    Raises:
        DataError: The JSON is broken.
    """
    del sample_id  # used by the guard
    name = next((image.name.removesuffix(ending) for ending in _ENDINGS if image.name.endswith(ending)), image.stem)
    path = image.with_name(f"{name}.json")
    if not path.is_file():
        return ""
    content = parse_json(path.read_bytes())
    if not isinstance(content, dict):
        raise Unreadable(expected="a JSON object", found="something else")
    told = (str(content.get(key, "")) for key in ("Manufacturer", "ManufacturersModelName"))
    return " ".join(re.findall(r"\w+", " ".join(told).lower()))
