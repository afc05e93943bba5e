# SPDX-License-Identifier: Apache-2.0
"""Digital Knee X-ray Images from Karnataka, India (Gornale and Patravali, doi:10.17632/t9ndx37v5h.1): graded by two experts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.run import sha256_file
from medsetu.core.vote import MAJORITY, fuse_votes
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder

READERS = ("MedicalExpert-I", "MedicalExpert-II")
LEAST_GRADE = {"osteoarthritis": 2, "moderate_osteoarthritis": 3}  # grade of Kellgren and Lawrence (Ann Rheum Dis 1957;16:494)
_GRADE = re.compile(r"^(?P<grade>[0-4])(?:Normal|Doubtful|Mild|Moderate|Severe)$", re.IGNORECASE)


@dataclass(frozen=True)
class KneeOaGornale:
    """The knees as downloaded: ``MedicalExpert-I/0Normal/NormalG0 (1).png`` to ``4Severe``, and the same pictures in ``MedicalExpert-II``.

    Attributes:
        root: Folder that holds both trees.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "knee_oa_gornale"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Osteoarthritis (grade 2 and more) and at least moderate osteoarthritis (grade 3 and more)."""
        return tuple(LEAST_GRADE)

    def index(self) -> ReleaseIndex:
        """Match the pictures of both trees by their bytes: names carry the grade, so one picture has two names.

        Where the experts are not on one side of a grade, the finding is NaN; both votes are kept.

        Returns:
            The index, without patients, with the votes as ``readings``. The second copy of a picture within a tree is listed as excluded;
            an expert who filed one picture under two grades has no vote on it.

        Raises:
            DataError: A tree is missing, or holds no graded picture.
        """
        path_of: dict[str, str] = {}
        excluded: list[tuple[str, str]] = []
        votes: list[dict[str, object]] = []
        for reader in READERS:
            grades, strangers = self._grades(reader)
            excluded += strangers
            for digest, copies in grades.items():
                path = path_of.setdefault(digest, next(iter(copies)))
                excluded += [(copy, "one expert filed it twice") for copy in list(copies)[1:]]
                values = set(copies.values())
                grade = float(values.pop()) if len(values) == 1 else float("nan")
                votes.append({"path": path, "reader": reader, **_findings(grade)})
        table = pd.DataFrame(votes, columns=["path", "reader", *self.findings])
        labels = fuse_votes(table, key="path", findings=self.findings, policy=MAJORITY).reset_index()
        single = int((table.groupby("path").size() < len(READERS)).sum())
        return finish_index(
            labels.assign(country="IND", modality="CR", device="protec prs 500e"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                "No patient ids: splits and intervals are by image",
                "A finding is unknown where the two experts disagree",
                *([f"{single} pictures were graded by one expert"] if single else []),
            ],
            readings=table,
        )

    def _grades(self, reader: str) -> tuple[Mapping[str, dict[str, int]], list[tuple[str, str]]]:
        """Grade by path, for each content of a file."""
        require_folder(self.root / reader, release=self.name)
        found: dict[str, dict[str, int]] = {}
        strangers: list[tuple[str, str]] = []
        for path in image_files(self.root, below=reader):
            match = _GRADE.match(PurePosixPath(path).parts[1])
            if match is None:
                strangers.append((path, "folder is no grade"))
            else:
                found.setdefault(sha256_file(self.root / path), {})[path] = int(match["grade"])
        return found, strangers


def _findings(grade: float) -> dict[str, float]:
    """Findings of a grade; NaN grade is NaN.

    Example:
        >>> _findings(2.0)
        {'osteoarthritis': 1.0, 'moderate_osteoarthritis': 0.0}
    """
    return {finding: float("nan") if grade != grade else float(grade >= least) for finding, least in LEAST_GRADE.items()}
