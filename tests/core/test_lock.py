# SPDX-License-Identifier: Apache-2.0
import sys
import threading

import pytest

from medsetu.core.lock import locked


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_the_second_waits_for_the_first(tmp_path):
    path = tmp_path / "new" / "lock"
    order = []

    def second():
        with locked(path):
            order.append("second")

    with locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_who_does_not_wait_is_told(tmp_path):
    with locked(tmp_path / "lock"), pytest.raises(BlockingIOError):
        locked(tmp_path / "lock", wait=False)
    locked(tmp_path / "lock", wait=False).close()


def test_what_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        locked(tmp_path / "file" / "lock")
