# SPDX-License-Identifier: Apache-2.0
"""What stands between a foreign file and us: every fault of a decoder becomes a ``DataError``, and no header text leaves."""

import csv
import functools
import logging
import struct
import threading
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from PIL import Image
from pydicom.errors import BytesLengthException, InvalidDicomError

from medsetu.core.errors import DataError, MedsetuError, ResourceError

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

REMEDY = "Obtain the file again, or leave it in quarantine"

# Whatever Pillow, pydicom and the codecs raise on broken bytes. A full memory is no fault of the file: see ``_no_memory``.
FAULTS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    BytesLengthException,
    EOFError,
    Image.DecompressionBombError,
    InvalidDicomError,
    LookupError,
    OSError,
    RuntimeError,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
    csv.Error,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class Unreadable(Exception):  # noqa: N818  (a verdict on the file, turned into a DataError before anybody sees it)
    """The file is not what a reader can turn into a picture; raised inside the readers only.

    Args:
        expected: What would have been readable.
        found: What stood there; never text of a header.
        remedy: What to do about it.
    """

    def __init__(self, *, expected: str, found: str, remedy: str = REMEDY) -> None:
        super().__init__(expected, found, remedy)
        self.expected, self.found, self.remedy = expected, found, remedy


def refusal(*, sample_id: str, reader: str, expected: str, found: str, remedy: str = REMEDY) -> DataError:
    """Build the error that names sample, reader, what was expected and what was found.

    Args:
        sample_id: The sample; empty when the caller did not name one.
        reader: The reader that gave up.
        expected: What would have been readable.
        found: What stood there; never text of a header.
        remedy: What to do about it.

    Returns:
        The error, in three sentences.

    Example:
        >>> print(refusal(sample_id="nitrd/a.jpg", reader="image", expected="an image", found="an empty file"))
        The image reader expected an image and found an empty file. Sample 'nitrd/a.jpg'. Obtain the file again, or leave it in quarantine.
    """
    where = f"Sample '{sample_id}'" if sample_id else "A sample without id"
    return DataError(what=f"The {reader} reader expected {expected} and found {found}", where=where, remedy=remedy)


def _no_memory(reader: str, *, sample_id: str) -> ResourceError:
    return ResourceError(
        what=f"The {reader} reader found no memory left for this file",
        where=f"Sample '{sample_id}'" if sample_id else "A sample without id",
        remedy="Free memory or use fewer workers; if the file is not as large as it says, remove it",
    )


class _Quiet:
    """Mutes Python warnings and the loggers of pydicom and Pillow while at least one thread reads.

    Both quote header values, so neither may speak. ``warnings.catch_warnings`` alone would leave the wrong filters behind when two threads
    overlap: the first reader mutes, the last one restores.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._catcher = warnings.catch_warnings()
        self._levels: dict[str, int] = {}

    def __enter__(self) -> None:
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._catcher = warnings.catch_warnings()
                self._catcher.__enter__()
                warnings.simplefilter("ignore")
                for name in ("pydicom", "PIL"):
                    self._levels[name] = logging.getLogger(name).level
                    logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._catcher.__exit__(None, None, None)
                for name, level in self._levels.items():
                    logging.getLogger(name).setLevel(level)


_QUIET = _Quiet()


def guarded(reader: str) -> Callable[[Callable[_Given, _Result]], Callable[_Given, _Result]]:
    """Let a reading function raise nothing but ``DataError`` for a bad file, and let nothing it calls speak of headers.

    A file for which the memory does not suffice is a ``ResourceError``: another machine may read it.

    The new error is raised outside the handler on purpose: the decoder's own exception quotes header values and must not hang on
    as context.

    Args:
        reader: Name of the reader in the message.

    Returns:
        A decorator for functions with a keyword ``sample_id``.

    Example:
        >>> @guarded("number")
        ... def read_number(data: bytes, *, sample_id: str = "") -> int:
        ...     return int(data)
        >>> try:
        ...     read_number(b"ZZ^SENTINEL", sample_id="a/b")
        ... except DataError as error:
        ...     print(error.what)
        The number reader expected an intact file and found bytes it cannot decode (ValueError)
    """

    def decorate(read: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
        @functools.wraps(read)
        def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
            sample_id = str(kwargs.get("sample_id", ""))
            error: MedsetuError
            with _QUIET:
                try:
                    return read(*args, **kwargs)
                except MemoryError:
                    error = _no_memory(reader, sample_id=sample_id)
                except Unreadable as fault:
                    error = refusal(sample_id=sample_id, reader=reader, expected=fault.expected, found=fault.found, remedy=fault.remedy)
                except Image.DecompressionBombError:
                    error = refusal(sample_id=sample_id, reader=reader, expected="a film", found="more pixels than any film has")
                except FAULTS as fault:
                    found = f"bytes it cannot decode ({type(fault).__name__})"
                    error = refusal(sample_id=sample_id, reader=reader, expected="an intact file", found=found)
            raise error

        return call

    return decorate
