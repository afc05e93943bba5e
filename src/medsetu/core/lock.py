# SPDX-License-Identifier: Apache-2.0
"""One process at a time."""

import sys
from pathlib import Path
from typing import IO


def locked(path: Path, *, wait: bool = True) -> IO[str]:
    """Wait until no other process holds a lock, and take it; it is let go when the file is closed, and dies with its process.

    Args:
        path: The lock file; it is made, with its folder, and stays.
        wait: Wait for another process; otherwise that it holds the lock is an error.

    Returns:
        The open file, to be used with ``with``. On Windows nothing is locked.

    Raises:
        BlockingIOError: Another process holds it, and is not waited for.
        OSError: It cannot be written or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a", encoding="utf-8")
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            raise
    return stream
