# SPDX-License-Identifier: Apache-2.0
"""One request to a server: where it may lead, what is offered, and what is told of a fault: never a query, never a password."""

import contextlib
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from email.message import Message
from urllib.parse import urlsplit

from medsetu import __version__
from medsetu.core.errors import AccessError, DataError, ResourceError
from medsetu.fetch.opener import BY_HAND, make_opener, place

BLOCK = 1 << 20  # bytes asked of the socket at once
_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # what may be better in a while
_NOT_ALLOWED = (401, 403)
_REDIRECTS = range(300, 400)
_LONGEST_WAIT = 60.0  # seconds that a server may ask for
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_NOTHING_LEFT = re.compile(r"bytes \*/(\d+)")
_PAGE = "text/html"


class Fault(Exception):  # noqa: N818  (tried again by the transfer, which turns the last one into a ResourceError)
    """A request broke in a way that may be better next time.

    Args:
        said: What happened, without a query or a password.
        wait: Seconds that the server asks to wait; None when it says nothing.
    """

    def __init__(self, *, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.said, self.wait = said, wait


class ChangedError(DataError):
    """The file on the server is no longer the one that was begun."""


@dataclass(frozen=True)
class Offer:
    """What a server offers under an address.

    Attributes:
        total: Length in bytes; None where the server does not say.
        ranges: Whether a part of it can be asked for.
        etag: Strong entity tag; empty without one.
        modified: Date of its last change, as the server writes it; empty without one.
        host: Where it came from in the end, after redirects.
    """

    total: int | None
    ranges: bool
    etag: str
    modified: str
    host: str

    @property
    def validator(self) -> str:
        """What tells this file from a later one under the same address; empty when nothing does."""
        return self.etag or self.modified

    @property
    def identity(self) -> dict[str, object]:
        """What is kept beside a part of the file to know whether the rest belongs to it."""
        return {key: value for key, value in asdict(self).items() if key in ("total", "etag", "modified")}


def offered(url: str, *, timeout: float) -> Offer:
    """Ask for the first byte, and read from the answer what the server offers.

    A server without ranges answers with the whole file; the connection is closed before it is read.

    Args:
        url: Address.
        timeout: Seconds without an answer after which the request is given up.

    Returns:
        The offer.

    Raises:
        Fault: It may be better next time.
        AccessError: The server asks for a sign-in.
        DataError: There is no such file, or the answer is a web page.
        ResourceError: Its certificate is not trusted.
    """
    with _answer(url, {"Range": "bytes=0-0"}, timeout=timeout) as response:
        if response.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _offer(response, total=0, ranges=False)
        if response.status == http.client.PARTIAL_CONTENT:
            _, _, total = _range(response, url)
            return _offer(response, total=total, ranges=True)
        return _offer(response, total=_length(response), ranges=False)


def stream(url: str, *, start: int, stop: int | None, offer: Offer, timeout: float) -> Generator[bytes]:
    """Read bytes of a file.

    Args:
        url: Address.
        start: First byte; must be 0 where the server gives no ranges.
        stop: Byte after the last one; None reads to an end that the server does not tell beforehand.
        offer: What the server offered.
        timeout: Seconds without a byte after which the request is given up.

    Yields:
        Blocks, in order, exactly ``stop - start`` bytes in all.

    Raises:
        Fault: It may be better next time; what was yielded is right.
        ChangedError: The server now has another file.
        AccessError: The server asks for a sign-in.
        DataError: There is no such file any more.
        ResourceError: Its certificate is not trusted.
    """
    headers = {}
    if offer.ranges and stop is not None:
        headers["Range"] = f"bytes={start}-{stop - 1}"
        if offer.validator:
            headers["If-Range"] = offer.validator
    with _answer(url, headers, timeout=timeout) as response:
        _same(response, url, start=start, stop=stop, offer=offer)
        left = None if stop is None else stop - start
        while left is None or left > 0:
            block = response.read1(BLOCK if left is None else min(BLOCK, left))
            if not block:
                break
            left = None if left is None else left - len(block)
            yield block
        if left:
            raise Fault(said=f"the connection closed {left} bytes too early")


def _same(response: http.client.HTTPResponse, url: str, *, start: int, stop: int | None, offer: Offer) -> None:
    """Refuse an answer that is not what was asked for."""
    partial = response.status == http.client.PARTIAL_CONTENT
    now = _offer(response, total=_range(response, url)[2] if partial else _length(response), ranges=partial)
    changed = _differ(offer, now)
    if offer.ranges and (changed or not partial or response.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE):
        raise ChangedError(
            what="The server answered with another file than the one that was begun",
            where=place(url),
            remedy="Start the same command again: a part that does not belong to the new file is begun anew",
        )
    if not offer.ranges and changed:
        raise Fault(said="the length of the file changed between two tries")
    if offer.ranges and stop is not None and _range(response, url)[:2] != (start, stop - 1):
        raise Fault(said="the server sent other bytes than those asked for")


def _differ(before: Offer, now: Offer) -> bool:
    """Say whether two offers are of different files, by what both of them tell.

    Example:
        >>> one = Offer(9, True, "", "Thu, 01 Jan 2026 00:00:00 GMT", "")
        >>> _differ(one, Offer(9, True, '"tag"', "Thu, 01 Jan 2026 00:00:00 GMT", "")), _differ(one, Offer(8, True, "", "", ""))
        (False, True)
    """
    if None not in (before.total, now.total) and before.total != now.total:
        return True
    if before.etag and now.etag:
        return before.etag != now.etag
    return bool(before.modified and now.modified) and before.modified != now.modified


@contextlib.contextmanager
def _answer(url: str, headers: dict[str, str], *, timeout: float) -> Iterator[http.client.HTTPResponse]:
    request = urllib.request.Request(  # noqa: S310 - only http and https are opened, see make_opener
        url, headers={"User-Agent": f"medsetu/{__version__}", "Accept-Encoding": "identity", **headers}
    )
    try:
        with make_opener().open(request, timeout=timeout) as response:
            if response.headers.get_content_type() == _PAGE and not urlsplit(url).path.lower().endswith((".htm", ".html")):
                raise DataError(
                    what="The server answered with a web page, not with the file",
                    where=place(url),
                    remedy="The address may have moved, or ask for a sign-in: look at the homepage on the card",
                )
            yield response
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and _NOTHING_LEFT.fullmatch(error.headers.get("Content-Range", "")):
            with error:
                yield error  # type: ignore[misc]  # an HTTPError is a response
            return
        error.close()
        raise _refused(error.code, error.headers, url) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _untrusted(url) from None
        raise Fault(said=f"no connection ({_named(error.reason)})") from None
    except (http.client.HTTPException, OSError) as error:
        raise Fault(said=f"the connection broke ({_named(error)})") from None


def _refused(code: int, headers: Message, url: str) -> Exception:
    if code in _AGAIN:
        return Fault(said=f"the server answered {code}", wait=_wait(headers))
    if code in _NOT_ALLOWED:
        return AccessError(
            what=f"The server does not give the file without permission ({code})",
            where=place(url),
            remedy="Look at the homepage on the card: what was open may ask for a sign-in by now",
        )
    if code in _REDIRECTS:
        return DataError(
            what=f"The server leads to another protocol, or in a ring, which is not followed ({code})", where=place(url), remedy=BY_HAND
        )
    return DataError(
        what=f"The server does not give the file ({code} {http.client.responses.get(code, '')})",
        where=place(url),
        remedy="Look at the homepage on the card: the publisher may have moved it",
    )


def _untrusted(url: str) -> ResourceError:
    return ResourceError(
        what="The certificate of the server is not trusted",
        where=place(url),
        remedy="Install the certificates of your system or of your proxy (SSL_CERT_FILE names a file of them); the check is never left out",
    )


def _named(error: object) -> str:
    """Name a fault without its text, which may hold an address."""
    return type(error).__name__ if isinstance(error, Exception) else "unknown"


def _wait(headers: Message) -> float | None:
    asked = headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_WAIT) if asked.isdigit() else None


def _length(response: http.client.HTTPResponse) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _range(response: http.client.HTTPResponse, url: str) -> tuple[int, int, int]:
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if not found:
        raise DataError(
            what="The server answers a question for a part without saying which part it sends",
            where=place(url),
            remedy="Fetch the file by hand and put it where `medsetu fetch` keeps its archives",
        )
    first, last, total = (int(number) for number in found.groups())
    return first, last, total


def _offer(response: http.client.HTTPResponse, *, total: int | None, ranges: bool) -> Offer:
    etag = response.headers.get("ETag", "")
    return Offer(
        total=total,
        ranges=ranges,
        etag="" if etag.startswith("W/") else etag,  # RFC 9110, 13.1.5: a weak tag does not join parts
        modified=response.headers.get("Last-Modified", ""),
        host=urlsplit(response.url or "").hostname or "",
    )
