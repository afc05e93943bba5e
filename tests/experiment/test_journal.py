# SPDX-License-Identifier: Apache-2.0
"""Messages of a verb: to the terminal, to ``log.txt``, and nowhere afterwards."""

import logging

import pytest

from medsetu.experiment.journal import journal

LOG = logging.getLogger("medsetu.somewhere")
ROOM = logging.getLogger("medsetu")


def test_messages_go_to_the_terminal_and_with_a_date_to_the_folder(tmp_path, capsys):
    with journal(tmp_path / "new"):
        LOG.info("as it happened")
        LOG.debug("too small to tell")
    assert capsys.readouterr().err == "as it happened\n"
    (line,) = (tmp_path / "new" / "log.txt").read_text().splitlines()
    assert line.startswith("20")
    assert line.endswith("INFO medsetu.somewhere: as it happened")


@pytest.mark.parametrize("folder", [True, False])
def test_handlers_and_level_are_put_back_even_after_an_error(tmp_path, folder):
    before = (list(ROOM.handlers), ROOM.level)

    def fail():
        with journal(tmp_path if folder else None):
            assert len(ROOM.handlers) == len(before[0]) + 1 + folder
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (list(ROOM.handlers), ROOM.level) == before


def test_a_second_run_adds_to_the_log(tmp_path):
    for number in range(2):
        with journal(tmp_path):
            LOG.info("run %d", number)
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 2
