# SPDX-License-Identifier: Apache-2.0
"""NLM Montgomery County tuberculosis films (Jaeger et al., Quant Imaging Med Surg 2014;4:475-477)."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.sample import pseudonym
from medsetu.reader.note import NotedFilm, noted_films
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder
from medsetu.release.drawing import Row, drawn_mask

FOLDER = "MontgomerySet"
MASKS = {"left_lung": "leftMask", "right_lung": "rightMask"}
_NAME = re.compile(r"^MCUCXR_(?P<number>\d+)_(?P<label>[01])$", re.IGNORECASE)
_SAME = re.compile(r"same\s+p(?:atien)?t\s+as\s+MCUCXR_(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Montgomery:
    """The Montgomery films as downloaded: ``MontgomerySet/CXR_png/MCUCXR_0001_0.png`` and ``ClinicalReadings/MCUCXR_0001_0.txt``.

    Lung masks lie in ``MontgomerySet/ManualMask/{leftMask,rightMask}``; they may be absent.

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
        paths = image_files(self.root, below=f"{FOLDER}/CXR_png", suffixes=(".png",))
        films, excluded = noted_films(paths, notes=self.root / FOLDER / "ClinicalReadings", name=_NAME)
        frame = pd.DataFrame(films, columns=["path", "number", "tuberculosis", "sex", "age_years", "note"])
        frame["patient_id"] = [pseudonym(self.name, _patient(film)) for film in films]
        return finish_index(
            frame.assign(site="Montgomery County", country="USA", modality="CR"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=self._lungs(),
            notes=[
                "Some films lie on their side: 4020 x 4892 and 4892 x 4020",
                "TBX11K contains these films: use one of the two",
            ],
        )

    def _lungs(self) -> list[Row]:
        """Masks of the lungs, which bear the name of their film; the folder may be absent."""
        films = f"{FOLDER}/CXR_png"
        return [
            drawn_mask(f"{films}/{PurePosixPath(file).name}", lung, file)
            for lung, side in MASKS.items()
            for file in image_files(self.root, below=f"{FOLDER}/ManualMask/{side}", suffixes=(".png",))
        ]


def _patient(film: NotedFilm) -> str:
    """Number of the first film of the patient, where the note names it."""
    same = _SAME.search(film.note)
    return same[1] if same else film.number
