# SPDX-License-Identifier: Apache-2.0
"""The folder of a phantom: films, label table and truth, written once and recognised afterwards."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import atomic_write, content_key, sha256_bytes, sha256_file, write_json
from medsetu.release.phantom_anatomy import draw_body
from medsetu.release.phantom_chest import Exam, cardiothoracic_ratio, chest_of
from medsetu.release.phantom_cohort import draw_cohort
from medsetu.release.phantom_country import FINDINGS, Country
from medsetu.release.phantom_detector import digitise, expose
from medsetu.release.phantom_dicom import DEVICES, Header, encode
from medsetu.release.phantom_lesion import Box, draw_lesions

VERSION = "1"  # raise it whenever a change alters what is drawn
LABELS = "labels.csv"
TRUTH = "truth.csv"
STATEMENT = "truth.json"

_UNFINISHED = "unfinished.json"
_WRITERS = 4  # threads: while one waits for the disk, another draws
_PATIENCE_S = 2.0  # a progress bar appears when writing takes longer

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Cohort:
    """All that decides what lies in the folder.

    Attributes:
        population: Name of the country; keeps people of two countries apart at equal seeds.
        country: Knobs.
        patients: Number of patients, 1 or above.
        seed: Seed, 0 or above; another seed gives other people.
        size: Rows and columns of a film at pixel size 1, from 16 to 2048.
    """

    population: str
    country: Country
    patients: int
    seed: int
    size: int

    def __post_init__(self) -> None:
        """Refuse numbers that no cohort can have.

        Raises:
            ConfigError: Patients, seed or size are out of range.
        """
        ranges = {"patients": (1, 100_000), "seed": (0, 2**32 - 1), "size": (16, 2048)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(
                    what=f"Setting '{name}' of the phantom is {value!r}",
                    where="Release 'phantom'",
                    remedy=f"Give a whole number from {low} to {high}",
                )

    @property
    def statement(self) -> dict[str, Any]:
        """Plain data that identifies the content: equal statements, equal bytes."""
        settings = {"population": self.population, "patients": self.patients, "seed": self.seed, "size": self.size}
        knobs = {name: float(value) for name, value in asdict(self.country).items()}
        return {"generator": "medsetu phantom", "version": VERSION, **settings, "knobs": knobs}

    @property
    def key(self) -> str:
        """Short hash of the statement."""
        return content_key(self.statement)


def ensure(root: Path, cohort: Cohort) -> None:
    """Make sure that the folder holds this very phantom: write it where nothing lies, accept it where it lies.

    A run that was interrupted is started afresh; since every film depends on the settings alone, its files are replaced by equal ones.

    Args:
        root: Folder of the phantom.
        cohort: What must lie there.

    Raises:
        DataError: Something else lies there, or its tables were changed.
        ResourceError: The folder cannot be written.
    """
    if (root / STATEMENT).is_file():
        _verify(root, cohort)
        return
    begun = _read_json(root / _UNFINISHED) if (root / _UNFINISHED).is_file() else {}
    if begun.get("key") != cohort.key and _holds_something(root):
        raise _occupied(root, what="Something other than this phantom lies in its folder")
    write(root, cohort)


def write(root: Path, cohort: Cohort) -> None:
    """Write films, label table and truth; equal cohorts give equal bytes. The statement comes last and says that all is there.

    Args:
        root: Folder, made where it is missing.
        cohort: What to write.

    Raises:
        ResourceError: The folder cannot be written.
    """
    write_json(root / _UNFINISHED, {"key": cohort.key})
    films = draw_cohort(cohort.country, population=cohort.population, patients=cohort.patients, seed=cohort.seed)
    rows: list[dict[str, Any]] = [dict(zip(films.columns, values, strict=True)) for values in films.itertuples(index=False, name=None)]
    with ThreadPoolExecutor(_WRITERS) as pool:
        truth = list(_watched(pool.map(lambda row: _write_film(root, row, cohort), rows), total=len(rows)))
    labels = pd.DataFrame(
        {
            "image_id": films["image_id"],
            "patient_id": [patient_id(cohort, who) for who in films["patient"]],
            "study_id": "study-" + films["image_id"],
            **{finding: films[f"{finding}_label"] for finding in FINDINGS},
        }
    )
    hashes = {}
    for name, table in ((LABELS, labels), (TRUTH, pd.concat([films, pd.DataFrame(truth)], axis=1))):
        content = table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
        atomic_write(root / name, content)
        hashes[name] = sha256_bytes(content)
    write_json(root / STATEMENT, {**cohort.statement, "key": cohort.key, "films": len(films), "sha256": hashes})
    (root / _UNFINISHED).unlink(missing_ok=True)


def patient_id(cohort: Cohort, patient: int) -> str:
    """Name a patient as the label table and the DICOM files do.

    Example:
        >>> patient_id(Cohort("global", Country(), patients=9, seed=0, size=64), 7)
        'PH-global-0-00007'
    """
    return f"PH-{cohort.population}-{cohort.seed}-{patient:05d}"


def film_path(image_id: str) -> str:
    """Path of a film relative to the root of the phantom."""
    return f"images/{image_id}.dcm"


def draw_film(row: dict[str, Any], cohort: Cohort) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Draw one film of the cohort.

    Args:
        row: Its row of ``draw_cohort``.
        cohort: Settings.

    Returns:
        Stored values, and what is true of the picture: cardiothoracic ratio, pixel size in mm, and boxes of each finding as
        ``x0 y0 x1 y1`` in fractions of the film, several separated by semicolons.
    """
    country = cohort.country
    exam = Exam(
        keys=(cohort.seed, cohort.population, int(row["patient"]), int(row["study"])),
        female=bool(row["female"]),
        age_years=float(row["age_years"]),
        habitus=float(row["habitus"]),
        ap=bool(row["ap"]),
        severity={finding: float(row[f"{finding}_severity"]) for finding in FINDINGS},
        lesion_contrast=country.lesion_contrast,
    )
    chest = chest_of(exam, cohort.size)
    lesions, boxes = draw_lesions(exam, chest)
    film = expose(
        draw_body(exam, chest) + lesions,
        dose=float(row["exposure"]),
        noise=country.noise,
        blur_mm=country.blur_mm,
        pixel_size=country.pixel_size,
        generator=exam.study_stream("quantum"),
    )
    stored = digitise(film, marker=bool(row["marker"]), monochrome1=bool(row["monochrome1"]))
    facts: dict[str, Any] = {"cardiothoracic_ratio": cardiothoracic_ratio(exam), "rows": stored.shape[0]}
    return stored, facts | {f"{finding}_boxes": _boxes_text(boxes.get(finding, [])) for finding in FINDINGS}


def _write_film(root: Path, row: dict[str, Any], cohort: Cohort) -> dict[str, Any]:
    stored, facts = draw_film(row, cohort)
    modality, model = DEVICES[cohort.population][int(row["device"])]
    header = Header(
        image_id=row["image_id"],
        patient_id=patient_id(cohort, row["patient"]),
        study_id=f"study-{row['image_id']}",
        modality=modality,
        model=model,
        sex="F" if row["female"] else "M",
        age_years=int(row["age_years"]),
        view="AP" if row["ap"] else "PA",
        day=int(row["day"]),
        exposure=float(row["exposure"]),
        monochrome1=bool(row["monochrome1"]),
        marker=bool(row["marker"]),
    )
    content = encode(stored, header)
    atomic_write(root / film_path(header.image_id), content)
    return facts | {"sha256": sha256_bytes(content)}


def _boxes_text(boxes: Sequence[Box]) -> str:
    return ";".join(" ".join(f"{edge:g}" for edge in box) for box in boxes)


def _watched(results: Iterable[_Result], *, total: int) -> Iterator[_Result]:
    """Hand on results, with a progress bar on standard error once they take longer than two seconds."""
    start = time.monotonic()
    with ExitStack() as stack:
        progress, task = None, None
        for done, result in enumerate(results):
            if progress is None and time.monotonic() - start > _PATIENCE_S:
                progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
                task = progress.add_task("Drawing the phantom", total=total)
            if progress is not None and task is not None:
                progress.update(task, completed=done)
            yield result


def _verify(root: Path, cohort: Cohort) -> None:
    statement = _read_json(root / STATEMENT)
    if statement.get("key") != cohort.key:
        differing = _differences(statement, cohort.statement) or ["its statement"]
        raise _occupied(root, what=f"Another phantom lies in this folder; it differs in {', '.join(differing)}")
    for name, promised in statement["sha256"].items():
        if not (root / name).is_file() or sha256_file(root / name) != promised:
            raise DataError(
                what=f"The table '{name}' of the phantom is missing or was changed",
                where=str(root / name),
                remedy="Remove the folder, and it is written again; to use labels of your own, read it as release 'table'",
            )


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Names of settings and knobs that differ."""
    names = [name for name, value in wanted.items() if name != "knobs" and found.get(name) != value]
    knobs = found.get("knobs")
    if not isinstance(knobs, dict):
        return [*names, "knobs"]
    return names + [name for name, value in wanted["knobs"].items() if knobs.get(name) != value]


def _holds_something(root: Path) -> bool:
    if not root.is_dir():
        return root.exists()
    return any(not path.name.startswith(".") for path in root.iterdir())


def _occupied(root: Path, *, what: str) -> DataError:
    return DataError(what=what, where=str(root), remedy="Remove that folder, or set another root for release 'phantom'")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
