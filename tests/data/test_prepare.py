# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.data.datamodule import sources
from medsetu.data.pipeline import Pipeline
from medsetu.data.prepare import prepared

PIPELINE = Pipeline((16, 16))


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
