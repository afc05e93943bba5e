# SPDX-License-Identifier: Apache-2.0
import errno
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.films import film
from medsetu.core.errors import DataError, ResourceError
from medsetu.core.run import sha256_file
from medsetu.data import cache
from medsetu.data.cache import Images, open_images, verify
from medsetu.data.datamodule import sources
from medsetu.data.intensity import Percentile
from medsetu.data.pipeline import Pipeline

PIPELINE = Pipeline((16, 16))


def opened(manifest: pd.DataFrame, folder: Path, pipeline: Pipeline = PIPELINE, *, limit: float = 1.0) -> Images:
    return open_images(sources(manifest), pipeline, folder=folder, workers=0, memory_limit_gib=limit, progress=False)


def everything(images: Images) -> np.ndarray:
    return images.take(np.arange(len(images)))


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_an_image_is_prepared_once(manifest: pd.DataFrame, folder: Path) -> None:
    first = opened(manifest, folder)
    assert (first.counts.asked, first.counts.found, first.counts.built) == (24, 0, 24)
    again = opened(manifest.iloc[::-1], folder)
    assert (again.counts.found, again.counts.built) == (24, 0)
    np.testing.assert_array_equal(everything(first)[::-1], everything(again))


def test_cache_sees_changes(manifest: pd.DataFrame, folder: Path) -> None:  # T35
    opened(manifest, folder)
    changed = opened(manifest, folder, Pipeline((16, 16), intensity=(Percentile(),)))
    assert changed.counts.built == 24
    row = manifest.iloc[5]
    path = Path(row["root"]) / row["path"]
    Image.fromarray(film(999)).save(path)
    manifest.loc[5, "sha256"] = sha256_file(path)
    renewed = opened(manifest, folder)
    assert (renewed.counts.found, renewed.counts.built) == (23, 1)


def test_only_what_is_missing_is_prepared(manifest: pd.DataFrame, folder: Path) -> None:
    opened(manifest.iloc[:10], folder)
    assert opened(manifest, folder).counts.built == 14


def test_equal_files_are_stored_once(manifest: pd.DataFrame, folder: Path) -> None:
    twice = pd.concat([manifest, manifest])
    images = opened(twice, folder)
    assert images.counts.built == 24
    np.testing.assert_array_equal(everything(images)[:24], everything(images)[24:])


def test_a_flipped_byte_is_prepared_again_counted_and_told(manifest: pd.DataFrame, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = everything(opened(manifest, folder))
    path = shards(folder)[0]
    data = bytearray(path.read_bytes())
    data[-700] ^= 4
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        images = opened(manifest, folder)
    assert (images.counts.found, images.counts.built, images.counts.damaged) == (23, 1, 1)
    assert "1 damaged" in caplog.text
    np.testing.assert_array_equal(everything(images), before)
    assert opened(manifest, folder).counts.damaged == 0


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 2000])
def test_a_file_that_is_no_shard_is_prepared_again(manifest: pd.DataFrame, folder: Path, content: bytes) -> None:
    before = everything(opened(manifest, folder))
    shards(folder)[0].write_bytes(content)
    images = opened(manifest, folder)
    assert (images.counts.built, images.counts.damaged) == (24, 1)
    np.testing.assert_array_equal(everything(images), before)


def test_damage_outside_what_is_asked_for_is_not_blessed(manifest: pd.DataFrame, folder: Path) -> None:
    opened(manifest, folder)
    path = shards(folder)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the last image
    data[-24 * 512] ^= 1  # the first image
    path.write_bytes(data)
    assert opened(manifest.iloc[:1], folder).counts.damaged == 1
    assert opened(manifest, folder).counts.built == 1


def test_verify_counts_and_drops_damage(manifest: pd.DataFrame, folder: Path) -> None:
    opened(manifest, folder)
    assert verify(folder, PIPELINE).damaged == 0
    path = shards(folder)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    counts = verify(folder, PIPELINE)
    assert (counts.asked, counts.found, counts.damaged) == (24, 23, 1)
    assert verify(folder, PIPELINE).damaged == 0


def test_mapped_and_held_images_are_equal(manifest: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SHARD_BYTES", 5 * 512)  # five images per file
    held = opened(manifest, folder)
    mapped = opened(manifest, folder, limit=0)  # T13: zero means always mapped
    assert len(shards(folder)) == 5
    assert held.in_memory
    assert not mapped.in_memory
    np.testing.assert_array_equal(everything(held), everything(mapped))
    some = np.array([7, 7, 0, 23])
    np.testing.assert_array_equal(mapped.subset(some).take(np.array([1, 3])), everything(held)[[7, 23]])


def test_an_interrupted_build_keeps_what_it_had(manifest: pd.DataFrame, folder: Path) -> None:
    row = manifest.iloc[20]
    path = Path(row["root"]) / row["path"]
    whole = path.read_bytes()
    path.write_bytes(b"broken")
    with pytest.raises(DataError):
        opened(manifest, folder)
    path.write_bytes(whole)
    assert opened(manifest, folder).counts.built == 8  # two messages of eight were kept


def test_a_full_disk_is_refused_clearly(manifest: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match="No space left"):
            opened(manifest, folder)
    assert not list(folder.rglob("*.tmp"))
    assert opened(manifest, folder).counts.built == 24


def test_a_cache_folder_that_cannot_be_made_is_refused(manifest: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"data\.cache"):
        opened(manifest, tmp_path / "file" / "cache")


def test_no_sample_is_refused(manifest: pd.DataFrame, folder: Path) -> None:
    with pytest.raises(DataError, match="No image"):
        opened(manifest.iloc[:0], folder)


def test_the_cache_names_no_patient_and_no_path(manifest: pd.DataFrame, folder: Path, tmp_path: Path) -> None:  # T44
    opened(manifest, folder)
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"SENTINEL" not in path.read_bytes()
            assert str(tmp_path).encode() not in path.read_bytes()
