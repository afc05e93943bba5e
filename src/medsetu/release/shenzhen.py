# SPDX-License-Identifier: Apache-2.0
"""NLM Shenzhen tuberculosis films (Jaeger et al., Quant Imaging Med Surg 2014;4:475-477)."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.sample import pseudonym
from medsetu.reader.note import noted_films
from medsetu.release.base import ReleaseIndex, finish_index, image_files, require_folder
from medsetu.release.drawing import Row, drawn_mask

FOLDER, MASKS, ENDING = "ChinaSet_AllFiles", "mask", "_mask"
_NAME = re.compile(r"^CHNCXR_(?P<number>\d+)_(?P<label>[01])$", re.IGNORECASE)


@dataclass(frozen=True)
class Shenzhen:
    """The Shenzhen films as downloaded: ``ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png`` and ``ClinicalReadings/CHNCXR_0001_0.txt``.

    Lung masks (``mask/CHNCXR_0001_0_mask.png``), a release of their own, are read where they lie beside the films.

    Attributes:
        root: Folder that holds ``ChinaSet_AllFiles``.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "shenzhen"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Tuberculosis, by the last digit of the file name."""
        return ("tuberculosis",)

    def index(self) -> ReleaseIndex:
        """List the films; one film is one patient, as the release says. Sex and age come from the readings, unknown where there is none.

        Returns:
            The index; files with other names are listed as excluded.

        Raises:
            DataError: The folder is missing, or no file has the name of a film.
        """
        require_folder(self.root / FOLDER / "CXR_png", release=self.name)
        paths = image_files(self.root, below=f"{FOLDER}/CXR_png", suffixes=(".png",))
        films, excluded = noted_films(paths, notes=self.root / FOLDER / "ClinicalReadings", name=_NAME)
        frame = pd.DataFrame(films, columns=["path", "number", "tuberculosis", "sex", "age_years", "note"])
        frame["patient_id"] = [pseudonym(self.name, number) for number in frame["number"]]
        return finish_index(
            frame.assign(site="Shenzhen No. 3 People's Hospital", country="CHN", modality="CR", view=""),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=self._lungs(),
            notes=[
                "It holds children",
                "TBX11K and the TB Chest Radiography Database contain these films",
            ],
        )

    def _lungs(self) -> list[Row]:
        """Masks of both lungs, published apart from the films; the folder may be absent."""
        files = [(PurePosixPath(file).stem, file) for file in image_files(self.root, below=MASKS, suffixes=(".png",))]
        return [
            drawn_mask(f"{FOLDER}/CXR_png/{stem.removesuffix(ENDING)}.png", "lungs", file) for stem, file in files if stem.endswith(ENDING)
        ]
