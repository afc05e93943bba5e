# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.core.run import sha256_file
from medsetu.data.datamodule import sources
from medsetu.data.pipeline import Pipeline
from medsetu.data.prepare import Source, prepared

PIPELINE = Pipeline((16, 16))


SHARED = Path(os.environ.get("MEDSETU_DATA", str(Path(__file__).parents[3] / "shared" / "data")))


def run(manifest: pd.DataFrame, workers: int) -> list[tuple[str, np.ndarray]]:
    return list(prepared(sources(manifest), PIPELINE, workers=workers, progress=False))


def test_processes_change_nothing(manifest: pd.DataFrame) -> None:
    alone, together = run(manifest, 0), run(manifest, 2)
    assert [key for key, _ in alone] == [key for key, _ in together] == manifest["sha256"].tolist()
    for (_, one), (_, two) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_changed_file_is_refused(manifest: pd.DataFrame, workers: int) -> None:
    row = manifest.iloc[20]
    (Path(row["root"]) / row["path"]).write_bytes(b"other")
    with pytest.raises(DataError, match="changed after the manifest") as error:
        run(manifest, workers)
    assert row["sample_id"] in str(error.value)


def test_a_missing_file_is_refused(manifest: pd.DataFrame) -> None:
    row = manifest.iloc[3]
    (Path(row["root"]) / row["path"]).unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        run(manifest, 0)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real images of MEDSETU_DATA are not here")
def test_real_films_are_prepared() -> None:
    folders = {"nih_chestxray14": "*.png", "tb_chest_radiography_database": "*.png", "nitrd_da": "*.jpg"}
    paths = [path for folder, names in folders.items() for path in sorted((SHARED / folder).rglob(names))[:4]]
    sources = [Source(path.name, path, sha256_file(path)) for path in paths]
    images = [image for _, image in prepared(sources, PIPELINE, workers=0, progress=False)]
    assert len(images) == 12
    assert all(image.shape == (16, 16) and np.ptp(image) > 10_000 for image in images)
