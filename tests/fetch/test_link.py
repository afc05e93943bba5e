# SPDX-License-Identifier: Apache-2.0
"""One request: what is offered, where redirects may lead, and what is told of a fault."""

import ssl
import urllib.error

import pytest

from fakes.server import Behaviour
from medsetu.core.errors import AccessError, DataError, ResourceError
from medsetu.fetch import link
from medsetu.fetch.link import ChangedError, Fault, Offer, offered, stream

HIDDEN = "ZZ^SENTINEL"


def _all(url, offer, start=0, stop=None):
    return b"".join(stream(url, start=start, stop=stop, offer=offer, timeout=2))


def test_an_offer_tells_length_ranges_and_validators(site):
    site.files["/a"] = Behaviour(b"0123456789", etag='"one"', modified="Thu, 01 Jan 2026 00:00:00 GMT")
    offer = offered(site.url("/a"), timeout=2)
    assert offer == Offer(10, True, '"one"', "Thu, 01 Jan 2026 00:00:00 GMT", "127.0.0.1")
    assert offer.validator == '"one"'
    assert _all(site.url("/a"), offer, 2, 5) == b"234"
    assert (site.asked["/a"], site.conditions["/a"]) == (["bytes=0-0", "bytes=2-4"], ["", '"one"'])


def test_a_server_without_ranges_is_not_read_to_see_that(site):
    site.files["/a"] = Behaviour(b"x" * (1 << 24), ranges=False, etag='W/"weak"', rate=1 << 20)
    offer = offered(site.url("/a"), timeout=2)
    assert offer == Offer(1 << 24, False, "", "", "127.0.0.1")
    assert site.sent["/a"] < 1 << 22


def test_an_empty_file_and_one_of_unknown_length(site):
    site.files["/none"], site.files["/some"] = Behaviour(b""), Behaviour(b"abc", ranges=False, length=-1)
    assert offered(site.url("/none"), timeout=2).total == 0
    offer = offered(site.url("/some"), timeout=2)
    assert offer.total is None
    assert _all(site.url("/some"), offer) == b"abc"


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_a_fault_with_the_wait_asked_for(site, code):
    site.files["/a"] = Behaviour(answers=[code], retry_after="7")
    with pytest.raises(Fault) as caught:
        offered(site.url("/a"), timeout=2)
    assert (caught.value.said, caught.value.wait) == (f"the server answered {code}", 7)


@pytest.mark.parametrize(("code", "error"), [(401, AccessError), (403, AccessError), (404, DataError), (410, DataError)])
def test_what_will_not_pass_is_an_error_without_the_query(site, code, error):
    site.files["/a"] = Behaviour(answers=[code])
    with pytest.raises(error, match=str(code)) as caught:
        offered(site.url(f"/a?token={HIDDEN}"), timeout=2)
    assert HIDDEN not in str(caught.value)
    assert caught.value.__suppress_context__


def test_nobody_there_is_a_fault():
    with pytest.raises(Fault, match="no connection"):
        offered("http://127.0.0.1:9/a", timeout=2)


def test_a_server_that_falls_silent_is_given_up(site):
    site.files["/a"] = Behaviour(b"x" * 200_000, hang=2, hangs=1)
    blocks = stream(site.url("/a"), start=0, stop=200_000, offer=Offer(200_000, True, '"one"', "", ""), timeout=0.2)
    assert next(blocks)
    with pytest.raises(Fault, match="the connection broke"):
        list(blocks)


def test_a_page_instead_of_the_file_is_refused(site):
    site.files["/a.zip"] = Behaviour(b"<html>Sign in</html>", kind="text/html; charset=utf-8")
    with pytest.raises(DataError, match="a web page"):
        offered(site.url("/a.zip"), timeout=2)


def test_a_redirect_is_followed_and_its_end_is_named(site):
    site.files["/a"], site.files["/b"] = Behaviour(leads_to=site.url("/b")), Behaviour(b"abc")
    assert offered(site.url("/a"), timeout=2).total == 3


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", f"http://user:{HIDDEN}@127.0.0.1/a", "data:text/plain,abc"])
def test_a_redirect_to_anything_else_is_refused(site, target):
    site.files["/a"] = Behaviour(leads_to=target)
    with pytest.raises(DataError, match="is not followed") as caught:
        offered(site.url("/a"), timeout=2)
    assert HIDDEN not in str(caught.value)


def test_a_ring_of_redirects_ends(site):
    site.files["/a"] = Behaviour(leads_to=site.url("/a"))
    with pytest.raises(DataError, match="302"):
        offered(site.url("/a"), timeout=2)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,abc"])
def test_other_protocols_are_not_opened(url):
    with pytest.raises(Fault):
        offered(url, timeout=2)


def test_an_untrusted_certificate_is_never_tried_again(monkeypatch):
    class Opener:
        def open(self, *_, **__):
            raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed"))

    monkeypatch.setattr(link, "make_opener", Opener)
    with pytest.raises(ResourceError, match="certificate"):
        offered("https://127.0.0.1/a", timeout=2)


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("change", [{"etag": '"two"'}, {"content": b"x" * 11}])
def test_a_file_that_changed_is_noticed_even_where_the_server_does_not_say(site, change, deaf):
    site.files["/a"] = Behaviour(b"0123456789")
    offer = offered(site.url("/a"), timeout=2)
    site.files["/a"] = Behaviour(**({"content": b"0123456789", "deaf": deaf} | change))
    with pytest.raises(ChangedError):
        _all(site.url("/a"), offer, 0, 5)


@pytest.mark.parametrize("deaf", [False, True])
def test_without_a_tag_the_date_tells_that_a_file_changed(site, deaf):
    site.files["/a"] = Behaviour(b"0123456789", etag="", modified="Thu, 01 Jan 2026 00:00:00 GMT")
    offer = offered(site.url("/a"), timeout=2)
    site.files["/a"] = Behaviour(b"9876543210", etag="", modified="Fri, 02 Jan 2026 00:00:00 GMT", deaf=deaf)
    with pytest.raises(ChangedError):
        _all(site.url("/a"), offer, 0, 5)


def test_a_body_that_ends_too_early_is_a_fault_after_what_was_right(site):
    site.files["/a"] = Behaviour(b"0123456789", cuts=[4])
    blocks = stream(site.url("/a"), start=0, stop=10, offer=Offer(10, True, '"one"', "", ""), timeout=2)
    assert next(blocks) == b"0123"
    with pytest.raises(Fault, match=r"6 bytes too early|broke"):
        next(blocks)
