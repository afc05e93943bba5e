# SPDX-License-Identifier: Apache-2.0
"""The terms of a release as they are shown before anything is fetched, and the steps where a person must fetch it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from medsetu.catalog.card import Card
from medsetu.catalog.licence import USES, stated, verdict
from medsetu.core.run import sha256_bytes

_ROUTE = {
    "open": "Download it there: {access}",
    "sign-in": "Sign in or register there, and accept its rules: {access}",
    "agreement": "Ask for access there, and sign what is asked: {access}",
}
_ABOUT = ("licence", "licence_note", "research_use", "commercial_use", "weights_release", "tables_release", "citation")


def terms(card: Card) -> str:
    """Write the terms of a release: licence, clauses, what it may be used for, what to cite, and what of this is second-hand.

    Args:
        card: Of the release.

    Returns:
        Lines of text; the same for the same card and the same reading of licences.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> terms(load_card("cmmd")).splitlines()[:2]
        ['Release: CMMD: Chinese Mammography Database (cmmd)', 'Licence: CC-BY-4.0']
    """
    return "\n".join(_lines(card))


def fingerprint(card: Card) -> str:
    """Hash the terms, so that changed ones are asked for again.

    Returns:
        SHA-256, 64 hexadecimal digits.
    """
    return sha256_bytes(terms(card).encode())


def steps(card: Card, folder: Path) -> list[str]:
    """Say, step by step, how a person gets a release that a program cannot fetch.

    Args:
        card: Of the release; one that can be had.
        folder: Where medsetu looks for it.

    Returns:
        Sentences, in order.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> print(steps(load_card("vindr_cxr"), Path("data/vindr_cxr"))[1])
        Ask for access there, and sign what is asked: credentialing.
    """
    page = card.homepage or (f"doi:{card.doi}" if card.doi else "")
    place = f"Open {page}." if page else f"Look for '{card.title}' by its name: no address of it is on its card."
    command = _command(page, folder)
    layout = f"Unpack it into {folder}, so that it lies there as: {card.layout}." if card.layout else f"Unpack it into {folder}."
    route = _ROUTE[card.route or "open"].format(access=card.access) + "."
    return [place, route, *([f"Then fetch it: {command}"] if command else []), layout]


def prepare_line(card: Card, folder: Path) -> str:
    """Write the command that indexes the release, checks every file and shows what is there.

    Example:
        >>> from medsetu.catalog.card import load_card
        >>> prepare_line(load_card("nitrd"), Path("my data/nitrd"))
        "medsetu prepare release=nitrd 'root=my data/nitrd'"
    """
    return f"medsetu prepare release={card.name} {shlex.quote(f'root={folder}')}"


def _command(page: str, folder: Path) -> str:
    """Write the command of the host's own program, which asks for the account; empty where a host has none.

    Example:
        >>> _command("kaggle.com/c/demo", Path("data/demo"))
        'kaggle competitions download -c demo -p data/demo'
    """
    target = shlex.quote(str(folder))
    if found := re.search(r"kaggle\.com/c/([\w-]+)", page):
        return f"kaggle competitions download -c {found[1]} -p {target}"
    if found := re.search(r"kaggle\.com/datasets/([\w-]+/[\w.-]+)", page):
        return f"kaggle datasets download -d {found[1]} -p {target} --unzip"
    if re.search(r"physionet\.org/content/[\w.-]+/[\w.-]+/?$", page):
        files = page.replace("/content/", "/files/").rstrip("/")
        return f"wget -r -N -c -np -nH --cut-dirs=3 --user NAME --ask-password -P {target} {files}/"
    return ""


def _lines(card: Card) -> Iterator[str]:
    yield f"Release: {card.title} ({card.name})"
    yield f"Licence: {card.licence or 'no licence text is known, which permits no more than research'}"
    if card.licence_note:
        yield f"Terms: {card.licence_note}"
    for duty in stated([card], None):
        yield f"Clause: {duty}"
    for use, words in USES.items():
        clause = verdict([card], use).clauses[0]
        yield f"{'Permitted' if clause.allowed else 'Not permitted'}: {words}" + (
            "" if clause.allowed else f" ({clause.reason.rstrip('.')})"
        )
    yield f"Cite: {card.citation or 'not known'}"
    if doubtful := [name.replace("_", " ") for name in _ABOUT if name in card.unverified or card.confidence == "memory"]:
        yield f"Second-hand on our card, look it up: {', '.join(doubtful)}"
    yield "This is our reading of the terms, no legal advice; the publisher's own text decides."
