# SPDX-License-Identifier: Apache-2.0
"""Planted shortcuts are found, absent ones are not, and the real TB films give themselves away."""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.study import FINDING, crossfit_splits, fixed_splits, manifest, scored
from medsetu.core.errors import ConfigError
from medsetu.evaluation.plan import EvaluationPlan
from medsetu.manifest.build import build
from medsetu.manifest.plan import SplitPlan
from medsetu.release.tb_chest_radiography_database import TbChestRadiographyDatabase
from medsetu.shift.rung import BORDER_RING, FILE_FACTS, LUNGS_REMOVED, METADATA, RUNGS, THUMBNAIL
from medsetu.shift.shortcut import LADDER_COLUMNS, inflated_sides, ladder_verdicts, shortcut_ladders

PLAN = EvaluationPlan(primary=FINDING)
SHARED = Path(os.environ.get("MEDSETU_DATA", Path(__file__).parents[3] / "shared" / "data"))
NO_SPLITS = pd.DataFrame(columns=["sample_id", "domain", "repeat", "fold", "split"])


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    return manifest(tmp_path, np.random.default_rng(0), per_class=60)


def _skilled(rows: pd.DataFrame, *, seed: int = 0, skill: float = 1.5) -> np.ndarray:
    return 1 / (1 + np.exp(-(rows[FINDING] * skill + np.random.default_rng(seed).normal(size=len(rows))))).to_numpy()


def _tested(rows: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["sample_id"].isin(splits.loc[splits["split"] == "test", "sample_id"])]


def _ladder(rows: pd.DataFrame, splits: pd.DataFrame, *, seeds: int = 1) -> pd.DataFrame:
    tested = _tested(rows, splits) if len(splits) else rows
    predictions = pd.concat([scored(tested, _skilled(tested, seed=seed), seed=seed) for seed in range(seeds)])
    return shortcut_ladders(predictions, manifest=rows, splits=splits, finding=FINDING, plan=PLAN)


def _planted_bytes(rows: pd.DataFrame) -> pd.DataFrame:
    size = 1000 + 400 * rows[FINDING] + np.random.default_rng(1).integers(0, 300, len(rows))
    return rows.assign(file_bytes=size.astype(int))


@pytest.mark.parametrize("kind", ["fixed", "crossfit", "nothing trained"])
def test_planted_file_size_is_found_on_every_kind_of_side(rows: pd.DataFrame, kind: str) -> None:
    splits = {"fixed": fixed_splits(rows), "crossfit": crossfit_splits(rows), "nothing trained": NO_SPLITS}[kind]
    table = _ladder(_planted_bytes(rows), splits)
    assert list(table) == list(LADDER_COLUMNS)
    ladder = table.set_index("rung")
    assert tuple(ladder.index) == RUNGS
    assert ladder.loc[FILE_FACTS, "low"] > 0.85
    assert bool(ladder.loc[FILE_FACTS, "best"])
    assert ladder.loc[FILE_FACTS, "n_samples"] == (40 if kind == "fixed" else 120)
    assert ladder.loc[FILE_FACTS, "skill_above"] < 0
    assert "slightly too high" in ladder.loc[FILE_FACTS, "note"]
    assert not ladder.loc[[BORDER_RING, THUMBNAIL], "low"].gt(0.6).any()


def test_nothing_planted_nothing_found(rows: pd.DataFrame) -> None:
    ladder = _ladder(rows, crossfit_splits(rows))
    measured = ladder[ladder["value"].notna()]
    assert measured["rung"].tolist() == [BORDER_RING, THUMBNAIL, LUNGS_REMOVED]
    assert (measured["low"] < 0.5).all()
    assert (measured["skill_low"] > 0).all()
    assert inflated_sides(ladder) == set()


def test_planted_border_is_seen_by_the_ring_and_not_by_file_facts(rows: pd.DataFrame, tmp_path: Path) -> None:
    for path, label in zip(rows["path"], rows[FINDING], strict=True):
        film = np.array(Image.open(tmp_path / path))
        film[:4] = 230 if label else 90
        Image.fromarray(film).save(tmp_path / path)
    ladder = _ladder(rows, fixed_splits(rows)).set_index("rung")
    assert ladder.loc[BORDER_RING, "low"] > 0.8
    assert ladder.loc[FILE_FACTS, "note"] == "no facts"


def test_metadata_rung_without_facts_says_so(rows: pd.DataFrame) -> None:
    ladder = _ladder(rows, fixed_splits(rows)).set_index("rung")
    assert math.isnan(ladder.loc[METADATA, "value"])
    assert ladder.loc[METADATA, "note"] == "no facts"
    assert not bool(ladder.loc[METADATA, "best"])


def test_age_that_follows_the_label_is_metadata(rows: pd.DataFrame) -> None:
    age = 40 + 25 * rows[FINDING] + np.random.default_rng(2).normal(scale=8, size=len(rows))
    ladder = _ladder(rows.assign(age_years=age), fixed_splits(rows)).set_index("rung")
    assert ladder.loc[METADATA, "low"] > 0.85


def test_skill_above_is_the_paired_difference_on_the_same_films(rows: pd.DataFrame) -> None:
    rows = _planted_bytes(rows)
    splits = fixed_splits(rows)
    tested = _tested(rows, splits)
    ladder = _ladder(rows, splits).set_index("rung")
    wins = _skilled(tested)[tested[FINDING] == 1][:, None] > _skilled(tested)[tested[FINDING] == 0][None]
    assert ladder.loc[FILE_FACTS, "value"] + ladder.loc[FILE_FACTS, "skill_above"] == pytest.approx(wins.mean())


def test_films_the_model_did_not_score_leave_the_rungs_too(rows: pd.DataFrame) -> None:
    rows = _planted_bytes(rows)
    fewer = rows.iloc[5:]
    ladder = shortcut_ladders(scored(fewer, _skilled(fewer)), manifest=rows, splits=crossfit_splits(rows), finding=FINDING, plan=PLAN)
    assert ladder["n_samples"].unique().tolist() == [115]


def test_repeats_and_seeds_are_paired_by_number(rows: pd.DataFrame) -> None:
    ladder = _ladder(_planted_bytes(rows), crossfit_splits(rows, repeats=3), seeds=3).set_index("rung")
    assert "3 seeds" in ladder.loc[FILE_FACTS, "method"]


def test_every_arm_has_its_own_skill_above_the_same_rungs(rows: pd.DataFrame) -> None:
    rows = _planted_bytes(rows)
    weak = scored(rows, np.random.default_rng(5).random(len(rows)), arm="local-only")
    predictions = pd.concat([scored(rows, _skilled(rows)), weak])
    ladder = shortcut_ladders(predictions, manifest=rows, splits=crossfit_splits(rows), finding=FINDING, plan=PLAN)
    facts = ladder[ladder["rung"] == FILE_FACTS].set_index("arm")
    assert facts.loc["global-only", "value"] == facts.loc["local-only", "value"]
    assert facts.loc["global-only", "skill_above"] > facts.loc["local-only", "skill_above"]


def test_one_class_in_training_is_said_and_not_fitted(rows: pd.DataFrame) -> None:
    splits = fixed_splits(rows)
    positive = splits["sample_id"].map(rows.set_index("sample_id")[FINDING]) == 1
    splits["split"] = splits["split"].where((splits["split"] == "test") | positive, "unused")
    ladder = _ladder(_planted_bytes(rows), splits).set_index("rung")
    assert math.isnan(ladder.loc[FILE_FACTS, "value"])
    assert ladder.loc[FILE_FACTS, "note"] == "a training part has one class only"
    assert ladder_verdicts(ladder.reset_index())[0].sentence.startswith("No shortcut could be measured")


def test_one_class_in_the_test_is_nan_and_no_best_rung(rows: pd.DataFrame) -> None:
    splits = fixed_splits(rows)
    negative = splits["sample_id"].map(rows.set_index("sample_id")[FINDING]) == 0
    splits["split"] = splits["split"].where((splits["split"] != "test") | negative, "unused")
    ladder = _ladder(_planted_bytes(rows), splits)
    assert ladder["value"].isna().all()
    assert not ladder["best"].any()
    assert ladder.set_index("rung").loc[FILE_FACTS, "note"] == "one class only: no positives"


def test_one_class_side_is_nan(rows: pd.DataFrame) -> None:
    ladder = _ladder(_planted_bytes(rows)[rows[FINDING] == 1], NO_SPLITS)
    assert ladder["value"].isna().all()
    assert not ladder["best"].any()


def test_verdict_names_the_inflating_rung_and_says_what_is_left(rows: pd.DataFrame) -> None:
    ladder = _ladder(_planted_bytes(rows), fixed_splits(rows))
    verdict = ladder_verdicts(ladder)[0]
    assert verdict.inflated
    assert verdict.sentence.startswith("Reference inflated on the global side, Mixed sites: the classes are told apart by file facts alone")
    assert "skill above the shortcut is not shown (40 films by patient)" in verdict.sentence
    assert inflated_sides(ladder) == {"global"}


def test_thumbnail_alone_never_inflates(rows: pd.DataFrame) -> None:
    """An 8 x 8 thumbnail still holds the lungs: what it finds may be the disease."""
    ladder = _ladder(rows, fixed_splits(rows))
    high = ladder["rung"] == THUMBNAIL
    ladder.loc[high, ["value", "low", "high"]] = [0.97, 0.95, 0.99]
    assert not ladder_verdicts(ladder)[0].inflated


def test_ladder_is_the_same_twice_and_in_any_row_order(rows: pd.DataFrame) -> None:
    rows, splits = _planted_bytes(rows), fixed_splits(rows)
    first, again = _ladder(rows, splits), _ladder(rows.sort_values("sample_id", ascending=False), splits)
    assert first[["rung", "value"]].equals(_ladder(rows, splits)[["rung", "value"]])
    assert first["n_samples"].equals(again["n_samples"])


def test_unknown_finding_is_refused(rows: pd.DataFrame) -> None:
    predictions = scored(rows, _skilled(rows))
    with pytest.raises(ConfigError, match="No test prediction"):
        shortcut_ladders(predictions, manifest=rows, splits=NO_SPLITS, finding="effusion", plan=PLAN)
    with pytest.raises(ConfigError, match="not available"):
        shortcut_ladders(predictions.assign(finding="effusion"), manifest=rows, splits=NO_SPLITS, finding="effusion", plan=PLAN)


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "tb_chest_radiography_database").is_dir(), reason="the shared images are not here")
def test_global_tb_films_are_told_apart_without_looking_at_a_lung(tmp_path: Path) -> None:
    release = TbChestRadiographyDatabase(SHARED / "tb_chest_radiography_database")
    prepared = build({"global": [release]}, plan=SplitPlan(), seed=0, workers=1)
    tested = _tested(prepared.manifest, prepared.splits)
    ladder = shortcut_ladders(
        scored(tested, _skilled(tested, skill=3.0)),
        manifest=prepared.manifest,
        splits=prepared.splits,
        finding=FINDING,
        plan=PLAN,
        cache=tmp_path,
    ).set_index("rung")
    assert ladder["value"].max() > 0.9
    assert ladder.loc[FILE_FACTS, "value"] == pytest.approx(0.956, abs=0.05)
    assert ladder.loc[BORDER_RING, "value"] == pytest.approx(0.944, abs=0.05)
    assert ladder.loc[THUMBNAIL, "value"] == pytest.approx(0.953, abs=0.05)
    assert inflated_sides(ladder.reset_index()) == {"global"}
