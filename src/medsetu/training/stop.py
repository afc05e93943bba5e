# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGUSR1 as wishes that are met between two steps, and the note that a stopped stage leaves."""

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from medsetu.core.run import write_json

MARKER = "resumable"
SIGNALS = {signal.SIGTERM: 143, signal.SIGUSR1: 138}  # and their exit codes: the end; Slurm's usual warning that the time limit is near


class StoppedError(Exception):
    """A stage has saved its place because a signal asked it to stop.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"Stopped by {signal.Signals(number).name}")

    @property
    def exit_code(self) -> int:
        """What a Linux shell shows of a process that the signal ended: 128 plus its number there, 143 or 138."""
        return SIGNALS[signal.Signals(self.number)]


class Signals:
    """Notice the signals of ``SIGNALS`` inside the block, and let whoever saves look when it can.

    A handler that saved at once would save in the middle of a step. Lightning registers handlers of its own when training begins, one of
    which talks to the other processes from inside the signal; ``install`` puts ours back in their place. Outside the main thread, where no
    handler can be set, nothing is noticed.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.install()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Set our handlers again."""
        for number in self._before:
            signal.signal(number, self._notice)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.received = max(self.received, number)


def mark(folder: Path, *, number: int, epoch: int, step: int) -> None:
    """Leave the note that a stage stopped on purpose and goes on when it is started again.

    Args:
        folder: Folder of the stage.
        number: The signal that stopped it.
        epoch: Zero-based epoch it goes on in.
        step: Optimizer steps done.
    """
    write_json(folder / MARKER, {"signal": signal.Signals(number).name, "epoch": epoch, "step": step})
