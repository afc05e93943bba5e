# SPDX-License-Identifier: Apache-2.0
"""What is opened, what is not, and by which way."""

import io
import urllib.request

import pytest

from medsetu.core.errors import DataError
from medsetu.fetch import opener
from medsetu.fetch.opener import place

HIDDEN = "ZZ^SENTINEL"


def test_a_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(DataError, match="without encryption"):
        opener.Redirects().redirect_request(request, io.BytesIO(), 302, "", {}, "http://example.org/a")


def test_a_proxy_of_the_environment_is_used_for_other_machines_only(monkeypatch):
    asked = []
    monkeypatch.setattr(urllib.request.ProxyHandler, "proxy_open", lambda self, req, proxy, type: asked.append(req.host))
    handler = opener.Proxies({"http": "http://127.0.0.1:9"})
    for host in ("127.0.0.1:80", "localhost", "[::1]", "example.org"):
        handler.proxy_open(urllib.request.Request(f"http://{host}/a"), "http://127.0.0.1:9", "http")
    assert asked == ["example.org"]


def test_a_place_holds_no_secret():
    assert place(f"https://u:{HIDDEN}@example.org:80/a/b?sig={HIDDEN}#{HIDDEN}") == "example.org/a/b"
