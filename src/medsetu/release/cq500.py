# SPDX-License-Identifier: Apache-2.0
"""CQ500, head CT of New Delhi read by three radiologists (Chilamkurthy et al., Lancet 2018;392:2388-2396)."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.label import NEGATIVE, POSITIVE, UNKNOWN
from medsetu.core.sample import pseudonym
from medsetu.core.vote import MAJORITY, POLICIES, fuse_votes
from medsetu.reader.sheet import read_sheet
from medsetu.release.base import ReleaseIndex, finish_index, image_files, join_rows, require_file, require_folder

LABEL_FILE = "reads.csv"
READERS = ("R1", "R2", "R3")
COLUMN_OF = {
    "intracranial_haemorrhage": "ICH",
    "intraparenchymal": "IPH",
    "intraventricular": "IVH",
    "subdural": "SDH",
    "extradural": "EDH",
    "subarachnoid": "SAH",
    "chronic_bleed": "ChronicBleed",
    "fracture": "Fracture",
    "calvarial_fracture": "CalvarialFracture",
    "other_fracture": "OtherFracture",
    "mass_effect": "MassEffect",
    "midline_shift": "MidlineShift",
}
_SCAN = re.compile(r"^CQ500-?CT-?(\d+)\b")
_VALUES = {"1": POSITIVE, "1.0": POSITIVE, "0": NEGATIVE, "0.0": NEGATIVE, "": UNKNOWN}
_AFTER_CONTRAST = re.compile(r"\bpost\b|(?<!pre )(?<!non )\bcontrast\b|\b4cc\b", re.IGNORECASE)


@dataclass(frozen=True)
class Cq500:
    """CQ500 unpacked: ``reads.csv`` and ``CQ500CT42 CQ500CT42/Unknown Study/<series>/CT*.dcm`` anywhere below the root.

    A sample is one series, a folder of slices. Of the series of a scan one is chosen by the name of its folder, without opening a slice:
    series after contrast and bone series come last, then the words of ``prefer`` in their order decide, then the number of slices.

    Attributes:
        root: Folder that holds ``reads.csv``.
        policy: How the votes of the three readers become one label: ``majority``, ``any-positive`` or ``unanimous``.
        prefer: Words in the name of a series, the most wanted first.
        name: Name of the release in tables.
    """

    root: Path
    policy: str = MAJORITY
    prefer: Sequence[str] = ("thin", "plain")
    name: str = "cq500"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "prefer", tuple(self.prefer))
        if self.policy not in POLICIES:
            raise ConfigError(what="Votes are not read so", where="Key policy", value=self.policy, allowed=[*POLICIES])

    @property
    def findings(self) -> tuple[str, ...]:
        """Bleeds, fractures, mass effect and midline shift of a whole scan; the sides of a bleed are no finding."""
        return tuple(COLUMN_OF)

    def index(self) -> ReleaseIndex:
        """Join reads and scans by the number of the scan, choose a series, and fuse the votes finding by finding.

        Returns:
            The index with the votes as ``readings``; scans without slices and slices without reads are listed as excluded.

        Raises:
            DataError: The table or a column is missing, a scan has two rows, or a vote is neither 1, 0 nor blank.
        """
        require_folder(self.root, release=self.name)
        reads = self._reads()
        scans, strangers = self._series()
        files = {scan: self._choose(series) for scan, series in scans.items()}
        pairs, excluded = join_rows({scan: (scan, votes) for scan, votes in reads.items()}, files, place="CQ500CT{}".format)
        excluded += [(folder, "folder of no scan") for folder in strangers]
        votes = [{"path": path, "reader": reader} | told for path, (_, row) in pairs for reader, told in row.items()]
        table = pd.DataFrame(votes, columns=["path", "reader", *self.findings])
        labels = fuse_votes(table, key="path", findings=self.findings, policy=self.policy).reset_index()
        patients = {path: pseudonym(self.name, scan) for path, (scan, _) in pairs}
        others = sum(len(series) - 1 for series in scans.values())
        return finish_index(
            labels.assign(patient_id=labels["path"].map(patients), country="IND", modality="CT"),
            release=self.name,
            root=self.root,
            findings=self.findings,
            excluded=excluded,
            notes=[
                f"Labels are the {self.policy} of three readers, whose votes are kept",
                f"One series per scan by the name of its folder: {', '.join(self.prefer)} first, contrast and bone last",
                f"{others} other series were left out",
            ],
            readings=table,
        )

    def _reads(self) -> dict[str, dict[str, dict[str, float]]]:
        """Votes by scan and reader."""
        path = require_file(self.root / LABEL_FILE, release=self.name)
        columns = ["name", *(f"{reader}:{column}" for reader in READERS for column in COLUMN_OF.values())]
        found: dict[str, dict[str, dict[str, float]]] = {}
        for row in read_sheet(path, columns=columns):
            match = _SCAN.match(row["name"])
            if match is None or match[1] in found:
                told = "has two rows" if match else "has another name than CQ500-CT-<number>"
                raise DataError(what=f"A scan {told}", where=str(path), remedy="Use the table as published")
            if not {row[column] for column in columns[1:]} <= set(_VALUES):
                raise DataError(
                    what="A vote is neither 1, 0 nor blank", where=f"{self.name}/{row['name']}", remedy="Use the table as published"
                )
            found[match[1]] = {
                reader: {finding: _VALUES[row[f"{reader}:{column}"]] for finding, column in COLUMN_OF.items()} for reader in READERS
            }
        return found

    def _series(self) -> tuple[dict[str, dict[str, int]], list[str]]:
        """Slices by scan and folder of the series, and folders that belong to no scan."""
        slices = Counter(PurePosixPath(path).parent.as_posix() for path in image_files(self.root, suffixes=(".dcm",)))
        scans: dict[str, dict[str, int]] = {}
        strangers = []
        for folder, count in sorted(slices.items()):
            match = next((match for part in PurePosixPath(folder).parts if (match := _SCAN.match(part))), None)
            if match is None:
                strangers.append(folder)
            else:
                scans.setdefault(match[1], {})[folder] = count
        return scans, strangers

    def _choose(self, series: dict[str, int]) -> str:
        def rank(folder: str) -> tuple[bool, bool, int, int, str]:
            name = PurePosixPath(folder).name.lower()
            wanted = next((place for place, word in enumerate(self.prefer) if word.lower() in name), len(self.prefer))
            return bool(_AFTER_CONTRAST.search(name)), "bone" in name, wanted, -series[folder], folder

        return min(series, key=rank)
