# SPDX-License-Identifier: Apache-2.0
"""mini-MIAS mammograms (Suckling et al., Digital Mammography 1994; doi:10.17863/CAM.105113)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError
from medsetu.core.label import NEGATIVE, POSITIVE
from medsetu.core.sample import pseudonym
from medsetu.release.base import ReleaseIndex, by_stem, finish_index, image_files, join_rows, require_file
from medsetu.release.drawing import Row, drawn_circle, drawn_twice

LABEL_FILE = "Info.txt"
_SIDE = 1024  # pixels of every film
_ROW = re.compile(
    r"^(?P<film>mdb\d+)\s+(?P<tissue>[FGD])\s+(?P<kind>[A-Z]+)\s*(?P<severity>[BM])?\b(?:\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+))?"
)


@dataclass(frozen=True)
class MiniMias:
    """The films as downloaded: ``mdb001.pgm`` to ``mdb322.pgm`` and ``Info.txt`` in one folder.

    Attributes:
        root: The folder.
        name: Name of the release in tables.
    """

    root: Path
    name: str = "mini_mias"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Malignant lesion, and any lesion."""
        return ("malignant", "abnormal")

    def index(self) -> ReleaseIndex:
        """Join the list of lesions and the films by name; a film with several rows has what any of them says.

        Films 2k - 1 and 2k show both breasts of one woman. The side stays unknown: the list and later descriptions of the release
        contradict each other about which number is left.

        Returns:
            The index; films without row and rows without film are listed as excluded.

        Raises:
            DataError: The list is missing or holds no row of the release.
        """
        rows = self._rows()
        files = by_stem(image_files(self.root, suffixes=(".pgm",)), release=self.name, key=str.lower)
        pairs, excluded = join_rows({film: (film, told) for film, told in rows.items()}, files, place="{}.pgm".format)
        found = [
            {
                "path": path,
                "patient_id": pseudonym(self.name, str((int(film[3:]) + 1) // 2)),
                "abnormal": POSITIVE if any(kind != "NORM" for kind, _ in told) else NEGATIVE,
                "malignant": POSITIVE if any(severity == "M" for _, severity in told) else NEGATIVE,
            }
            for path, (film, told) in pairs
        ]
        return finish_index(
            pd.DataFrame(found, columns=["path", "patient_id", "malignant", "abnormal"]).assign(country="GBR", modality="MG", view="MLO"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            drawn=self._lesions(files),
            notes=["Two films are one woman, by their numbers", "Digitised films, grey values stretched for distribution"],
        )

    def _lesions(self, files: Mapping[str, str]) -> list[Row]:
        """Lesions as circles, y counted from the bottom of the film; rows without coordinates (``NOTE 3``: spread over it) draw nothing."""
        drawn: list[Row] = []
        for match in self._matches():
            path = files.get(match["film"].lower(), "")
            if match["radius"]:
                x, y, radius = (float(match[name]) for name in ("x", "y", "radius"))
                drawn.append(drawn_circle(path, "abnormal", x=x, y=_SIDE - y, radius=radius, size=(_SIDE, _SIDE)))
                drawn += [drawn_twice(drawn[-1], "malignant")] if match["severity"] == "M" else []
        return drawn

    def _rows(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for match in self._matches():
            found.setdefault(match["film"].lower(), []).append((match["kind"], match["severity"] or ""))
        return found

    def _matches(self) -> list[re.Match[str]]:
        path = require_file(self.root / LABEL_FILE, release=self.name)
        found = [match for line in path.read_text(encoding="latin-1").splitlines() if (match := _ROW.match(line))]
        if not found:
            raise DataError(what="No row names a film", where=str(path), remedy="Use Info.txt as published")
        return found
