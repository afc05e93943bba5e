# SPDX-License-Identifier: Apache-2.0
"""COVID-19 image data collection (Cohen et al., arXiv:2003.11597): films from publications of many countries."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.core.sample import age_in_years, pseudonym, sex_letter
from medsetu.reader.sheet import keyed, read_sheet
from medsetu.release.base import IMAGE_SUFFIXES, ReleaseIndex, finish_index, image_files, join_rows, require_file, require_folder

LABEL_FILE, FILMS = "metadata.csv", "images"
NODE_OF = {  # finding -> where it stands in the release's tree
    "pneumonia": "pneumonia",
    "viral_pneumonia": "pneumonia/viral",
    "covid_19": "pneumonia/viral/covid-19",
    "bacterial_pneumonia": "pneumonia/bacterial",
    "fungal_pneumonia": "pneumonia/fungal",
    "tuberculosis": "tuberculosis",
}
NOTHING, OPEN = "no finding", ("", "todo", "unknown")
COUNTRIES = {
    "algeria": "DZA", "argentina": "ARG", "australia": "AUS", "austria": "AUT", "bangladesh": "BGD", "belgium": "BEL", "brazil": "BRA",
    "cambodia": "KHM", "canada": "CAN", "chile": "CHL", "china": "CHN", "colombia": "COL", "denmark": "DNK", "egypt": "EGY",
    "france": "FRA", "germany": "DEU", "greece": "GRC", "hong kong": "HKG", "india": "IND", "indonesia": "IDN", "iran": "IRN",
    "iraq": "IRQ", "ireland": "IRL", "israel": "ISR", "italy": "ITA", "japan": "JPN", "korea": "KOR", "malaysia": "MYS",
    "mexico": "MEX", "morocco": "MAR", "nepal": "NPL", "netherlands": "NLD", "new zealand": "NZL", "nigeria": "NGA", "pakistan": "PAK",
    "peru": "PER", "philippines": "PHL", "poland": "POL", "portugal": "PRT", "romania": "ROU", "russia": "RUS", "saudi arabia": "SAU",
    "singapore": "SGP", "south africa": "ZAF", "south korea": "KOR", "spain": "ESP", "sri lanka": "LKA", "sweden": "SWE",
    "switzerland": "CHE", "taiwan": "TWN", "thailand": "THA", "the netherlands": "NLD", "tunisia": "TUN", "turkey": "TUR",
    "uk": "GBR", "ukraine": "UKR", "united arab emirates": "ARE", "united kingdom": "GBR", "united states": "USA",
    "united states of america": "USA", "usa": "USA", "vietnam": "VNM",
}  # fmt: skip
_VIEWS = {"PA": "PA", "AP": "AP", "AP SUPINE": "AP", "AP SEMI ERECT": "AP", "AP ERECT": "AP", "L": "LL"}
_COLUMNS = ("patientid", "sex", "age", "finding", "view", "modality", "location", "folder", "filename", "license")


@dataclass(frozen=True)
class CovidChestxray:
    """The collection as downloaded: ``metadata.csv`` and ``images/``; volumes of CT are not films.

    Attributes:
        root: Folder that holds them.
        frontal_only: Leave lateral films out.
        name: Name of the release in tables.
    """

    root: Path
    frontal_only: bool = True
    name: str = "covid_chestxray"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def findings(self) -> tuple[str, ...]:
        """Nodes of the release's tree of causes; tuberculosis stands beside pneumonia, not below it."""
        return tuple(NODE_OF)

    def index(self) -> ReleaseIndex:
        """Join the list and the films by file name.

        A film has the diagnosis that its publication gives, and what stands above it in the tree; what stands below it was not told and is
        NaN, other branches are 0. ``todo`` and ``Unknown`` are NaN for all.

        Returns:
            The index, with the country that ends the location, where it is known; slices of CT and lateral films are listed as excluded.

        Raises:
            DataError: The list or the folder is missing, or a column is missing.
        """
        require_folder(self.root / FILMS, release=self.name)
        path = require_file(self.root / LABEL_FILE, release=self.name)
        told = read_sheet(path, columns=_COLUMNS)
        excluded = [(f"{row['folder']}/{row['filename']}", "volume, not a film") for row in told if row["folder"] not in ("", FILMS)]
        films = [row for row in told if row["folder"] in ("", FILMS)]
        rows = keyed(films, lambda row: f"{FILMS}/{row['filename']}", path=path)
        pairs, alone = join_rows(rows, {name: name for name in image_files(self.root, below=FILMS, suffixes=IMAGE_SUFFIXES)})
        excluded += alone
        found = []
        for name, row in pairs:
            reason = self._reason(row)
            if reason:
                excluded.append((name, reason))
            else:
                found.append({"path": name, "licence": row["license"], **self._facts(row), **_labels(row["finding"])})
        facts = ["path", "licence", "patient_id", "country", "view", "sex", "age_years"]
        table = pd.DataFrame(found, columns=[*facts, *self.findings])
        return finish_index(table, release=self.name, root=self.root, findings=self.findings, excluded=excluded, notes=_notes(table))

    def _reason(self, row: Mapping[str, str]) -> str:
        if row["modality"].upper() not in ("X-RAY", "XRAY"):
            return "no radiograph"
        return "lateral film" if self.frontal_only and row["view"].upper() == "L" else ""

    def _facts(self, row: Mapping[str, str]) -> dict[str, object]:
        return {
            "patient_id": pseudonym(self.name, row["patientid"]) if row["patientid"] else float("nan"),
            "country": COUNTRIES.get(row["location"].split(",")[-1].strip().lower(), ""),
            "view": _VIEWS.get(row["view"].upper(), ""),
            "sex": sex_letter(row["sex"]),
            "age_years": age_in_years(row["age"].removesuffix(".0")),
        }


def _labels(finding: str) -> dict[str, float]:
    """Labels of one diagnosis.

    Example:
        >>> found = _labels("Pneumonia/Viral")
        >>> found["pneumonia"], found["viral_pneumonia"], found["covid_19"], found["tuberculosis"]
        (1.0, 1.0, nan, 0.0)
    """
    node = finding.strip().lower()
    if node in OPEN:
        return dict.fromkeys(NODE_OF, UNKNOWN)
    if node == NOTHING:
        return dict.fromkeys(NODE_OF, NEGATIVE)
    return {name: _value(node, place) for name, place in NODE_OF.items()}


def _value(node: str, place: str) -> float:
    if f"{node}/".startswith(f"{place}/"):
        return POSITIVE
    return UNKNOWN if place.startswith(f"{node}/") else NEGATIVE


def _notes(table: pd.DataFrame) -> list[str]:
    unplaced = int((table["country"] == "").sum())
    licences = Counter(table["licence"].replace("", "none stated"))
    return [
        f"{int((table['country'] == 'IND').sum())} of {len(table)} films are from India; {unplaced} name no country that is known here",
        "Licences by film: " + ", ".join(f"{word} {count}" for word, count in licences.most_common()),
        "Labels are captions of publications: one diagnosis for each film",
    ]
