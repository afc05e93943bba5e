# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass

import pytest

from medsetu.core.errors import ResourceError
from medsetu.core.line import LineStore


@dataclass(frozen=True)
class Result:
    key: str
    count: int = 0


def test_what_was_kept_comes_back_and_the_last_word_counts(tmp_path):
    store = LineStore(tmp_path / "new" / "a.jsonl", Result)
    store.add([Result("a", 1), Result("", 2)])
    store.add([Result("b", 3), Result("a", 4)])
    assert LineStore(tmp_path / "new" / "a.jsonl", Result).load() == {"a": Result("a", 4), "b": Result("b", 3)}


def test_a_torn_line_takes_no_other_with_it(tmp_path):
    path = tmp_path / "a.jsonl"
    LineStore(path, Result).add([Result("a", 1)])
    with path.open("ab") as stream:
        stream.write(b'{"key": "b", "cou\xff')
    LineStore(path, Result).add([Result("c", 3)])
    assert set(LineStore(path, Result).load()) == {"a", "c"}


@pytest.mark.parametrize("line", ["[]", "7", '{"key": "a", "other": 1}', '"a"'])
def test_a_stranger_s_line_is_not_believed(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    assert LineStore(tmp_path / "a.jsonl", Result).load() == {}


def test_nothing_is_kept_without_a_file(tmp_path):
    store = LineStore(None, Result)
    store.add([Result("a")])
    store.forget()
    assert store.load() == {}


def test_forgotten_is_gone(tmp_path):
    store = LineStore(tmp_path / "a.jsonl", Result)
    store.forget()
    store.add([Result("a")])
    store.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="could not be kept"):
        LineStore(tmp_path / "file" / "a.jsonl", Result).add([Result("a")])
