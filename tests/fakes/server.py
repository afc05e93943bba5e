# SPDX-License-Identifier: Apache-2.0
"""A web server on this machine that misbehaves as asked: no ranges, broken and slow connections, changed files, redirects, refusals."""

import contextlib
import re
import socketserver
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 1 << 16


@dataclass
class Behaviour:
    """How one file is served.

    Attributes:
        content: Its bytes.
        ranges: Whether a part can be asked for.
        etag: Entity tag; empty for none.
        modified: Date of the last change; empty for none.
        cuts: Each request takes one of these numbers and closes after as many bytes, until none is left.
        answers: Each request takes one of these codes and answers with it, until none is left.
        length: What Content-Length says; None for the truth, -1 for nothing at all.
        rate: Bytes per second and connection; None for no limit.
        hang: Seconds without a byte, after the first block, for as many requests as ``hangs``.
        hangs: Requests that hang.
        leads_to: Where a redirect goes; empty for none.
        kind: Content type.
        retry_after: Seconds that a refusal asks for.
        deaf: Whether If-Range is ignored, as some servers do.
    """

    content: bytes = b""
    ranges: bool = True
    etag: str = '"one"'
    modified: str = ""
    cuts: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    length: int | None = None
    rate: float | None = None
    hang: float = 0.0
    hangs: int = 0
    leads_to: str = ""
    kind: str = "application/octet-stream"
    retry_after: str = ""
    deaf: bool = False


class Site(ThreadingHTTPServer):
    """The server.

    Attributes:
        files: Path -> behaviour; may be changed at any time.
        sent: Path -> bytes sent in bodies.
        asked: Path -> Range headers, empty where there was none.
        conditions: Path -> If-Range headers that came with them.
        most: Largest number of answers under way at once.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Behaviour] = {}
        self.sent: dict[str, int] = defaultdict(int)
        self.asked: dict[str, list[str]] = defaultdict(list)
        self.conditions: dict[str, list[str]] = defaultdict(list)
        self.most = self.busy = 0
        self.lock = threading.Lock()

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # that of HTTPServer asks the network for our name
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, request, client_address) -> None:  # a client that leaves early is no fault
        del request, client_address


@contextlib.contextmanager
def serving():
    """Serve until the end of the block."""
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        site.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def log_message(self, format, *args) -> None:
        del format, args

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        site, how = self.server, self.server.files.get(path)
        with site.lock:
            site.asked[path].append(self.headers.get("Range", ""))
            site.conditions[path].append(self.headers.get("If-Range", ""))
            site.busy += 1
            site.most = max(site.most, site.busy)
        try:
            self._answer(path, how)
        finally:
            with site.lock:
                site.busy -= 1

    def _answer(self, path: str, how: Behaviour | None) -> None:
        with self.server.lock:
            code = how.answers.pop(0) if how and how.answers else 404 if how is None else 302 if how.leads_to else 200
        if code != 200:
            self.send_response(code)
            if how and how.leads_to and code == 302:
                self.send_header("Location", how.leads_to)
            if how and how.retry_after:
                self.send_header("Retry-After", how.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, stop = self._part(how)
        self._head(how, start, stop)
        with self.server.lock:
            cut = how.cuts.pop(0) if how.cuts and stop - start > 1 else None
        self._body(path, how, how.content[start : stop if cut is None else min(stop, start + cut)])

    def _part(self, how: Behaviour) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range", "")
        same = how.deaf or not condition or condition in (how.etag, how.modified)
        if not (found and how.ranges and same):
            return 0, len(how.content)
        start, last = int(found[1]), int(found[2])
        if start >= len(how.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(how.content)}")
            self.end_headers()
            raise ConnectionAbortedError
        self.partial = True
        return start, min(last + 1, len(how.content))

    def _head(self, how: Behaviour, start: int, stop: int) -> None:
        partial = getattr(self, "partial", False)
        self.partial = False
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(how.content)}")
        if how.length != -1:
            self.send_header("Content-Length", str(stop - start if how.length is None else how.length))
        self.send_header("Content-Type", how.kind)
        for name, value in (("ETag", how.etag), ("Last-Modified", how.modified)):
            if value:
                self.send_header(name, value)
        self.end_headers()

    def _body(self, path: str, how: Behaviour, content: bytes) -> None:
        with self.server.lock:
            hang = how.hang if how.hangs and len(content) > 1 else 0.0
            how.hangs -= bool(hang)
        begun = time.monotonic()
        for at in range(0, len(content), BLOCK):
            block = content[at : at + BLOCK]
            if how.rate:
                time.sleep(max(0.0, begun + at / how.rate - time.monotonic()))
            if hang and at:
                time.sleep(hang)
            self.wfile.write(block)
            with self.server.lock:
                self.server.sent[path] += len(block)
