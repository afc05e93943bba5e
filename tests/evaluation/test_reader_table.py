# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pandas as pd
import pytest

from medsetu.evaluation.agreement import cohen_kappa, krippendorff_alpha
from medsetu.evaluation.reader_table import COLUMNS, reader_table


def votes(wrong, *, films=80, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random(films) < 0.4
    rows = [
        (f"s{film:03d}", "a", f"r{place}", "mass", float(truth[film] ^ (rng.random() < share)))
        for place, share in enumerate(wrong)
        for film in range(films)
    ]
    return pd.DataFrame(rows, columns=["sample_id", "release", "reader", "finding", "vote"])


def test_all_readers_first_then_each_against_the_others():
    said = votes([0.02, 0.02, 0.4])
    patient = pd.Series({name: f"p{name}" for name in said["sample_id"].unique()})
    table = reader_table(said, patient, replicates=200)
    assert list(table.columns) == list(COLUMNS)
    assert table["reader"].tolist() == ["all", "r0", "r1", "r2"]
    read = said.pivot(index="sample_id", columns="reader", values="vote")
    together = krippendorff_alpha(read.to_numpy(), cluster=patient.reindex(read.index).to_numpy(), replicates=200)
    assert table.loc[0, ["value", "low", "high"]].tolist() == [together.value, together.low, together.high]
    assert table["value"].iloc[1:].idxmin() == 3
    assert (table["low"] <= table["value"]).all()
    assert (table["high"] >= table["value"]).all()


def test_a_tie_of_the_others_is_no_reading():
    said = votes([0.1, 0.1, 0.1])
    table = reader_table(said, pd.Series(dtype=object), replicates=0).set_index("reader")
    read = said.pivot(index="sample_id", columns="reader", values="vote")
    tied = read["r1"] != read["r2"]
    expected = cohen_kappa(read["r0"][~tied], read["r1"][~tied], replicates=0)
    assert table.loc["r0", "value"] == pytest.approx(expected.value)
    assert table.loc["r0", "n_samples"] == int((~tied).sum())


def test_films_of_one_patient_count_together():
    said = votes([0.1, 0.3])
    names = said["sample_id"].unique()
    alone = reader_table(said, pd.Series({name: name for name in names}), replicates=300)
    twins = reader_table(said, pd.Series({name: f"p{place // 4}" for place, name in enumerate(names)}), replicates=300)
    assert (alone["n_patients"].iloc[0], twins["n_patients"].iloc[0]) == (80, 20)
    assert alone["value"].tolist() == twins["value"].tolist()


def test_one_reader_agrees_with_nobody():
    assert reader_table(votes([0.1]), pd.Series(dtype=object)).empty


def test_no_disagreement_on_one_class_is_undefined():
    table = reader_table(votes([0, 0]).assign(vote=0.0), pd.Series(dtype=object), replicates=10)
    assert table["value"].isna().all()
    assert (table["note"] != "").all()
