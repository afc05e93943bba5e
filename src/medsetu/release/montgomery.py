# SPDX-License-Identifier: Apache-2.0
"""NLM Montgomery County tuberculosis films (Jaeger et al., Quant Imaging Med Surg 2014;4:475-477)."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.sample import pseudonym
from medsetu.reader.note import LABEL_OF_SUFFIX, read_reading
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder

FOLDER = "MontgomerySet"
_NAME = re.compile(r"^MCUCXR_(?P<number>\d+)_(?P<label>[01])$", re.IGNORECASE)
_SAME = re.compile(r"same\s+p(?:atien)?t\s+as\s+MCUCXR_(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Montgomery:
    """The Montgomery films as downloaded: ``MontgomerySet/CXR_png/MCUCXR_0001_0.png`` and ``ClinicalReadings/MCUCXR_0001_0.txt``.

    Attributes:
        root: Folder that holds ``MontgomerySet``.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "montgomery"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Tuberculosis, by the last digit of the file name."""
        return ("tuberculosis",)

    def index(self) -> ReleaseIndex:
        """List the films; one film is one patient unless its reading says "same pt as" another film.

        Returns:
            The index; files with other names are listed as excluded.

        Raises:
            DataError: The folder is missing, or no file has the name of a film.
        """
        require_folder(self.root / FOLDER / "CXR_png", release=self.name)
        rows, excluded = [], []
        for path in image_files(self.root, below=f"{FOLDER}/CXR_png", suffixes=(".png",)):
            match = _NAME.match(PurePosixPath(path).stem)
            if match is None:
                excluded.append((path, "file name says neither normal nor tuberculosis"))
                continue
            reading = self.root / FOLDER / "ClinicalReadings" / f"{PurePosixPath(path).stem}.txt"
            sex, age = read_reading(reading)
            patient = pseudonym(self.name, self._patient(reading, match["number"]))
            rows.append((path, patient, sex, age, LABEL_OF_SUFFIX[match["label"]]))
        frame = pd.DataFrame(rows, columns=["path", "patient_id", "sex", "age_years", "tuberculosis"])
        return finish_index(
            frame.assign(site="Montgomery County", country="USA", modality="CR"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                "Some films lie on their side: 4020 x 4892 and 4892 x 4020",
                "TBX11K contains these films: use one of the two",
            ],
        )

    @staticmethod
    def _patient(reading: Path, number: str) -> str:
        same = _SAME.search(reading.read_text(encoding="utf-8", errors="replace")) if reading.is_file() else None
        return same[1] if same else number
