# SPDX-License-Identifier: Apache-2.0
"""All files of a release: what is already there is left, the rest is brought, checked, unpacked and put in its place."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import ResourceError
from medsetu.core.lock import locked
from medsetu.fetch.check import check, require_room
from medsetu.fetch.link import Offer
from medsetu.fetch.record import Record
from medsetu.fetch.transfer import Arrival, Patience, ask, begin, transfer
from medsetu.fetch.unpack import UNPACKED, Limits, settle, unpack

GROWTH = 1.2  # times the length of an archive that its content may need; images are packed already
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How a release is fetched.

    Attributes:
        connections: Requests at the same time.
        unpack: Unpack what the card says; otherwise archives are kept as they came.
        keep_archives: Keep them after they are unpacked.
        limits: What an archive may unpack to.
        patience: When to try again, and when to give up.
    """

    connections: int = 4
    unpack: bool = True
    keep_archives: bool = False
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)


Progress = Callable[[int, str], contextlib.AbstractContextManager[Callable[[int], None]]]


@contextlib.contextmanager
def unseen(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    del total, label
    yield lambda _: None


def outstanding(files: Sequence[RemoteFile], record: Record, plan: Plan) -> list[RemoteFile]:
    """Find what is not in its place yet; no network is used, and no file is read."""
    return [file for file in files if not _done(file, record, plan)]


def fetch_files(files: Sequence[RemoteFile], record: Record, *, plan: Plan, progress: Progress = unseen) -> None:
    """Bring files and put them in their places; can be started again after any interruption.

    Args:
        files: Of a card.
        record: Of the folder they go to.
        plan: How.
        progress: Opens a bar for a number of bytes.

    Raises:
        AccessError: A server asks for a sign-in.
        DataError: A file is not there, not the one on the card, or an archive that is not to be trusted.
        ResourceError: No disk space, no network, or another process fetches into the same folder.
    """
    with _alone(record.work):
        todo = outstanding(files, record, plan)
        here = [file for file in todo if _is_here(file, record)]
        away = [file for file in todo if file not in here]
        for file in here:
            _place(file, record, plan, host="")
        offers = ask(away, patience=plan.patience)
        arrivals = [begin(file, offer, record.work) for file, offer in zip(away, offers, strict=True)]
        missing = [_missing(arrival) for arrival in arrivals]
        if before := sum(arrival.part.arrived for arrival in arrivals):
            _LOG.info("%s bytes came before and are kept", f"{before:,}")
        require_room(record.folder, _need(arrivals, missing, plan), what=f"release '{record.release}'")
        with progress(sum(missing), "Fetching") as advance:
            for arrival in transfer(arrivals, connections=plan.connections, patience=plan.patience, advance=advance):
                _place(arrival.file, record, plan, host=arrival.offer.host)


def _done(file: RemoteFile, record: Record, plan: Plan) -> bool:
    if file.unpack and not plan.unpack and not record.is_placed(file):
        entry = record.entry(file)
        path = record.work / file.name
        return bool(entry.get("sha256")) and path.is_file() and path.stat().st_size == entry["bytes"]
    return record.is_placed(file)


def _is_here(file: RemoteFile, record: Record) -> bool:
    """Say whether the file itself came before, or a person put it there, or its content waits to be moved."""
    return (record.work / file.name).is_file() or (bool(record.entry(file)) and (record.work / (file.name + UNPACKED)).is_dir())


def _place(file: RemoteFile, record: Record, plan: Plan, *, host: str) -> None:
    """Check a file that is here, unpack it, and move it, or what was in it, to its place."""
    path, unpacked = record.work / file.name, record.work / (file.name + UNPACKED)
    if path.is_file() and not _known(file, record, path):
        seen = check(path, file)
        facts = {"bytes": seen.bytes, "sha256": seen.sha256, "verified": seen.verified, "host": host}
        record.note(file, {**facts, "fetched_on": datetime.now(UTC).date().isoformat(), "placed": False})
        _LOG.info("%s: %s bytes, SHA-256 %s, %s", file.name, f"{seen.bytes:,}", seen.sha256[:12], seen.verified)
    if not file.unpack:
        settle(path, record.folder / file.into / file.name)
        record.note(file, {"placed": True})
        return
    if not plan.unpack:
        return
    if not (unpacked.is_dir() and record.members(file)):
        done = unpack(path, record.work, limits=plan.limits, prefix=file.inside)
        record.note(file, {"unpacked": {"files": len(done.files), "bytes": sum(done.files.values()), "left_out": done.left_out}})
        record.list_members(file, done.files)  # last: with it, what was unpacked is taken up without looking at the archive again
        _LOG.info("%s: %s files unpacked", file.name, f"{len(done.files):,}")
    settle(unpacked, record.folder / file.into)
    record.note(file, {"placed": True})
    if not plan.keep_archives:
        path.unlink(missing_ok=True)


def _known(file: RemoteFile, record: Record, path: Path) -> bool:
    entry = record.entry(file)
    return bool(entry.get("sha256")) and entry["bytes"] == path.stat().st_size


def _missing(arrival: Arrival) -> int:
    total = arrival.offer.total if arrival.offer.total is not None else arrival.file.bytes or 0
    return max(0, total - arrival.part.arrived)


def _need(arrivals: Sequence[Arrival], missing: Sequence[int], plan: Plan) -> int:
    """Bytes needed at once: archives that go after they are unpacked share their room, but for the two largest."""
    if not plan.unpack:
        return sum(missing)
    packed = [_length(arrival.offer, arrival.file) for arrival in arrivals if arrival.file.unpack]
    plainly = sum(size for arrival, size in zip(arrivals, missing, strict=True) if not arrival.file.unpack)
    to_come = sum(missing) - plainly
    at_once = to_come if plan.keep_archives else min(to_come, sum(sorted(packed)[-2:]))
    return plainly + at_once + int(GROWTH * sum(packed))


def _length(offer: Offer, file: RemoteFile) -> int:
    return offer.total if offer.total is not None else file.bytes or 0


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep two processes from writing into one folder; the lock goes with the process, however it ends."""
    try:
        stream = locked(work / "lock", wait=False)
    except BlockingIOError as error:
        raise ResourceError(
            what="Another process is fetching into the same folder", where=str(work), remedy="Wait for it, or stop it"
        ) from error
    except OSError as error:
        raise ResourceError(
            what=f"The folder cannot be written ({error.strerror})", where=str(work), remedy="Correct the permissions, or choose folder=..."
        ) from error
    with stream:
        yield
