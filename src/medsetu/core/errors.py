# SPDX-License-Identifier: Apache-2.0
"""Errors in three sentences (what is wrong, where, what to do) and their documented exit codes."""

import difflib
from collections.abc import Iterable, Sequence

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "an unexpected fault in medsetu itself; please report it",
    2: "ConfigError: a key, value or recipe is wrong",
    3: "DataError: a file or table is not what it should be",
    4: "LeakageError: a patient or image stands on two sides",
    5: "LicenceError: a licence forbids the use",
    6: "PrivacyError: something could identify a patient",
    7: "ResourceError: disk, memory, permission or network is missing",
    8: "WeightError: weights do not fit the network, or are not what they claim to be",
    9: "ReproductionError: a run, or a number in its tables, does not follow from what is recorded",
    10: "AccessError: a release cannot be fetched from here: a person must ask for it, or it is not to be had; the steps are printed",
    130: "interrupted from the keyboard; start again to resume",
    138: "stopped by SIGUSR1, Slurm's warning of the time limit; start again to resume",
    143: "terminated; start again to resume",
}


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """Find the allowed name closest to a misspelt one.

    Args:
        word: What was written.
        allowed: What could have been meant.

    Returns:
        The closest allowed name, or None when nothing is close.

    Example:
        >>> nearest("denset121", ["densenet121", "resnet18"])
        'densenet121'
    """
    found = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return found[0] if found else None


class MedsetuError(Exception):
    """Base of every refusal: three sentences, never a name of a patient.

    Args:
        what: What is wrong.
        where: File, key, release or sample_id.
        remedy: What the reader should do.
    """

    exit_code = 1

    def __init__(self, *, what: str, where: str, remedy: str) -> None:
        self.what, self.where, self.remedy = (part.strip().rstrip(".") for part in (what, where, remedy))
        super().__init__(" ".join(part if part.endswith("?") else f"{part}." for part in (self.what, self.where, self.remedy)))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the finished sentences, so that worker processes can send errors home."""
        return (rebuild, (type(self), self.what, self.where, self.remedy))


def rebuild(kind: type[MedsetuError], what: str, where: str, remedy: str) -> MedsetuError:
    """Make an error from its finished sentences, as it was in another process."""
    error = kind.__new__(kind)
    MedsetuError.__init__(error, what=what, where=where, remedy=remedy)
    return error


class ConfigError(MedsetuError):
    """A key, a value or a name in the configuration is wrong.

    Args:
        what: What is wrong.
        where: The key or file.
        remedy: What to do; when ``value`` is close to one of ``allowed``, the nearest name is added.
        value: The value that was given.
        allowed: The values that would be accepted.
    """

    exit_code = 2

    def __init__(self, *, what: str, where: str, remedy: str = "", value: str | None = None, allowed: Sequence[str] = ()) -> None:
        guess = nearest(value, allowed) if value is not None else None
        hints = [f"Did you mean '{guess}'?"] if guess else []
        if remedy:
            hints.append(remedy)
        if allowed:
            hints.append(f"Allowed: {', '.join(map(str, allowed))}")
        super().__init__(what=what, where=where, remedy=" ".join(hints) or "Correct the value")


class DataError(MedsetuError):
    """A file or table is missing, unreadable or not what it should be."""

    exit_code = 3


class DivergedError(DataError):
    """A stage came to numbers that are none: a matter of its learning rate more often than of its films."""


class LeakageError(MedsetuError):
    """A patient, an image or its duplicate stands on two sides of a split.

    Args:
        rule: The rule that was broken.
        splits: The two sides.
        count: How many units are affected.
        sample_ids: Affected samples; the first three are named.
        remedy: What to do, where that is not about split file or patient ids.
    """

    exit_code = 4

    def __init__(self, *, rule: str, splits: Sequence[str], count: int, sample_ids: Sequence[str], remedy: str = "") -> None:
        first = ", ".join(list(sample_ids)[:3])
        super().__init__(
            what=f"{rule} ({count} affected)",
            where=f"Between {' and '.join(splits)}, first: {first}",
            remedy=remedy or "Remove the frozen split file and run `medsetu prepare` again, or correct the patient ids",
        )


class LicenceError(MedsetuError):
    """A release or a weight may not be used for the declared purpose."""

    exit_code = 5


class PrivacyError(MedsetuError):
    """Something could identify a patient; the value itself is never shown."""

    exit_code = 6


class ResourceError(MedsetuError):
    """Disk, memory, permission, the network or an optional package is missing."""

    exit_code = 7


class WeightError(MedsetuError):
    """Weights do not fit the network, or their bytes are not what was promised."""

    exit_code = 8


class ReproductionError(MedsetuError):
    """A run or an outcome is not what it says, or its numbers do not follow."""

    exit_code = 9


class AccessError(MedsetuError):
    """A release is not to be had by a program: sign-in, agreement, no direct address, or gone."""

    exit_code = 10


def missing_extra(package: str, extra: str, *, needed_for: str) -> ResourceError:
    """Build the error for an optional package that is not installed.

    Args:
        package: Import name of the package.
        extra: The medsetu extra that brings it.
        needed_for: What the user asked for.

    Returns:
        The error, naming the exact install line.
    """
    return ResourceError(
        what=f"The package '{package}' is not installed",
        where=f"It is needed for {needed_for}",
        remedy=f"Run: pip install 'medsetu[{extra}]'",
    )
