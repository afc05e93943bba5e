# SPDX-License-Identifier: Apache-2.0
"""Signals are noticed inside the block only, and have the exit codes of the documented table."""

import json
import os
import signal
import threading

import pytest

from medsetu.core.errors import EXIT_CODES
from medsetu.training.stop import MARKER, SIGNALS, Signals, StoppedError, mark


@pytest.mark.parametrize("number", list(SIGNALS))
def test_a_signal_is_noticed_and_the_handler_before_comes_back(number):
    before = signal.getsignal(number)
    with Signals() as signals:
        assert signals.received == 0
        os.kill(os.getpid(), number)
        assert signals.received == number
    assert signal.getsignal(number) is before


def test_handlers_that_another_has_set_are_replaced_again():
    with Signals() as signals:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signals.install()
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM


def test_the_exit_codes_are_those_of_the_table():
    assert {number.name: StoppedError(number).exit_code for number in SIGNALS} == {"SIGTERM": 143, "SIGUSR1": 138}
    assert set(SIGNALS.values()) <= set(EXIT_CODES)
    assert "SIGUSR1" in str(StoppedError(signal.SIGUSR1))


def test_another_thread_changes_no_handler():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with Signals() as signals:
            seen.append(signal.getsignal(signal.SIGTERM) is before and signals.received == 0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]


def test_the_marker_says_where_the_stage_goes_on(tmp_path):
    mark(tmp_path, number=signal.SIGUSR1, epoch=2, step=17)
    assert json.loads((tmp_path / MARKER).read_text()) == {"signal": "SIGUSR1", "epoch": 2, "step": 17}
