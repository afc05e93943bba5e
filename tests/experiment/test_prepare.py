# SPDX-License-Identifier: Apache-2.0
import io
import os
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from fakes.folder import write
from medsetu.core.errors import DataError
from medsetu.experiment.prepare import prepare, summary
from medsetu.manifest.frozen import load
from medsetu.manifest.plan import SplitPlan
from medsetu.release.nitrd import Nitrd

DATA = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


@pytest.fixture
def sides(tmp_path):
    world = write(tmp_path / "world", name="world", patients=40, films=(1, 2))
    india = write(tmp_path / "india", name="india", patients=20, ids=False, seed=1)
    india.excluded = [("gone.png", "label row without image")]
    return {"global": [world], "local": [india]}


def shown(prepared, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(summary(prepared))
    return console.file.getvalue()


def test_a_second_prepare_uses_the_frozen_manifest_and_says_so(sides, tmp_path):
    options = {"plan": SplitPlan(), "seed": 0, "folder": tmp_path / "out", "workers": 0}
    first, second = prepare(sides, **options), prepare(sides, **options)
    assert (first.facts["reused"], second.facts["reused"]) == (False, True)
    assert (first.facts["files_read"], second.facts["files_read"]) == (80, 0)
    assert first.fingerprint == second.fingerprint == load(tmp_path / "out").fingerprint
    pd.testing.assert_frame_equal(first.splits, second.splits)
    assert "unchanged, the frozen splits are used again" in shown(second)


def test_changed_data_are_refused_with_counts(sides, tmp_path):
    options = {"plan": SplitPlan(), "seed": 0, "folder": tmp_path / "out", "workers": 0}
    prepare(sides, **options)
    sides["local"][0].rows.loc[0, "tuberculosis"] = 1.0
    with pytest.raises(DataError, match="1 labels changed"):
        prepare(sides, **options)
    (tmp_path / "out" / "prepare.json").unlink()
    assert not prepare(sides, **options).facts["reused"]


def test_another_cache_folder_can_be_shared(sides, tmp_path):
    options = {"plan": SplitPlan(), "seed": 0, "workers": 0, "cache": tmp_path / "scan"}
    prepare(sides, folder=tmp_path / "one", **options)
    assert prepare(sides, folder=tmp_path / "two", **options).facts["files_known"] == 80
    assert not (tmp_path / "one" / "scan").exists()


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_tells_who_is_in(sides, tmp_path, width):
    (sides["global"][0].root / "p002_0.png").write_bytes(b"")
    prepared = prepare(sides, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    text = " ".join(shown(prepared, width).split())
    for words in ("quarantined", "label row", "by image", "crossfit", "15 cells", "59 ", prepared.fingerprint[:12], "no patient ids"):
        assert words in text
    assert max(map(len, shown(prepared, width).splitlines())) <= width


@pytest.mark.shared
@pytest.mark.skipif(not (DATA / "nitrd_da").is_dir(), reason="the real images of MEDSETU_DATA are not here")
def test_new_delhi_films_are_cross_fitted_and_hold_no_duplicates(tmp_path):
    release = Nitrd(DATA / "nitrd_da", part="A")
    prepared = prepare({"local": [release]}, plan=SplitPlan(), seed=0, folder=tmp_path / "out", workers=0)
    assert len(prepared.manifest) == 104
    assert prepared.quarantine.empty
    assert prepared.duplicates.empty
    tested = prepared.splits[prepared.splits["split"] == "test"]
    assert (tested.groupby(["repeat", "sample_id"]).size() == 1).all()
    assert set(tested.groupby(["repeat", "fold"]).size()) <= {20, 21, 22}
