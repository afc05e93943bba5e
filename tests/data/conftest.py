# SPDX-License-Identifier: Apache-2.0
"""Films, an input contract and a plan for the tests of this room."""

from pathlib import Path

import pandas as pd
import pytest

from fakes.films import Spec, make_manifest
from medsetu.data.plan import DataPlan


@pytest.fixture
def manifest(tmp_path: Path) -> pd.DataFrame:
    """24 global films."""
    return make_manifest(tmp_path / "films")


@pytest.fixture
def spec() -> Spec:
    """One channel, 16 x 16 pixels, intensities as they are."""
    return Spec()


@pytest.fixture
def plan(tmp_path: Path) -> DataPlan:
    """Small batches, cache beside the films, everything in this process."""
    return DataPlan(cache=tmp_path / "cache", eval_batch_size=7, build_workers=0)
