# SPDX-License-Identifier: Apache-2.0
"""Where a verb's messages go: short lines to the terminal, dated lines to the run folder's ``log.txt``."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOGGER = logging.getLogger("medsetu")


@contextmanager
def journal(folder: Path | None = None) -> Iterator[None]:
    """Show the messages of medsetu while a verb runs, and keep them in a folder.

    Args:
        folder: Folder of ``log.txt``; terminal only when None.

    Yields:
        Nothing; handlers are removed afterwards.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(logging.Formatter("%(message)s"))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(folder / "log.txt"))
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = _LOGGER.level
    _LOGGER.setLevel(logging.INFO)
    for handler in handlers:
        _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            _LOGGER.removeHandler(handler)
            handler.close()
        _LOGGER.setLevel(level)
