# SPDX-License-Identifier: Apache-2.0
"""OASIS-1, MRI of the brain across the adult life, in BIDS layout (Marcus et al., J Cogn Neurosci 2007;19(9):1498-1507)."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.core.sample import age_in_years, pseudonym, sex_letter
from medsetu.reader.bids import TABLE, find_images, read_device, read_participants
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_file

_RATINGS = {"": UNKNOWN, "0": NEGATIVE, "0.0": NEGATIVE, "0.5": POSITIVE, "1": POSITIVE, "1.0": POSITIVE, "2": POSITIVE, "2.0": POSITIVE}


@dataclass(frozen=True)
class Oasis1:
    """OASIS-1 converted to BIDS: ``participants.tsv`` and ``sub-<label>/[ses-<label>/]anat/sub-<label>_..._T1w.nii.gz``.

    Attributes:
        root: Folder that holds ``participants.tsv``.
        rating: Column of the clinical dementia rating.
        name: Name of the release in tables.
    """

    root: Path
    rating: str = "cdr"
    name: str = "oasis1"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Dementia: a clinical rating (CDR) of 0.5 or more; 0 is none, and blank, as of most young people, is unknown."""
        return ("dementia",)

    def index(self) -> ReleaseIndex:
        """Join participants and images by the subject, which is the patient: some were scanned twice.

        Returns:
            The index, one T1-weighted volume per session; further runs, and who stands alone, are listed as excluded.

        Raises:
            DataError: Table or column is missing, a subject has two rows, or a rating is none of the scale.
        """
        require_file(self.root / TABLE, release=self.name)
        people = read_participants(self.root, columns=[self.rating], optional=["sex", "age"])
        images, excluded = find_images(image_files(self.root, suffixes=(".nii", ".nii.gz")), suffix="T1w")
        excluded += [(image.path, "image without row") for image in images if image.subject not in people]
        excluded += [(f"sub-{subject}", "row without image") for subject in sorted(people.keys() - {image.subject for image in images})]
        rows = [
            {
                "path": image.path,
                "patient_id": pseudonym(self.name, image.subject),
                "study_id": pseudonym(self.name, f"{image.subject}/{image.session}"),
                "sex": sex_letter(people[image.subject]["sex"]),
                "age_years": age_in_years(people[image.subject]["age"].removesuffix(".0")),
                "device": read_device(self.root / image.path, sample_id=f"{self.name}/{image.path}"),
                "dementia": self._dementia(people[image.subject][self.rating]),
            }
            for image in images
            if image.subject in people
        ]
        twice = pd.Series([row["patient_id"] for row in rows], dtype=str).duplicated().sum()
        blank = sum(person[self.rating] == "" for person in people.values())
        return finish_index(
            pd.DataFrame(rows, columns=["path", "patient_id", "study_id", "sex", "age_years", "device", "dementia"]).assign(
                country="USA", modality="MR", site="Washington University"
            ),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[f"{blank} participants have no rating: unknown, not healthy", f"{int(twice)} volumes are second scans of a person"],
        )

    def _dementia(self, cell: str) -> float:
        if cell not in _RATINGS:
            where = f"Release '{self.name}', {TABLE}"
            raise DataError(what="A dementia rating is none of 0, 0.5, 1 and 2", where=where, remedy="Use the table as published")
        return _RATINGS[cell]
