# SPDX-License-Identifier: Apache-2.0
"""What may be opened: http and https, redirects that do not leave them, and the proxies of the environment."""

import contextlib
import http.client
import ipaddress
import urllib.request
from typing import IO
from urllib.parse import urlsplit

from medsetu.core.errors import DataError

BY_HAND = "Look at the homepage on the card, and fetch the file by hand if you trust the address"


def place(url: str) -> str:
    """Write an address without user, password, query and fragment.

    Example:
        >>> place("https://user:secret@example.org/a/b.zip?token=secret")
        'example.org/a/b.zip'
    """
    parts = urlsplit(url)
    return f"{parts.hostname or ''}{parts.path}"


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http and https only, and from https never to http."""

    max_redirections = 10

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Make the request that follows a redirect, as urllib asks for it.

        Raises:
            DataError: It leads elsewhere than to http or https, gives up encryption, or has a password in it.
        """
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        why = (
            f"another protocol ({after.scheme or 'none'})"
            if after.scheme not in ("http", "https")
            else "a connection without encryption"
            if (before.scheme, after.scheme) == ("https", "http")
            else "an address with a password in it"
            if "@" in after.netloc
            else ""
        )
        if why:
            fp.close()
            raise DataError(
                what=f"The server leads to {why}, which is not followed",
                where=place(req.full_url),
                remedy=BY_HAND,
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Proxies(urllib.request.ProxyHandler):
    """The proxies of the environment; this machine itself is asked without one."""

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> http.client.HTTPResponse | None:
        """Send a request by way of a proxy, as urllib asks for it; None lets it go straight."""
        return None if _is_here(urlsplit(req.full_url).hostname or "") else super().proxy_open(req, proxy, type)


def _is_here(host: str) -> bool:
    """Say whether a host is this machine.

    Example:
        >>> _is_here("127.0.0.1"), _is_here("localhost"), _is_here("example.org")
        (True, True, False)
    """
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def make_opener() -> urllib.request.OpenerDirector:
    """Make an opener that knows http and https and nothing else: urllib's own would open files, too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        Proxies(),
        Redirects(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
