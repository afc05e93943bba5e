# SPDX-License-Identifier: Apache-2.0
"""Several connections that bring several files, each in segments; what breaks is tried again, what is killed is resumed."""

import contextlib
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import DataError, ResourceError
from medsetu.fetch.link import Fault, Offer, offered, stream
from medsetu.fetch.opener import place
from medsetu.fetch.part import Part

SMALLEST, LARGEST = 1 << 20, 1 << 26  # bytes of a segment: one request each, so neither many small ones nor a long tail
LEAVE_S = 2.0  # seconds that all threads together get to notice the end
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Patience:
    """When to try again, and when to give up.

    Attributes:
        timeout: Seconds without a byte after which a connection is given up.
        retries: Tries again without a single byte in between.
        pause: Seconds before the first of them; each further one waits twice as long, up to ``longest``, and a little at random.
        longest: Seconds.
    """

    timeout: float = 60.0
    retries: int = 6
    pause: float = 1.0
    longest: float = 60.0

    def delay(self, attempt: int, asked: float | None) -> float:
        """Seconds to wait before a try; a server that asks for more gets it.

        Args:
            attempt: 1 for the first try again.
            asked: What the server asks for.

        Returns:
            Seconds.
        """
        own: float = min(self.longest, self.pause * 2 ** (attempt - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        return max(own, asked or 0.0)


@dataclass
class Arrival:
    """One file on its way.

    Attributes:
        file: What the card says.
        path: Where it lies when it is whole.
        offer: What the server offers.
        part: What has arrived.
    """

    file: RemoteFile
    path: Path
    offer: Offer
    part: Part
    left: int = 0  # segments
    lock: threading.Lock = field(default_factory=threading.Lock)


def ask(files: Sequence[RemoteFile], *, patience: Patience) -> list[Offer]:
    """Ask the servers what they offer, before the first byte is kept.

    Args:
        files: Of a card.
        patience: When to give up.

    Returns:
        One offer per file.

    Raises:
        AccessError: A server asks for a sign-in.
        DataError: A file is not there, or not of the length on the card.
        ResourceError: A server cannot be reached.
    """
    never = threading.Event()
    offers = []
    for file in files:
        offer = _patiently(lambda url=file.url: offered(url, timeout=patience.timeout), file, patience, never)  # type: ignore[misc]
        if file.bytes is not None and offer.total not in (None, file.bytes):
            raise DataError(
                what=f"The server offers {offer.total:,} bytes of '{file.name}', the card says {file.bytes:,}",
                where=place(file.url),
                remedy="The publisher may have changed the file: look at the homepage on the card, and correct the card if it is right",
            )
        offers.append(offer)
    return offers


def begin(file: RemoteFile, offer: Offer, folder: Path) -> Arrival:
    """Open the part of a file, from an earlier time or new.

    Without an entity tag or a date, and without a digest on the card, nothing would tell that the server's file has changed in between;
    then the file is begun anew.

    Args:
        file: Of a card.
        offer: What the server offers.
        folder: Where the file shall lie.

    Returns:
        The arrival.

    Raises:
        ResourceError: The folder cannot be written.
    """
    keep = offer.ranges and bool(offer.validator or file.digest)
    part = Part(folder / file.name, identity={"url": file.url, **offer.identity}, keep=keep)
    return Arrival(file, folder / file.name, offer, part)


def transfer(
    arrivals: Sequence[Arrival], *, connections: int, patience: Patience, advance: Callable[[int], None] = lambda _: None
) -> Iterator[Arrival]:
    """Bring files; while the caller looks at one that is whole, the others go on.

    Args:
        arrivals: The files.
        connections: Requests at the same time, over all files.
        patience: When to give up.
        advance: Told of every number of bytes that arrived; negative where a server without ranges makes them come again.

    Yields:
        Each file when it is whole and named, in the order in which they are finished.

    Raises:
        AccessError: A server asks for a sign-in.
        ChangedError: A server changed a file meanwhile.
        DataError: A file is gone.
        ResourceError: The disk is full, or a server cannot be reached any more; what has arrived is kept.
    """
    work = _Work(arrivals, connections=connections, patience=patience, advance=advance)
    try:
        work.start()
        for _ in arrivals:
            event = work.events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        work.end()


def segments(spans: Sequence[tuple[int, int]], connections: int) -> list[tuple[int, int]]:
    """Cut what is missing into requests: several per connection, so that a slow one does not hold up the end.

    Example:
        >>> segments([(0, 5 << 20)], 4)[:2]
        [(0, 1048576), (1048576, 2097152)]
    """
    missing = sum(stop - start for start, stop in spans)
    size = max(SMALLEST, min(LARGEST, missing // (connections * 4)))
    return [(at, min(at + size, stop)) for start, stop in spans for at in range(start, stop, size)]


class _Work:
    """Threads that take segments from one queue."""

    def __init__(self, arrivals: Sequence[Arrival], *, connections: int, patience: Patience, advance: Callable[[int], None]) -> None:
        self.events: queue.Queue[Arrival | BaseException] = queue.Queue()
        self._patience, self._advance = patience, advance
        self._stop = threading.Event()
        self._arrivals = arrivals
        self._queue: deque[tuple[Arrival, int, int | None]] = deque()
        for arrival in arrivals:
            pieces: list[tuple[int, int | None]] = [(0, arrival.offer.total)]
            if arrival.offer.ranges and arrival.offer.total is not None:
                pieces = list(segments(arrival.part.missing(arrival.offer.total), connections))
            arrival.left = len(pieces)
            self._queue.extend((arrival, start, stop) for start, stop in pieces)
        self._threads = [threading.Thread(target=self._run, daemon=True, name=f"fetch-{number}") for number in range(connections)]

    def start(self) -> None:
        for arrival in self._arrivals:
            if not arrival.left:  # everything came before a kill
                arrival.part.finish()
                self.events.put(arrival)
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        deadline = time.monotonic() + LEAVE_S
        for thread in self._threads:
            if thread.ident:
                thread.join(max(0.0, deadline - time.monotonic()))
        for arrival in self._arrivals:
            arrival.part.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    arrival, start, stop = self._queue.popleft()
                except IndexError:
                    return
                if not self._bring(arrival, start, stop):
                    return
                with arrival.lock:
                    arrival.left -= 1
                    whole = not arrival.left
                if whole:
                    arrival.part.finish()
                    self.events.put(arrival)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            if not self._stop.is_set():
                self._stop.set()
                self.events.put(error)

    def _bring(self, arrival: Arrival, start: int, stop: int | None) -> bool:
        """Bring one segment; False when it was stopped before its end."""
        position, attempt = start, 0
        while True:
            try:
                for block in self._blocks(arrival, position, stop):
                    arrival.part.write(position, block)
                    position += len(block)
                    self._advance(len(block))
                    attempt = 0 if arrival.offer.ranges else attempt
                return not self._stop.is_set()
            except Fault as fault:
                attempt += 1
                if not self._again(arrival, fault, attempt):
                    return False
                if not arrival.offer.ranges:
                    self._advance(-arrival.part.restart())
                    position = 0

    def _again(self, arrival: Arrival, fault: Fault, attempt: int) -> bool:
        """Wait before the next try; False when all was stopped meanwhile."""
        if attempt > self._patience.retries:
            raise _given_up(arrival.file, fault) from None
        return not self._stop.wait(self._patience.delay(attempt, fault.wait))

    def _blocks(self, arrival: Arrival, start: int, stop: int | None) -> Iterator[bytes]:
        """Blocks of one request, until the end or until all is stopped."""
        if stop is not None and start >= stop:
            return
        timeout = self._patience.timeout
        with contextlib.closing(stream(arrival.file.url, start=start, stop=stop, offer=arrival.offer, timeout=timeout)) as blocks:
            for block in blocks:
                yield block
                if self._stop.is_set():
                    return


def _patiently(question: Callable[[], _Answer], file: RemoteFile, patience: Patience, stop: threading.Event) -> _Answer:
    attempt = 0
    while True:
        try:
            return question()
        except Fault as fault:
            attempt += 1
            if attempt > patience.retries:
                raise _given_up(file, fault) from None
            stop.wait(patience.delay(attempt, fault.wait))


def _given_up(file: RemoteFile, fault: Fault) -> ResourceError:
    return ResourceError(
        what=f"The server could not be reached, or broke off again and again: {fault.said}",
        where=f"File '{file.name}' at {place(file.url)}",
        remedy="Look at your network (proxies are taken from http_proxy, https_proxy and no_proxy), then start the same command again: "
        "what has arrived is kept",
    )
