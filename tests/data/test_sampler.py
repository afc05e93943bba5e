# SPDX-License-Identifier: Apache-2.0
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from medsetu.core.errors import DataError
from medsetu.data.sampler import SAMPLERS, EpochBatches, Order, class_weights, make_order


def order(name: str, manifest: pd.DataFrame, seed: int = 0) -> Order:
    return make_order(name, manifest, findings=["tuberculosis"], seed=seed)


@pytest.mark.parametrize("name", SAMPLERS)
def test_order_is_a_pure_function_of_seed_and_epoch(name: str, manifest: pd.DataFrame) -> None:
    one, two = order(name, manifest), order(name, manifest)
    two.epoch(5)
    assert one.epoch(3).tolist() == two.epoch(3).tolist()
    assert one.epoch(3).tolist() != one.epoch(4).tolist()
    assert one.epoch(3).tolist() != order(name, manifest, seed=1).epoch(3).tolist()
    assert len(one.epoch(0)) == len(one)


def test_natural_shows_each_image_once(manifest: pd.DataFrame) -> None:
    assert sorted(order("natural", manifest).epoch(0)) == list(range(24))


def test_class_shows_both_classes_alike(manifest: pd.DataFrame) -> None:
    shown = order("class", manifest).epoch(0)
    positive = manifest["tuberculosis"].to_numpy()[shown]
    assert positive.sum() == 12
    counts = Counter(shown.tolist())
    assert max(counts[row] for row in range(24) if manifest["tuberculosis"][row] == 0) == 1
    assert all(counts[row] == 2 for row in range(24) if manifest["tuberculosis"][row] == 1)


def test_site_shows_sites_alike(manifest: pd.DataFrame) -> None:
    uneven = manifest[(manifest["site"] == "site0") | (manifest.index < 6)].reset_index(drop=True)
    shown = uneven["site"].to_numpy()[order("site", uneven).epoch(0)]
    assert set(Counter(shown).values()) == {4}
    with pytest.raises(DataError, match="without a site"):
        order("site", manifest.assign(site=""))


def test_patient_shows_one_image_of_each(manifest: pd.DataFrame) -> None:
    patients = order("patient", manifest)
    shown = [patients.epoch(number) for number in range(30)]
    assert all(len(set(manifest["patient_id"].to_numpy()[rows])) == len(rows) == 12 for rows in shown)
    assert set(np.concatenate(shown)) == set(range(24))
    assert len(order("patient", manifest.assign(patient_id=np.nan))) == 24  # without ids an image is its own patient


def test_class_weights_average_the_known_findings() -> None:
    labels = np.array([[1.0, np.nan], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    weights = class_weights(labels)
    raw = np.array([1 / 2, (1 / 6 + 1 / 2) / 2, (1 / 6 + 1 / 4) / 2, (1 / 6 + 1 / 4) / 2])
    np.testing.assert_allclose(weights, raw / raw.sum())


def test_batches_cover_the_epoch_and_no_batch_holds_one_image() -> None:
    batches = EpochBatches(Order(0, 11), batch_size=5)
    sizes = [len(request.rows) for request in batches]
    assert sizes == [5, 6]
    assert len(batches) == 2
    assert [len(request.rows) for request in EpochBatches(Order(0, 3), batch_size=1)] == [1, 1, 1]
    assert [len(request.rows) for request in EpochBatches(Order(0, 3), batch_size=50)] == [3]


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("count", [12, 13, 21, 25, 40])
def test_processes_show_together_what_one_would_show(count: int, parts: int) -> None:
    one = EpochBatches(Order(3, count), batch_size=4 * parts)
    team = [EpochBatches(Order(3, count), batch_size=4, part=part, parts=parts) for part in range(parts)]
    for each in (one, *team):
        each.set_epoch(2)
    rows = [[request.rows for request in each] for each in team]
    assert len({len(each) for each in [*rows, *map(range, map(len, team))]}) == 1, "each has the same number of batches"
    sizes = [[len(batch) for batch in batches] for batches in zip(*rows, strict=True)]
    assert all(max(each) - min(each) <= 1 and min(each) >= 2 for each in sizes)
    assert np.concatenate([np.concatenate(batches) for batches in zip(*rows, strict=True)]).tolist() == one.order.epoch(2).tolist()


def test_too_few_images_for_all_processes_are_refused() -> None:
    with pytest.raises(DataError, match="too few for 2 devices"):
        EpochBatches(Order(0, 3), batch_size=4, part=0, parts=2)


def test_the_offset_is_used_once() -> None:
    batches = EpochBatches(Order(0, 20), batch_size=5)
    whole = [request.rows.tolist() for request in batches]
    batches.move_to(0, done=3)
    assert [request.rows.tolist() for request in batches] == whole[3:]
    assert [request.rows.tolist() for request in batches] == whole
    assert len(batches) == 4


def test_set_epoch_changes_the_order_and_keeps_a_restored_place() -> None:
    batches = EpochBatches(Order(0, 20), batch_size=5)
    batches.move_to(2, done=3)
    batches.set_epoch(2)
    assert batches.offset == 3
    batches.set_epoch(3)
    assert batches.offset == 0
    assert next(iter(batches)).epoch == 3


def test_repeats_count_within_the_epoch(manifest: pd.DataFrame) -> None:
    requests = list(EpochBatches(order("class", manifest), batch_size=5))
    pairs = [pair for request in requests for pair in zip(request.rows.tolist(), request.repeats.tolist(), strict=True)]
    assert len(set(pairs)) == len(pairs) == 24
    assert max(repeat for _, repeat in pairs) == 1
