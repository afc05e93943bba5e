# SPDX-License-Identifier: Apache-2.0
"""``medsetu monitor`` from files to files: order of time, thresholds, and every bad input by its name; no torch on the way."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.core.place import config_folder
from medsetu.core.table import read_table
from medsetu.experiment.monitor import main, read_folder, thresholds_of, windows

SENTINEL = "ZZ^SENTINEL"


def scores(number: int, *, patients: int = 40, lift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    label = (rng.random(patients) < 0.3).astype(int)
    logit = 2 * label - 1 + rng.normal(size=patients) + lift
    names = [f"{number}-{row}.png" for row in range(patients)]
    owner = [f"{SENTINEL}{number}-{row}" for row in range(patients)]
    return pd.DataFrame({"sample_id": names, "patient_id": owner, "label": label, "score": 1 / (1 + np.exp(-logit))})


def write(folder, *, batches: int = 9, lift: float = 0.0, **changes: object):
    folder.mkdir(exist_ok=True)
    for number in range(batches):
        table = scores(number, lift=lift if number >= 5 else 0.0).assign(**changes)
        table.to_csv(folder / f"scores_2026-01-{number + 1:02d}.csv", index=False)
    return folder


def config(folder, output, **changes: object):
    settings = {"average_run_length": 60, "slack": 0.5, "streams": 100, "watched": 40, "level": 0.95, "smallest_batch": 10, "seed": 0}
    shared = {"scores": str(folder), "output": str(output), "reference": None, "reference_batches": 3, "threshold": 0.5, "by": "file"}
    return {**settings, **shared, "columns": {}, **changes}


def test_a_change_is_found_written_and_told(tmp_path, capsys):
    main(config(write(tmp_path / "in", lift=2.5), tmp_path / "out"))
    told = json.loads((tmp_path / "out/monitor.json").read_text())
    assert told["alarm"] is True
    assert told["first_alarms"][0]["batch"] >= "scores_2026-01-06"
    assert told["thresholds"] == {"finding": 0.5}
    for name in ("monitor.parquet", "monitor.csv"):
        table = read_table(tmp_path / "out" / name)
        assert table["batch"].nunique() == 6
    text = capsys.readouterr().out
    assert "First alarm of finding" in text
    assert "on average" in text
    assert SENTINEL not in text + (tmp_path / "out/monitor.csv").read_text() + (tmp_path / "out/monitor.json").read_text()


def test_nothing_changed_says_so(tmp_path, capsys):
    main(config(write(tmp_path / "in"), tmp_path / "out"))
    assert "No alarm." in capsys.readouterr().out


def test_batches_follow_the_day_in_their_name_and_the_date_column(tmp_path):
    for name, day in (("b_20260102", "2026-03-04"), ("a_20260103", "2026-03-02")):
        scores(len(name) + int(day[-1])).assign(day=day).to_csv(tmp_path / f"{name}.csv", index=False)
    by_name = windows(read_folder(tmp_path, columns={}), reference=None, first=1, by="file")
    assert [name for name, _ in by_name[1]] == ["a_20260103"]
    by_column = windows(read_folder(tmp_path, columns={"date": "day"}), reference=None, first=1, by="day")
    assert [name for name, _ in by_column[1]] == ["2026-03-04"]


def test_the_reference_can_be_named(tmp_path):
    tables = read_folder(write(tmp_path / "in", batches=3), columns={})
    reference, batches = windows(tables, reference="scores_2026-01-02", first=4, by="file")
    assert reference["sample_id"].str.startswith("1-").all()
    assert len(batches) == 2


def test_other_names_of_columns_are_understood(tmp_path):
    scores(0).rename(columns={"score": "probability"}).to_csv(tmp_path / "a.csv", index=False)
    assert read_folder(tmp_path, columns={"score": "probability"})["a"]["score"].between(0, 1).all()
    (tmp_path / "else").mkdir()
    scores(7).rename(columns={"score": "probability"}).assign(sample_id=lambda rows: "r" + rows["sample_id"]).to_csv(
        tmp_path / "else" / "reference.csv", index=False
    )
    tables = read_folder(tmp_path, columns={"score": "probability"})
    named = {"reference": tmp_path / "else" / "reference.csv", "first": 1, "by": "file", "columns": {"score": "probability"}}
    assert windows(tables, **named)[0]["score"].between(0, 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 1.5}, "lie outside"),
        ({"score": np.nan}, "scores are missing"),
        ({"label": 3}, "neither 0, 1"),
        ({"sample_id": "same.png"}, "a second time"),
        ({"date": "soon"}, "are no dates"),
    ],
)
def test_bad_rows_are_named(tmp_path, change, message):
    scores(0).assign(**change).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path, columns={})


def test_missing_things_are_named(tmp_path):
    with pytest.raises(DataError, match="folder of scores is missing"):
        read_folder(tmp_path / "nowhere", columns={})
    with pytest.raises(DataError, match="holds no score table"):
        read_folder(tmp_path, columns={})
    scores(0).drop(columns="score").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="Column 'score' is missing"):
        read_folder(tmp_path, columns={})


def test_the_same_films_in_two_batches_are_refused(tmp_path):
    for name in ("a", "b", "c"):
        scores(0).to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.raises(DataError, match="score a film a second time"):
        windows(read_folder(tmp_path, columns={}), reference=None, first=1, by="file")


def test_nothing_to_watch_is_refused(tmp_path):
    tables = read_folder(write(tmp_path / "in", batches=2), columns={})
    with pytest.raises(DataError, match="No batch is left"):
        windows(tables, reference=None, first=2, by="file")
    with pytest.raises(ConfigError, match="no period"):
        windows(tables, reference=None, first=1, by="fortnight")


def test_several_models_are_refused(tmp_path):
    for number, arm in enumerate(("old", "new")):
        scores(number).assign(arm=arm).to_csv(tmp_path / f"{arm}.csv", index=False)
    with pytest.raises(DataError, match="Several models"):
        windows(read_folder(tmp_path, columns={}), reference=None, first=1, by="file")


def test_thresholds_are_never_mixed():
    one, two = (scores(number).assign(finding="tb", threshold=value) for number, value in enumerate((0.4, 0.5)))
    assert thresholds_of([one], given=None) == {"tb": 0.4}
    assert thresholds_of([one, two], given=0.0) == {"tb": 0.0}
    with pytest.raises(DataError, match="2 thresholds are mixed for 'tb'"):
        thresholds_of([one, two], given=None)
    with pytest.raises(DataError, match="'tb' has no threshold"):
        thresholds_of([one.drop(columns="threshold")], given=None)
    with pytest.raises(ConfigError, match="impossible"):
        thresholds_of([one], given={"tb": 1.2})


def test_the_verb_file_holds_the_keys_of_the_plan():
    text = (config_folder() / "monitor.yaml").read_text()
    for key in config("a", "b"):
        assert f"\n{key}:" in text


def test_no_torch_on_the_way():
    code = "import sys, medsetu.experiment.monitor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
