# SPDX-License-Identifier: Apache-2.0
import multiprocessing
import os

from medsetu.core.worker import cores, one_thread_each, run_batches


def squares(numbers):
    if 13 in numbers:
        os._exit(1)  # like a decoder that dies
    return [number * number for number in numbers]


def lost(number):
    return -number


def test_few_items_stay_in_this_process():
    assert list(run_batches(range(10), lambda batch: [os.getpid() for _ in batch], lost=lost, workers=4)) == [
        [os.getpid()] * 8,
        [os.getpid()] * 2,
    ]


def test_an_item_that_kills_its_process_is_named_and_the_rest_goes_on():
    found = [result for batch in run_batches(range(1, 41), squares, lost=lost, workers=2) for result in batch]
    assert sorted(found) == sorted([number * number for number in range(1, 41) if number != 13] + [-13])
    assert not multiprocessing.active_children()


def test_the_environment_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with one_thread_each():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_cores_are_counted():
    assert cores() >= 1
