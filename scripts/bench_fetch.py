# SPDX-License-Identifier: Apache-2.0
"""Speed of ``medsetu fetch`` from a server on this machine: to curl, to one urllib connection, and with connections held back.

python -m scripts.bench_fetch [--mib N] [--rounds N] [--rate MB/S] [--folder FOLDER]
"""

import argparse
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from medsetu.catalog.file import RemoteFile
from medsetu.fetch.check import check
from medsetu.fetch.transfer import Patience, ask, begin, transfer

BLOCK = 1 << 18


class Handler(BaseHTTPRequestHandler):
    """Serves one file, in ranges; /slow/ holds each connection back."""

    path_of: Path
    rate: float

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with the file or a part of it."""
        total = self.path_of.stat().st_size
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, stop = (int(found[1]), min(int(found[2]) + 1, total)) if found else (0, total)
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.flush()
        begun, sent, slow = time.monotonic(), 0, self.path.startswith("/slow/")
        with self.path_of.open("rb") as stream:
            while sent < stop - start:
                if slow:
                    time.sleep(max(0.0, begun + sent / self.rate - time.monotonic()))
                done = os.sendfile(
                    self.connection.fileno(), stream.fileno(), start + sent, min(BLOCK if slow else 1 << 24, stop - start - sent)
                )
                if not done:
                    return
                sent += done


def serve(path: Path, rate: float, port: "multiprocessing.Queue[int]") -> None:
    """Serve in a process of its own, so that server and client share no interpreter."""
    Handler.path_of, Handler.rate = path, rate
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port.put(server.server_address[1])
    server.serve_forever()


def ours(url: str, folder: Path, *, connections: int) -> None:
    """Fetch as the verb does, without the checksum."""
    file, patience = RemoteFile(url=url, name="ours.bin"), Patience()
    list(transfer([begin(file, *ask([file], patience=patience), folder)], connections=connections, patience=patience))


def plain(url: str, folder: Path) -> None:
    """Fetch with one urllib connection and ``shutil``, to the disk and no further."""
    with urllib.request.urlopen(url) as response, (folder / "plain.bin").open("wb") as stream:  # noqa: S310 - our own server
        shutil.copyfileobj(response, stream, BLOCK)
        stream.flush()
        os.fsync(stream.fileno())


def curl(url: str, folder: Path) -> None:
    """Fetch with curl, one connection, and sync."""
    subprocess.run(["curl", "-sS", "--noproxy", "*", "-o", str(folder / "curl.bin"), url], check=True)
    with (folder / "curl.bin").open("rb") as stream:
        os.fsync(stream.fileno())


def seconds(work: Callable[[], None], folder: Path) -> float:
    """Time one fetch into an empty folder."""
    for path in folder.iterdir():
        path.unlink()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=20.0, help="MB/s of each connection that is held back")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    os.environ["no_proxy"] = "127.0.0.1"
    with tempfile.TemporaryDirectory(dir=given.folder) as top:
        source, folder = Path(top) / "source.bin", Path(top) / "out"
        folder.mkdir()
        with source.open("wb") as stream:
            for _ in range(given.mib):
                stream.write(os.urandom(1 << 20))
        port: multiprocessing.Queue[int] = multiprocessing.Queue()
        process = multiprocessing.Process(target=serve, args=(source, given.rate * 1e6, port), daemon=True)
        process.start()
        base = f"http://127.0.0.1:{port.get()}"
        works: dict[str, Callable[[], None]] = {
            "plain": lambda: plain(f"{base}/fast/a", folder),
            "curl": lambda: curl(f"{base}/fast/a", folder),
            "medsetu 1": lambda: ours(f"{base}/fast/a", folder, connections=1),
            "medsetu 4": lambda: ours(f"{base}/fast/a", folder, connections=4),
            "slow plain": lambda: plain(f"{base}/slow/a", folder),
            "slow medsetu 4": lambda: ours(f"{base}/slow/a", folder, connections=4),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for number in range(given.rounds):
            for name, work in works.items():
                if number == 0 or not name.startswith("slow"):  # what is held back does not depend on the machine
                    times[name].append(seconds(work, folder))
        begun = time.perf_counter()
        check(folder / "ours.bin", RemoteFile(url=base, name="ours.bin"))
        digest = time.perf_counter() - begun
        process.terminate()
    megabytes = given.mib * 1.048576
    middle = {name: statistics.median(values) for name, values in times.items()}
    for name, value in middle.items():
        print(f"{name:16s} {megabytes / value:8.0f} MB/s   {[round(one, 2) for one in times[name]]} s")
    print(f"SHA-256 of it    {megabytes / digest:8.0f} MB/s")
    for one, other in (
        ("plain", "medsetu 1"),
        ("plain", "medsetu 4"),
        ("curl", "medsetu 1"),
        ("curl", "medsetu 4"),
        ("slow plain", "slow medsetu 4"),
    ):
        print(f"{other} / {one}: {middle[one] / middle[other]:.2f} times the speed")


if __name__ == "__main__":
    main()
