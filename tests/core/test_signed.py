# SPDX-License-Identifier: Apache-2.0
"""What was changed by hand is refused, whatever was changed."""

import json

import pytest

from medsetu.core.errors import DataError
from medsetu.core.signed import read_signed, signature, write_signed

VALUE = {"plan": {"margin": 0.05, "seeds": [0, 1]}, "name": "demo"}


def read(path):
    return read_signed(path, name="seal", remedy="Restore it")


def test_it_comes_back_as_it_was(tmp_path):
    digest = write_signed(tmp_path / "a.json", VALUE)
    assert read(tmp_path / "a.json") == (VALUE, digest)
    assert digest == signature(VALUE)


@pytest.mark.parametrize("change", [{"name": "other"}, {"more": 1}, {"plan": {"margin": 0.1, "seeds": [0, 1]}}, {"sha256": "0" * 64}])
def test_a_change_is_refused(tmp_path, change):
    path = tmp_path / "a.json"
    write_signed(path, VALUE)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match="The seal is damaged or was changed"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"name": "demo"}'])
def test_what_is_no_signed_file_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        read(tmp_path / "a.json")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError):
        read(tmp_path / "a.json")
