# SPDX-License-Identifier: Apache-2.0
"""Other names, the same in every table; no place and no age above 89."""

import pandas as pd

from medsetu.experiment.rename import codes, renamed, without_places

TABLE = pd.DataFrame(
    {
        "sample_id": ["x/b.png", "x/a.png"],
        "patient_id": ["p1", None],
        "group_id": ["p1", "x/a.png"],
        "root": ["/films", "/films"],
        "study_id": ["s", "t"],
        "age_years": [95.0, 40.0],
        "label": [1.0, 0.0],
    }
)


def test_codes_keep_the_order_of_names_because_resamples_are_drawn_in_it():
    code = codes([TABLE])
    assert sorted(code, key=code.get) == sorted(code) == ["p1", "x/a.png", "x/b.png"]


def test_every_column_gets_the_same_code_and_missing_stays_missing():
    table = renamed(TABLE, codes([TABLE]))
    assert table["patient_id"].iloc[0] == table["group_id"].iloc[0] == "c0000000"
    assert table["group_id"].iloc[1] == table["sample_id"].iloc[1] == "c0000001"
    assert pd.isna(table["patient_id"].iloc[1])
    assert table["age_years"].tolist() == [90.0, 40.0]
    assert set(table["root"]) == set(table["study_id"]) == {""}
    assert table["label"].tolist() == [1.0, 0.0]


def test_a_recipe_keeps_no_folder_of_this_machine():
    raw = {"sides": {"local": {"mine": {"root": "/home/a/films", "labels": "~/l.csv", "columns": {"image": "file"}}}}, "lr": 0.1}
    raw["backbone"] = {"weights": "run:/home/a/runs/x", "name": "resnet18"}
    clean = without_places(raw)
    assert clean["sides"]["local"]["mine"] == {"root": "data/mine", "labels": "l.csv", "columns": {"image": "file"}}
    assert clean["backbone"] == {"weights": "run:x", "name": "resnet18"}
    assert clean["lr"] == 0.1
