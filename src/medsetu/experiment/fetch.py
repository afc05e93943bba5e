# SPDX-License-Identifier: Apache-2.0
"""``medsetu fetch``: bring a release that is open to all; for any other, say step by step how a person gets it."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from medsetu.catalog.card import Card, cards_folder
from medsetu.catalog.file import RemoteFile
from medsetu.catalog.terms import prepare_line, steps, terms
from medsetu.core.errors import AccessError, ConfigError
from medsetu.core.place import config_folder
from medsetu.experiment.catalog import release
from medsetu.experiment.journal import journal
from medsetu.fetch.consent import accepted, require_consent
from medsetu.fetch.record import NAME, Record
from medsetu.fetch.release import Plan, fetch_files, outstanding
from medsetu.fetch.transfer import Patience
from medsetu.fetch.unpack import Limits
from medsetu.manifest.progress import progress

NOWHERE = ("yours", "none")  # what the card says for a country where the release is one's own, or made on demand
MOST_CONNECTIONS = 16  # more than any server is asked for by a browser of good manners


def main(config: Mapping[str, Any]) -> None:
    """Fetch a release into its folder, or print the steps to it.

    Args:
        config: Resolved configuration of ``configs/fetch.yaml``.

    Raises:
        AccessError: The release is not to be had by a program; the steps are printed first.
        ConfigError: There is no such release, no such file, or a key is wrong.
        DataError: A file is not the one on the card, or an archive that is not to be trusted.
        LicenceError: The terms were not accepted.
        ResourceError: No disk space, or no network.
    """
    plan = _plan(config)
    card = release(cards_folder(), str(config["name"]))
    folder = Path(str(config["folder"] or Path(config["paths"]["data"]) / card.name)).expanduser()
    only = [config["only"]] if isinstance(config["only"], str) else [str(word) for word in config["only"] or ()]
    fetch(card, folder, plan=plan, only=only, accept=bool(config["accept"]))


def fetch(card: Card, folder: Path, *, plan: Plan, only: Sequence[str] = (), accept: bool = False) -> None:
    """Fetch the files of a card, after its terms are accepted; what is already there is left alone.

    Args:
        card: Of the release.
        folder: Where it goes.
        plan: How.
        only: Patterns of file names, as ``images_00*``; empty for all files.
        accept: The terms are accepted.

    Raises:
        MedsetuError: As ``main``.
    """
    console = Console(soft_wrap=True, highlight=False)
    _require_files(card, folder, console)
    files = _chosen(card, only)
    record = Record(folder, release=card.name)
    if todo := outstanding(files, record, plan):
        if not accepted(card, folder):
            console.print(Text(terms(card)))
        require_consent(card, folder, accept=accept, question=_question(console))
        with journal():
            fetch_files(todo, record, plan=plan, progress=_bar)
    else:
        console.print(Text(f"Complete: {_count(len(files))} where they belong; nothing was asked of a server."))
    for line in summary(card, record, files, plan):
        console.print(Text(line))


def summary(card: Card, record: Record, files: Sequence[RemoteFile], plan: Plan) -> Iterator[str]:
    """Say what is there, what it was checked against, and what to do next."""
    entries = {file.name: record.entry(file) for file in files}
    total = sum(int(entry["bytes"]) for entry in entries.values())
    yield f"{_count(len(files))}, {total / 1e9:.2f} GB, in {record.folder}; addresses, digests and dates in {NAME}."
    if unknown := [name for name, entry in entries.items() if str(entry["verified"]).startswith("not")]:
        yield f"Not verified, for no digest is known: {', '.join(unknown)}. The SHA-256 that we saw is on record."
    if archives := [file.name for file in files if file.unpack and not plan.unpack]:
        yield f"Still packed, in {record.work}: {', '.join(archives)}."
    if card.layout:
        yield f"Layout that medsetu expects: {card.layout}"
    for name in card.by_hand:
        if not (record.folder / name.partition(" (")[0]).exists():
            yield f"Still to be fetched by hand from {card.homepage}: {name}"
    yield _next(card, record.folder)


def _count(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"


def _next(card: Card, folder: Path) -> str:
    if (config_folder() / "release" / f"{card.name}.yaml").is_file():
        return f"Next: {prepare_line(card, folder)}"
    return "Next: no reader has this name; describe the folder to the release `table` (medsetu prepare release=table ...)."


def _require_files(card: Card, folder: Path, console: Console) -> None:
    """Print the way to a release without files on its card, and refuse."""
    if card.files:
        return
    if card.country in NOWHERE:
        raise AccessError(
            what=f"Release '{card.name}' is not a download: {card.access}",
            where=f"medsetu catalog show {card.name}",
            remedy="Name it in a recipe as it is",
        )
    gone = card.tombstone or card.route == "unavailable"
    if not gone:
        for number, step in enumerate([*steps(card, folder), _next(card, folder)], start=1):
            console.print(Text(f"{number}. {step}"))
        console.print(Text(f"\nThe terms, before you ask:\n{terms(card)}"))
    near = f" Nearest: {', '.join(card.see)}." if card.see else ""
    what = "is not to be had" if gone else "cannot be fetched by a program, and nothing was fetched"
    raise AccessError(
        what=f"Release '{card.name}' {what}: {card.tombstone or card.access}",
        where=f"medsetu catalog show {card.name}",
        remedy=f"Choose another release.{near}" if gone else "Take the steps above, then go on with `medsetu prepare`",
    )


def _chosen(card: Card, only: Sequence[str]) -> list[RemoteFile]:
    names = [file.name for file in card.files]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(what=f"No file of '{card.name}' is named '{pattern}'", where="Key only", value=pattern, allowed=names)
    return [file for file in card.files if not only or any(fnmatchcase(file.name, pattern) for pattern in only)]


def _question(console: Console) -> Callable[[], str] | None:
    if not sys.stdin.isatty():
        return None
    return lambda: console.input("Do you accept these terms? Write yes or no: ")


def _bar(total: int, label: str) -> contextlib.AbstractContextManager[Callable[[int], None]]:
    return progress(total, label=label, in_bytes=True)


def _plan(config: Mapping[str, Any]) -> Plan:
    numbers = {
        "connections": (1, MOST_CONNECTIONS),
        "timeout": (1, 3600),
        "retries": (0, 100),
        "max_gb": (1, 10**6),
        "max_ratio": (1, 10**6),
    }
    for key, (least, most) in numbers.items():
        value = config[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ConfigError(
                what=f"The value {value} of '{key}' is not possible", where=f"Key {key}", remedy=f"Write a number from {least} to {most}"
            )
    return Plan(
        connections=int(config["connections"]),
        unpack=bool(config["unpack"]),
        keep_archives=bool(config["keep_archives"]),
        limits=replace(Limits(), bytes=int(config["max_gb"] * 10**9), ratio=float(config["max_ratio"])),
        patience=Patience(timeout=float(config["timeout"]), retries=int(config["retries"])),
    )
