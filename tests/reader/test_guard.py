# SPDX-License-Identifier: Apache-2.0
"""Foreign faults become DataError, foreign words stay inside, and the warning filters come back."""

import logging
import threading
import warnings

import pytest

from medsetu.core.errors import DataError, ResourceError
from medsetu.reader.guard import Unreadable, guarded

SENTINEL = "ZZ^SENTINEL"


@guarded("test")
def fail_with(fault: BaseException, *, sample_id: str = "") -> None:
    raise fault


@pytest.mark.parametrize(
    "fault", [ValueError(SENTINEL), KeyError(SENTINEL), SyntaxError(SENTINEL), OSError(SENTINEL), StopIteration(SENTINEL)]
)
def test_sentinel_never_appears_in_the_error_or_its_context(fault: Exception) -> None:
    with pytest.raises(DataError) as caught:
        fail_with(fault, sample_id="a/b")
    assert SENTINEL not in str(caught.value)
    assert "a/b" in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_verdicts_keep_their_words() -> None:
    with pytest.raises(DataError, match=r"expected a picture and found a letter.*'s'.*Read it"):
        fail_with(Unreadable(expected="a picture", found="a letter", remedy="Read it"), sample_id="s")


def test_what_is_no_fault_of_the_file_passes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_with(KeyboardInterrupt())


def test_a_full_memory_is_named_and_no_fault_of_the_file() -> None:
    with pytest.raises(ResourceError, match=r"no memory left.*'s'"):
        fail_with(MemoryError(), sample_id="s")


def test_warnings_and_loggers_are_silent_inside_and_restored_outside(caplog: pytest.LogCaptureFixture) -> None:
    @guarded("test")
    def speak(*, sample_id: str = "") -> None:
        warnings.warn(SENTINEL, UserWarning, stacklevel=1)
        logging.getLogger("pydicom").warning(SENTINEL)
        logging.getLogger("PIL.PngImagePlugin").debug(SENTINEL)

    caplog.set_level(logging.DEBUG)
    before = list(warnings.filters)
    speak()
    assert SENTINEL not in caplog.text
    assert list(warnings.filters) == before
    logging.getLogger("pydicom").warning("heard again")
    assert "heard again" in caplog.text


def test_overlapping_threads_restore_the_filters() -> None:
    before = list(warnings.filters)
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    @guarded("test")
    def first(*, sample_id: str = "") -> None:
        first_in.set()
        second_in.wait(5)

    @guarded("test")
    def second(*, sample_id: str = "") -> None:
        second_in.set()
        first_out.wait(5)
        warnings.warn("still silent", UserWarning, stacklevel=1)

    one = threading.Thread(target=lambda: (first(), first_out.set()))
    two = threading.Thread(target=lambda: (first_in.wait(5), second()))
    one.start()
    two.start()
    one.join()
    two.join()
    assert list(warnings.filters) == before
