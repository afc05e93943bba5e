# SPDX-License-Identifier: Apache-2.0
"""Transfers over broken, slow, changing and unwilling servers."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from fakes.server import Behaviour
from medsetu.catalog.file import RemoteFile
from medsetu.core.errors import AccessError, DataError, ResourceError
from medsetu.fetch import part as part_module
from medsetu.fetch import transfer as module
from medsetu.fetch.transfer import Patience, ask, begin, segments, transfer

MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


def _file(site, name="a.bin", **facts):
    return RemoteFile(url=site.url(f"/{name}"), name=name, **facts)


def _bring(files, folder, patience, *, connections=4, advance=lambda _: None):
    arrivals = [begin(file, offer, folder) for file, offer in zip(files, ask(files, patience=patience), strict=True)]
    return [arrival.path for arrival in transfer(arrivals, connections=connections, patience=patience, advance=advance)]


@pytest.mark.parametrize("how", [{}, {"ranges": False}, {"ranges": False, "length": -1}, {"etag": "", "modified": MODIFIED}])
def test_a_file_comes_whole_from_any_server(site, noise, tmp_path, hasty, how):
    site.files["/a.bin"] = Behaviour(noise, **how)
    arrived = []
    (path,) = _bring([_file(site)], tmp_path, hasty, advance=arrived.append)
    assert path.read_bytes() == noise
    assert sum(arrived) == len(noise)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.bin"]


def test_segments_share_out_what_is_missing():
    spans = [(5, 40 << 20), (41 << 20, (200 << 20) + 3)]
    cut = segments(spans, 4)
    assert part_module.join(cut) == spans
    assert len(cut) >= 16
    assert max(stop - start for start, stop in cut) <= module.LARGEST


def test_connections_work_side_by_side_and_no_more_than_asked_for(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise, rate=8 << 20)
    _bring([_file(site)], tmp_path, hasty, connections=4)
    assert site.most == 4  # requests that were answered at one time
    assert site.sent["/a.bin"] == len(noise) + 1  # and the byte of the offer


def test_several_files_share_the_connections(site, noise, tmp_path, hasty):
    files = [_file(site, f"{letter}.bin") for letter in "abc"]
    for number, file in enumerate(files):
        site.files[f"/{file.name}"] = Behaviour(noise[number : 1 << 20], rate=8 << 20)
    paths = _bring(files, tmp_path, hasty, connections=2)
    assert {path.name: path.read_bytes() for path in paths} == {f.name: noise[n : 1 << 20] for n, f in enumerate(files)}
    assert site.most == 2


def test_connections_that_break_again_and_again_lose_nothing(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise, cuts=[100_000, 1, 70_000, 300_000, 5, 400_000, 2, 3, 90_000])
    (path,) = _bring([_file(site)], tmp_path, hasty)
    assert path.read_bytes() == noise
    assert site.sent["/a.bin"] == len(noise) + 1  # every byte came once


def test_a_server_without_ranges_begins_again_and_the_bar_goes_back(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise, ranges=False, cuts=[200_000, 300_000])
    site.files["/a.bin"].cuts.insert(0, 10)  # the offer itself
    arrived = []
    (path,) = _bring([_file(site)], tmp_path, hasty, advance=arrived.append)
    assert path.read_bytes() == noise
    assert sum(arrived) == len(noise)
    assert min(arrived) < 0


def test_a_server_without_ranges_that_always_breaks_is_given_up(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise, ranges=False, cuts=[200_000] * 50)
    with pytest.raises(ResourceError, match="again and again"):
        _bring([_file(site)], tmp_path, hasty)


def test_a_server_that_is_busy_for_a_while_is_asked_again(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise, answers=[503, 500])
    assert _bring([_file(site)], tmp_path, hasty)[0].read_bytes() == noise


def test_a_server_that_hangs_is_left_and_asked_again(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = how = Behaviour(noise, hang=3, hangs=2)
    assert _bring([_file(site)], tmp_path, replace(hasty, timeout=0.2))[0].read_bytes() == noise
    assert how.hangs == 0  # both hung, and others brought the rest


def test_nobody_there_is_a_matter_of_the_network(tmp_path, hasty):
    file = RemoteFile(url="http://127.0.0.1:9/a?sig=ZZ^SENTINEL", name="a.bin")
    with pytest.raises(ResourceError, match="no connection") as caught:
        _bring([file], tmp_path, hasty)
    assert "SENTINEL" not in str(caught.value)


@pytest.mark.parametrize(("code", "error"), [(404, DataError), (403, AccessError)])
def test_a_refusal_in_the_middle_keeps_what_has_arrived(site, noise, tmp_path, hasty, code, error):
    site.files["/a.bin"] = Behaviour(noise)
    file = _file(site)
    arrival = begin(file, *ask([file], patience=hasty), tmp_path)
    arrival.part.write(0, noise[: 1 << 20])
    site.files["/a.bin"].answers = [code] * 20
    with pytest.raises(error):
        list(transfer([arrival], connections=2, patience=hasty))
    site.files["/a.bin"].answers, before = [], site.sent["/a.bin"]
    assert _bring([file], tmp_path, hasty)[0].read_bytes() == noise
    assert site.sent["/a.bin"] - before == len(noise) - (1 << 20) + 1


def test_a_length_other_than_that_of_the_card_is_refused_before_the_first_byte(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise)
    with pytest.raises(DataError, match="the card says 7"):
        _bring([_file(site, bytes=7)], tmp_path, hasty)
    assert list(tmp_path.iterdir()) == []


def test_a_content_length_that_lies_is_given_up_in_the_end(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise, ranges=False, length=len(noise) + 9)
    with pytest.raises(ResourceError, match="9 bytes too early"):
        _bring([_file(site)], tmp_path, hasty)
    assert not (tmp_path / "a.bin").exists()


def _left_half_done(site, noise, folder, patience):
    file = _file(site)
    arrival = begin(file, *ask([file], patience=patience), folder)
    arrival.part.write(0, noise[: 4 << 20])
    arrival.part.close()
    return file


@pytest.mark.parametrize("change", [{"etag": '"two"'}, {"etag": "", "modified": MODIFIED}])
def test_a_file_that_changed_since_is_begun_anew(site, noise, tmp_path, hasty, change):
    site.files["/a.bin"] = Behaviour(noise)
    file = _left_half_done(site, noise, tmp_path, hasty)
    site.files["/a.bin"] = Behaviour(noise[::-1], **change)
    assert _bring([file], tmp_path, hasty)[0].read_bytes() == noise[::-1]


def test_a_file_that_changes_on_the_way_is_refused_and_then_begun_anew(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise)
    file = _left_half_done(site, noise, tmp_path, hasty)
    arrival = begin(file, *ask([file], patience=hasty), tmp_path)
    site.files["/a.bin"] = Behaviour(noise[::-1], etag='"two"')
    with pytest.raises(DataError, match="another file"):
        list(transfer([arrival], connections=2, patience=hasty))
    assert _bring([file], tmp_path, hasty)[0].read_bytes() == noise[::-1]


@pytest.mark.parametrize(("digest", "resumed"), [(None, False), (f"md5:{'0' * 32}", True)])
def test_without_a_validator_only_a_digest_lets_a_part_be_kept(site, noise, tmp_path, hasty, digest, resumed):
    site.files["/a.bin"] = Behaviour(noise, etag="")
    file = _file(site, digest=digest)
    arrival = begin(file, *ask([file], patience=hasty), tmp_path)
    arrival.part.write(0, noise[: 4 << 20])
    arrival.part.close()
    _bring([file], tmp_path, hasty)
    assert (site.sent["/a.bin"] < len(noise)) == resumed


def test_a_full_disk_ends_all_and_keeps_what_has_arrived(site, noise, tmp_path, hasty, monkeypatch):
    site.files["/a.bin"] = Behaviour(noise)
    real, room = os.pwrite, [3 << 20]

    def full(handle, block, offset):
        room[0] -= len(block)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return real(handle, block, offset)

    with monkeypatch.context() as small:
        small.setattr(os, "pwrite", full)
        with pytest.raises(ResourceError, match="The disk is full"):
            _bring([_file(site)], tmp_path, hasty)
    before = site.sent["/a.bin"]
    assert _bring([_file(site)], tmp_path, hasty)[0].read_bytes() == noise
    assert site.sent["/a.bin"] - before < len(noise) - (1 << 20)


def test_an_interrupt_keeps_what_has_arrived(site, noise, tmp_path, hasty):
    site.files["/a.bin"], site.files["/b.bin"] = Behaviour(noise[:1000]), Behaviour(noise, rate=1 << 20)
    files = [_file(site, "a.bin"), _file(site, "b.bin")]
    arrivals = [begin(file, offer, tmp_path) for file, offer in zip(files, ask(files, patience=hasty), strict=True)]
    on_the_way = transfer(arrivals, connections=3, patience=hasty)
    assert next(on_the_way).path.name == "a.bin"
    time.sleep(0.4)
    with pytest.raises(KeyboardInterrupt):
        on_the_way.throw(KeyboardInterrupt)
    again = begin(files[1], arrivals[1].offer, tmp_path)
    assert again.part.arrived > 100_000
    again.part.close()


KILLED = """
import sys
from pathlib import Path
from medsetu.catalog.file import RemoteFile
from medsetu.fetch import part
from medsetu.fetch.transfer import Patience, ask, begin, transfer
part.SAVE_EVERY_S = 0.1
file, patience = RemoteFile(url=sys.argv[1], name="a.bin"), Patience()
list(transfer([begin(file, *ask([file], patience=patience), Path(sys.argv[2]))], connections=4, patience=patience))
"""


def test_what_came_before_a_sigkill_does_not_come_again(site, noise, tmp_path, hasty):
    site.files["/a.bin"] = Behaviour(noise, rate=1 << 20)
    process = subprocess.Popen([sys.executable, "-c", KILLED, site.url("/a.bin"), str(tmp_path)])
    deadline = time.monotonic() + 20
    while site.sent["/a.bin"] < 4 << 20 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.2)  # until the server notices
    before, site.files["/a.bin"].rate = site.sent["/a.bin"], None
    (path,) = _bring([_file(site)], tmp_path, hasty)
    assert path.read_bytes() == noise
    again = site.sent["/a.bin"] - before
    assert again < len(noise) - (2 << 20)  # of 4 MiB, at most those of the last tenth of a second and of the socket come again


def test_patience_doubles_up_to_its_end_and_gives_a_server_what_it_asks():
    patience = Patience(pause=1, longest=8)
    delays = [patience.delay(attempt, None) for attempt in range(1, 7)]
    assert all(0.8 * wanted <= delay <= 1.2 * wanted for delay, wanted in zip(delays, [1, 2, 4, 8, 8, 8], strict=True))
    assert patience.delay(1, 30.0) == 30
