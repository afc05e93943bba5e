# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from medsetu.data.pipeline import Pipeline
from medsetu.data.shard import DamagedShardError, read_shard, write_shard

PIPELINE = Pipeline((4, 5))


def write(folder: Path) -> Path:
    images = [np.full((4, 5), number, dtype=np.uint16) for number in range(3)]
    return write_shard(folder, ["a", "b", "c"], images)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shard = read_shard(write(tmp_path), PIPELINE)
    assert shard.keys == ("a", "b", "c")
    assert all(shard.is_sound(row) for row in range(3))
    np.testing.assert_array_equal(shard.images[2], np.full((4, 5), 2))


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    assert load_file(write(tmp_path))["images"].shape == (3, 4, 5)


def test_every_flipped_pixel_byte_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()
    for position in range(len(whole) - 3 * 4 * 5 * 2, len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        shard = read_shard(path, PIPELINE)
        assert sum(not shard.is_sound(row) for row in range(3)) == 1


@pytest.mark.parametrize("length", [0, 4, 20, 100, -1])
def test_a_truncated_file_is_damaged(tmp_path: Path, length: int) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedShardError):
        read_shard(path, PIPELINE)


def test_a_shard_of_another_size_or_type_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path)
    for other in (Pipeline((5, 5)), Pipeline((4, 5), storage="uint8")):
        with pytest.raises(DamagedShardError):
            read_shard(path, other)
