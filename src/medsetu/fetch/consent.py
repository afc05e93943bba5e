# SPDX-License-Identifier: Apache-2.0
"""The terms of a release are shown and accepted once, and that is on record: ``medsetu-licence.json`` beside the data, without a name."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from medsetu import __version__
from medsetu.catalog.card import Card
from medsetu.catalog.terms import fingerprint, terms
from medsetu.core.errors import LicenceError
from medsetu.core.run import write_json

NAME = "medsetu-licence.json"
YES = ("yes", "y")


def accepted(card: Card, folder: Path) -> bool:
    """Say whether the terms as they read today were accepted before, in this folder."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and (found.get("release"), found.get("terms_sha256")) == (card.name, fingerprint(card))


def require_consent(card: Card, folder: Path, *, accept: bool, question: Callable[[], str] | None) -> None:
    """Go on only when the terms are accepted, and put that on record.

    Args:
        card: Of the release.
        folder: Where it goes.
        accept: The command line accepts the terms.
        question: Asks a person and gives the answer; None where nobody sits at a terminal.

    Raises:
        LicenceError: They are not accepted.
        ResourceError: The folder cannot be written.
    """
    if accepted(card, folder):
        return
    how = "command line" if accept else "terminal" if question is not None and question().strip().lower() in YES else ""
    if not how:
        raise LicenceError(
            what="The terms above were not accepted, and nothing was fetched",
            where=f"Release '{card.name}'",
            remedy=f"Read them, then write: medsetu fetch release={card.name} accept=true",
        )
    write_json(
        folder / NAME,
        {
            "release": card.name,
            "licence": card.licence,
            "terms_sha256": fingerprint(card),
            "terms": terms(card).splitlines(),
            "accepted_on": datetime.now(UTC).date().isoformat(),
            "accepted_by": how,
            "medsetu": __version__,
        },
    )
