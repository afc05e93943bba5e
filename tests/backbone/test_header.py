# SPDX-License-Identifier: Apache-2.0
"""The header of a weights file: read without a tensor, refused when it is not what was written."""

import json
import subprocess
import sys

import pytest

from medsetu.backbone.header import read_header
from medsetu.backbone.stored import read_stored
from medsetu.core.errors import WeightError


def weights(tmp_path, note=None):
    header = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    if note is not None:
        header["__metadata__"] = {"medsetu": json.dumps(note)}
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0\0\0\0")
    return path


def test_the_header_of_a_file_of_others_has_no_note(tmp_path):
    path = weights(tmp_path)
    assert read_header(path) == (read_stored(path).sha256, {}, ["a"])


def test_our_note_is_read(tmp_path):
    assert read_header(weights(tmp_path, {"findings": ["edema"]}))[1] == {"findings": ["edema"]}


@pytest.mark.parametrize("content", [b"", b"abc", (10).to_bytes(8, "little") + b"not json..", (2**60).to_bytes(8, "little"), None])
def test_what_is_no_weights_file_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightError, match="header of a weights file"):
        read_header(path)


def test_a_file_that_is_not_the_one_that_was_written_is_refused(tmp_path):
    path = weights(tmp_path)
    path.with_name("x.safetensors.sha256").write_text("0" * 64 + "  x.safetensors\n")
    with pytest.raises(WeightError, match="SHA-256 differs"):
        read_header(path)


def test_no_torch_is_needed():
    code = "import sys, medsetu.backbone.header\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
