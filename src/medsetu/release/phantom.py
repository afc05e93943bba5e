# SPDX-License-Identifier: Apache-2.0
"""Release ``phantom``: the embedded default, a small cohort of drawn chest radiographs whose truth is known.

Two countries differ by known, separately adjustable shifts (``phantom_country.Country``). The folder is written on first use:

- ``images/<image_id>.dcm``: CR or DX films as DICOM, 12 bits of 16; sex, age, view and device stand in the header only;
- ``labels.csv``: what readers say: ``image_id, patient_id, study_id`` and one column per finding, with label noise;
- ``truth.csv`` and ``truth.json``: what is true of each film, and the knobs it was drawn with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from medsetu.core.sample import pseudonym
from medsetu.release.base import ReleaseIndex, finish_index, image_files
from medsetu.release.drawing import Row, drawn_share
from medsetu.release.phantom_country import FINDINGS, country
from medsetu.release.phantom_folder import LABELS, TRUTH, Cohort, ensure, film_path

COUNTRY_CODES = {"global": "XGL", "local": "XLO"}  # user-assigned by ISO 3166-1: no real country


@dataclass(frozen=True)
class Phantom:
    """A drawn cohort in a folder; written there on first use, never over anything else.

    Attributes:
        root: Folder of this phantom alone.
        country: ``global`` or ``local``.
        patients: Number of patients; each has one to four films, two on average.
        seed: Seed, 0 or above. Equal seeds of two countries are different people.
        size: Rows and columns of a film at pixel size 1.
        knobs: Knobs of ``Country`` to turn away from the preset, by name.
    """

    root: Path
    country: str = "global"
    patients: int = 160
    seed: int = 0
    size: int = 128
    knobs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an unknown country or knob before anything is written.

        Raises:
            ConfigError: A setting is unknown or out of range.
        """
        object.__setattr__(self, "root", Path(self.root))
        _ = self.cohort

    @property
    def name(self) -> str:
        """Short name of the release."""
        return "phantom"

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings that the label table names."""
        return FINDINGS

    @property
    def cohort(self) -> Cohort:
        """All that decides what lies in the folder."""
        knobs = country(self.country, self.knobs)
        return Cohort(population=self.country, country=knobs, patients=self.patients, seed=self.seed, size=self.size)

    def index(self) -> ReleaseIndex:
        """List the films, and write them first where the folder is missing.

        Returns:
            The index. Sex, age, view and device are left to the DICOM headers.

        Raises:
            DataError: Something else lies in the folder, or its tables were changed.
            ResourceError: The folder cannot be written.
        """
        ensure(self.root, self.cohort)
        labels = pd.read_csv(self.root / LABELS, dtype={"image_id": str, "patient_id": str, "study_id": str})
        present = set(image_files(self.root, below="images"))
        labels["path"] = [film_path(image_id) for image_id in labels["image_id"]]
        found = labels["path"].isin(present)
        excluded = [(path, "label row without image") for path in labels.loc[~found, "path"]]
        excluded += [(path, "image without label row") for path in present - set(labels["path"])]
        rows = labels[found]
        rows = rows.assign(
            patient_id=[pseudonym(self.name, text) for text in rows["patient_id"]],
            study_id=[pseudonym(self.name, text) for text in rows["study_id"]],
            site=f"phantom-{self.country}",
            country=COUNTRY_CODES[self.country],
        )
        note = "The films are drawn, not taken: nothing measured on them holds for patients"
        drawn = self._drawn()
        return finish_index(rows, release=self.name, root=self.root, findings=FINDINGS, excluded=excluded, notes=(note,), drawn=drawn)

    def _drawn(self) -> list[Row]:
        """Boxes around what was drawn, whatever the label says of it."""
        truth = pd.read_csv(self.root / TRUTH, keep_default_na=False, dtype=str)
        return [
            drawn_share(film_path(image), finding, (float(a), float(b), float(c), float(d)))
            for finding in FINDINGS
            for image, boxes in zip(truth["image_id"], truth[f"{finding}_boxes"], strict=True)
            for a, b, c, d in (box.split(" ") for box in boxes.split(";") if box)
        ]

    def truth(self) -> pd.DataFrame:
        """Read what is true of each film, written beside it.

        Returns:
            One row per film in the order of the label table: the columns of ``draw_cohort`` and ``draw_film``, and ``sha256``.
        """
        ensure(self.root, self.cohort)
        return pd.read_csv(self.root / TRUTH, keep_default_na=False)
