# SPDX-License-Identifier: Apache-2.0
import pytest

from medsetu.manifest.build import build
from medsetu.manifest.flow import coverage_table, fold_sizes, is_crossfitted, participant_flow, split_table
from medsetu.manifest.plan import SplitPlan


@pytest.fixture
def prepared(make_release):
    world = make_release("world", patients=30, films=(1, 2), ids=True)
    india = make_release("india", patients=30, ids=False, seed=1)
    india.excluded = [("gone.png", "label row without image")] * 2
    (world.root / "p003_0.png").write_bytes(b"")
    (world.root / "p005_0.png").write_bytes((world.root / "p001_0.png").read_bytes())
    return build({"global": [world], "local": [india]}, plan=SplitPlan(), seed=0, workers=0)


def test_the_flow_adds_up(prepared):
    flow = participant_flow(prepared)
    for _, rows in flow.groupby("release"):
        total = rows.groupby("step")["samples"].sum()
        assert total["eligible"] == total.drop("eligible").sum()
    counted = {(row["release"], row["step"], row["reason"]): row["samples"] for _, row in flow.iterrows()}
    assert counted["world", "eligible", ""] == 45
    assert counted["world", "excluded", "exact copy of another sample"] == 1
    assert counted["world", "analysed", ""] == 43
    assert counted["india", "excluded", "label row without image"] == 2
    assert counted["india", "eligible", ""] == 32
    assert flow["domain"].tolist() == sorted(flow["domain"])


def test_the_split_table_counts_samples_patients_and_classes(prepared):
    table = split_table(prepared)
    world, india = (table[table["release"] == name] for name in ("world", "india"))
    assert world["split"].tolist() == ["train", "val", "test"]
    assert world["samples"].sum() == 43
    assert world["groups"].sum() == 29  # of 30 patients two share a film; the one with an unreadable film has another
    assert set(world["unit"]) == {"patient"}
    assert (india["split"].tolist(), india["unit"].tolist()) == (["crossfit"], ["image"])
    assert india[["present", "absent", "unknown"]].values.tolist() == [[15, 15, 0]]


def test_folds_are_summarised(prepared):
    sizes = fold_sizes(prepared).set_index(["domain", "split"])
    assert sizes.loc[("local", "test"), ["cells", "smallest", "largest"]].tolist() == [15, 6, 6]
    assert sizes.loc[("global", "test"), "cells"] == 1
    assert is_crossfitted(prepared, "local")
    assert not is_crossfitted(prepared, "global")


def test_coverage_counts_each_finding_on_each_side(make_release):
    world, india = make_release("world", patients=30, ids=True), make_release("india", patients=30, ids=False, seed=1)
    world.findings = india.findings = ("edema", "tuberculosis")
    world.rows["edema"], india.rows["edema"] = [1.0, 0.0, float("nan")] * 10, float("nan")
    table = coverage_table(build({"global": [world], "local": [india]}, plan=SplitPlan(), seed=0, workers=0))
    assert table.values.tolist() == [
        ["tuberculosis", "global", 1, 15, 30, 30],
        ["tuberculosis", "local", 1, 15, 30, 30],
        ["edema", "global", 1, 10, 20, 30],
        ["edema", "local", 0, 0, 0, 30],
    ]
