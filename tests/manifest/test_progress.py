# SPDX-License-Identifier: Apache-2.0
import threading
import time

from rich.console import Console

from medsetu.manifest import progress as progress_module
from medsetu.manifest.progress import progress, working


def work(label):
    with progress(3, label=label) as advance:
        for _ in range(3):
            advance(1)


def test_silent_where_nobody_looks(capsys):
    work("Reading")
    assert capsys.readouterr() == ("", "")


def test_short_work_shows_nothing(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "Console", lambda **options: Console(force_terminal=True, **options))
    work("Reading")
    assert "Reading" not in capsys.readouterr().err


def test_long_work_shows_itself(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "Console", lambda **options: Console(force_terminal=True, **options))
    monkeypatch.setattr(progress_module, "PATIENCE", -1.0)
    work("Reading")
    assert "Reading" in capsys.readouterr().err


def test_work_without_steps_says_what_it_is(capsys, monkeypatch):
    with working("Indexing films"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress_module, "Console", lambda **options: Console(force_terminal=True, **options))
    with working("Indexing films"):
        pass
    assert "Indexing" not in capsys.readouterr().err
    monkeypatch.setattr(progress_module, "PATIENCE", 0.01)
    threads = threading.active_count()
    with working("Indexing films"):
        time.sleep(0.3)
    assert "Indexing films" in capsys.readouterr().err
    time.sleep(0.3)  # the thread that moves the line looks up every 80 ms
    assert threading.active_count() == threads
