# SPDX-License-Identifier: Apache-2.0
"""The ledger of a frozen manifest: which scores have met its test, when, through which verb and under which sealed plan.

One file per fingerprint of the manifest, shared by every verb and study. An opening is a look at scores that the ledger does not know;
looking again at the same scores, or at some of them, is no new opening. Entries are only ever added.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from medsetu.core.errors import DataError, ResourceError
from medsetu.core.lock import locked
from medsetu.core.run import sha256_bytes
from medsetu.core.sample import GLOBAL, LOCAL
from medsetu.core.signed import read_signed, write_signed

FORMAT = 1
INTERNAL = (GLOBAL, LOCAL)
DIGITS = 6  # decimals of a score; below them two scores are the same
_CELL = ["domain", "arm", "seed", "fold", "finding"]
_REMEDY = "Restore it from a copy: it is never begun anew, because the test would seem unopened"


@dataclass(frozen=True)
class Opening:
    """One look at scores that nobody had seen.

    Attributes:
        date: Day, ISO 8601, UTC.
        verb: Verb that looked.
        recipe: Name of the recipe.
        seal: SHA-256 of the sealed plan it was done under; empty without one.
        sides: Sides that were tested with new scores.
        scores: Keys of the new sets of scores, one per side, arm, seed, fold and finding.
    """

    date: str
    verb: str
    recipe: str
    seal: str
    sides: tuple[str, ...]
    scores: tuple[str, ...]


def ledger_path(work: Path, fingerprint: str) -> Path:
    """Say where the ledger of a manifest lies.

    Args:
        work: The working folder of the recipe, ``paths.work``.
        fingerprint: Fingerprint of the frozen manifest.

    Returns:
        The path.
    """
    return work / "ledger" / f"{fingerprint}.json"


def read_openings(path: Path) -> list[Opening]:
    """Read a ledger.

    Args:
        path: What ``ledger_path`` says.

    Returns:
        The openings, oldest first; none when the test was never opened.

    Raises:
        DataError: The ledger is damaged, was changed, or belongs to another manifest.
    """
    if not path.exists():
        return []
    content, _ = read_signed(path, name="ledger of test openings", remedy=_REMEDY)
    if content.get("format") != FORMAT or content.get("manifest") != path.stem:
        raise DataError(what="The ledger of test openings belongs to another manifest", where=str(path), remedy=_REMEDY)
    return [Opening(**{**entry, "sides": tuple(entry["sides"]), "scores": tuple(entry["scores"])}) for entry in content["openings"]]


def record_opening(path: Path, predictions: pd.DataFrame, *, verb: str, recipe: str, seal: str = "") -> list[Opening]:
    """Write down that scores are looked at; call it before they are.

    Args:
        path: What ``ledger_path`` says.
        predictions: Whole predictions of the runs, long, with ``PREDICTION_COLUMNS``; only split ``test`` counts.
        verb: Verb that looks.
        recipe: Name of the recipe.
        seal: SHA-256 of the sealed plan; empty without one.

    Returns:
        All openings so far, this one included where it is one.

    Raises:
        DataError: The ledger is damaged, was changed, or belongs to another manifest.
        ResourceError: The folder cannot be written.
    """
    keys = score_keys(predictions)
    with _alone(path):
        known = read_openings(path)
        seen = {key for opening in known for key in opening.scores}
        fresh = {key: side for key, side in keys.items() if key not in seen}
        if not fresh:
            return known
        today = datetime.now(tz=UTC).date().isoformat()
        known.append(Opening(today, verb, recipe, seal, tuple(sorted(set(fresh.values()))), tuple(sorted(fresh))))
        write_signed(path, {"format": FORMAT, "manifest": path.stem, "openings": [asdict(opening) for opening in known]})
    return known


def count_openings(openings: Sequence[Opening], *, sides: Collection[str] = INTERNAL) -> int:
    """Count the openings that showed new scores of a side.

    Args:
        openings: The ledger.
        sides: Sides asked for; those of the internal test unless told.

    Returns:
        The number.

    Example:
        >>> look = Opening("2026-11-22", "study", "demo", "", ("local",), ("0",))
        >>> count_openings([look]), count_openings([look], sides=["external"])
        (1, 0)
    """
    return sum(bool(set(opening.sides) & set(sides)) for opening in openings)


def score_keys(predictions: pd.DataFrame) -> dict[str, str]:
    """Name each set of test scores by its content: side, arm, seed, fold, finding, samples and scores.

    Args:
        predictions: Long, with ``PREDICTION_COLUMNS``; the order of rows does not matter.

    Returns:
        Key -> side; equal content has an equal key.
    """
    tested = predictions.loc[predictions["split"] == "test", [*_CELL, "sample_id", "score"]].sort_values([*_CELL, "sample_id"])
    keys = {}
    for cell, rows in tested.groupby(_CELL, sort=False):
        text = rows[["sample_id", "score"]].to_csv(index=False, header=False, lineterminator="\n", float_format=f"%.{DIGITS}f")
        keys[sha256_bytes("\x1f".join([*map(str, cell), text]).encode())[:16]] = str(cell[0])
    return keys


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time add to a ledger; the lock dies with its process."""
    try:
        stream = locked(path.with_suffix(".lock"))
    except OSError as error:
        raise ResourceError(
            what=f"The ledger of test openings cannot be written ({error.strerror})", where=str(path), remedy="Correct the permissions"
        ) from error
    with stream:
        yield
