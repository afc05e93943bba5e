# SPDX-License-Identifier: Apache-2.0
"""The monitor: nothing changed raises no alarm, a changed scanner or sicker patients do, what is absent is not invented."""

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import ConfigError, DataError
from medsetu.shift.monitor import CHARTS, DISTANCE, MonitorPlan, watch

PLAN = MonitorPlan(average_run_length=100, streams=150, watched=60)


def films(batch: int, *, patients: int = 50, lift: float = 0.0, labels: bool = True) -> pd.DataFrame:
    """Films of one batch, one or two per patient; ``lift`` moves all logits."""
    rng = np.random.default_rng([7, batch])
    owner = np.repeat(np.arange(patients), 1 + np.arange(patients) % 2)
    label = (rng.random(patients) < 0.3).astype(float)[owner]
    logit = 2 * label - 1.5 + rng.normal(size=patients)[owner] * 0.7 + rng.normal(size=owner.size) * 0.7 + lift
    return pd.DataFrame(
        {
            "sample_id": [f"b{batch}/{row}" for row in range(owner.size)],
            "patient_id": [f"b{batch}-p{code}" for code in owner],
            "finding": "tuberculosis",
            "score": 1 / (1 + np.exp(-logit)),
            "label": label if labels else np.nan,
        }
    )


def follow(*, lift: float = 0.0, labels: bool = True, since: int = 4, batches: int = 12):
    made = [(f"week {number:02d}", films(number, lift=lift if number >= since else 0.0, labels=labels)) for number in range(1, batches)]
    return watch(films(0, patients=150), made, thresholds={"tuberculosis": 0.5}, plan=PLAN)


def test_nothing_changed_raises_no_alarm():
    seen = follow()
    assert seen.alarms == ()
    assert set(seen.table["chart"]) == {*CHARTS, DISTANCE}
    assert len(seen.table) == 11 * 5
    assert (seen.table["limit"].dropna() == seen.limit).all()


def test_a_changed_scanner_is_found_and_larger_changes_sooner():
    first = [follow(lift=lift).alarms[0][0] for lift in (0.8, 2.5)]
    assert first[1] <= first[0]
    assert all(name >= "week 04" for name in first)


def test_without_labels_sensitivity_is_unknown_and_alerts_still_work():
    seen = follow(lift=1.5, labels=False)
    silent = seen.table[seen.table["chart"].isin(CHARTS[2:])]
    assert silent["value"].isna().all()
    assert not silent["alarm"].any()
    assert (silent["note"] == "no labels").all()
    assert seen.alarms[0][2] in CHARTS[:2]


def test_intervals_hold_their_values():
    table = follow().table.query("chart in @CHARTS").dropna(subset=["low"])
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


def test_a_small_batch_is_shown_but_not_charted():
    seen = watch(films(0, patients=100), [("a", films(1, patients=4)), ("b", films(2))], thresholds={"tuberculosis": 0.5}, plan=PLAN)
    small = seen.table[(seen.table["batch"] == "a") & (seen.table["chart"] == CHARTS[0])].iloc[0]
    assert np.isnan(small["score"])
    assert "not charted" in small["note"]
    assert np.isfinite(small["value"])


def test_a_threshold_of_zero_is_a_value():
    seen = watch(films(0, patients=60), [("a", films(1))], thresholds={"tuberculosis": 0.0}, plan=PLAN)
    assert seen.table.loc[seen.table["chart"] == "alert rate", "value"].tolist() == [1.0]


def test_the_same_seed_gives_the_same_limit():
    assert follow().limit == follow().limit


def test_a_small_reference_is_refused_with_what_it_takes():
    with pytest.raises(DataError, match="Give at least 30"):
        watch(films(0, patients=12), [("a", films(1))], thresholds={"tuberculosis": 0.5}, plan=PLAN)


def test_an_unknown_finding_is_named():
    with pytest.raises(DataError, match="'pneumothorax' has no threshold"):
        watch(films(0), [("a", films(1).assign(finding="pneumothorax"))], thresholds={"tuberculosis": 0.5}, plan=PLAN)


@pytest.mark.parametrize("change", [{"average_run_length": 2}, {"streams": 3}, {"slack": -1.0}, {"level": 1.0}, {"smallest_batch": 1}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ConfigError, match="out of range"):
        MonitorPlan(**change)
