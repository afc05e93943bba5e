# SPDX-License-Identifier: Apache-2.0
import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from fakes.films import SENTINEL, Spec, assign, make_manifest
from medsetu.core.errors import ConfigError, DataError
from medsetu.data.augment import Augmentation
from medsetu.data.datamodule import StageDataModule, prediction_loader
from medsetu.data.plan import DataPlan, TrainOn


@pytest.fixture
def both(tmp_path: Path, manifest: pd.DataFrame) -> pd.DataFrame:
    """24 global films and 20 local ones, in a manifest whose index says nothing."""
    local = make_manifest(tmp_path / "films", count=20, domain="local", first=100)
    return pd.concat([manifest, local]).sample(frac=1, random_state=0)


def make(manifest: pd.DataFrame, plan: DataPlan, assignment: pd.Series | None = None, **changes: object) -> StageDataModule:
    settings = {
        "findings": ["tuberculosis"],
        "train_on": TrainOn("global", batch_size=5),
        "watch": {"global": TrainOn("global"), "local": TrainOn("local")},
        "spec": Spec(),
        "plan": plan,
        "seed": 0,
    }
    assignment = assign(manifest.sort_values("sample_id")) if assignment is None else assignment
    return StageDataModule(manifest, assignment, **(settings | changes))


def every(manifest: pd.DataFrame, plan: DataPlan) -> DataLoader:
    """Load all rows of a manifest as a prediction does."""
    return prediction_loader(manifest, findings=["tuberculosis"], spec=Spec(), plan=plan)


def test_each_loader_shows_its_own_rows(both: pd.DataFrame, plan: DataPlan) -> None:
    data = make(both, plan)
    facts, split = both.set_index("sample_id"), assign(both.sort_values("sample_id"))
    loaders = {"train": data.train_dataloader()} | dict(zip(data.val_names, data.val_dataloader(), strict=True))
    assert list(loaders) == ["train", "global", "local"]
    for name, loader in loaders.items():
        wanted = ("train", "global") if name == "train" else ("val", name)
        shown = [sample for batch in loader for sample in batch["sample_id"]]
        rows = facts[(facts["domain"] == wanted[1]) & (split.reindex(facts.index) == wanted[0])]
        assert sorted(shown) == sorted(rows.index)


def test_labels_and_images_follow_their_sample(both: pd.DataFrame, plan: DataPlan) -> None:
    data = make(both, plan, findings=["effusion", "tuberculosis"])
    facts = both.set_index("sample_id")
    pictures = {name: image for batch in every(both, plan) for name, image in zip(batch["sample_id"], batch["image"], strict=True)}
    for batch in [*data.train_dataloader(), *data.val_dataloader()[1]]:
        rows = facts.loc[batch["sample_id"]]
        np.testing.assert_array_equal(batch["label"].numpy(), rows[["effusion", "tuberculosis"]].to_numpy(dtype=np.float32))
        assert batch["domain"].tolist() == [{"global": 0, "local": 1}[domain] for domain in rows["domain"]]
        assert torch.equal(batch["image"], torch.stack([pictures[name] for name in batch["sample_id"]]))


def test_a_batch_is_what_training_expects(both: pd.DataFrame, plan: DataPlan) -> None:
    spec = Spec(size=(12, 20), channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
    data = make(both, dataclasses.replace(plan, augment=Augmentation()), spec=spec)
    for batch in (next(iter(data.train_dataloader())), next(iter(data.val_dataloader()[0]))):
        count = len(batch["sample_id"])
        assert batch["image"].shape == (count, 3, 12, 20)
        assert batch["image"].dtype == batch["label"].dtype == torch.float32
        assert batch["label"].shape == (count, 1)
        assert batch["domain"].dtype == torch.int64
        assert float(batch["image"].min()) >= -2
        assert float(batch["image"].max()) <= 2 + 1e-5


def test_sentinel_never_appears_in_a_batch(both: pd.DataFrame, plan: DataPlan, tmp_path: Path) -> None:  # T44
    data = make(both, plan)
    for loader in (data.train_dataloader(), *data.val_dataloader(), every(both, plan)):
        for batch in loader:
            assert set(batch) - {"group"} == {"image", "label", "sample_id", "domain"}
            assert batch.get("group", batch["domain"]).dtype == torch.int64  # a bare number of a site
            assert SENTINEL not in str(batch)
            assert str(tmp_path) not in str(batch)


def test_sentinel_never_appears_in_an_error(both: pd.DataFrame, plan: DataPlan, caplog: pytest.LogCaptureFixture) -> None:  # T44
    row = both.iloc[0]
    (Path(row["root"]) / row["path"]).write_bytes(f"{SENTINEL} is no picture".encode())
    with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as error:
        list(every(both, plan))
    assert SENTINEL not in str(error.value) + caplog.text


def test_train_labels_are_those_of_the_training_rows(both: pd.DataFrame, plan: DataPlan) -> None:
    data = make(both, plan, findings=["effusion", "tuberculosis"])
    assert data.train_labels.shape == (len(data.train_rows), 2)
    assert int(data.train_labels[:, 0].isnan().sum()) == int(data.train_rows["effusion"].isna().sum()) > 0


def test_rows_without_a_known_label_are_left_out(both: pd.DataFrame, plan: DataPlan) -> None:
    data = make(both, plan, findings=["effusion"])
    assert data.train_rows["effusion"].notna().all()
    assert all(rows["effusion"].notna().all() for rows in data.val_rows.values())


def test_releases_narrow_a_side(both: pd.DataFrame, plan: DataPlan) -> None:
    both.loc[both["site"] == "site0", "release"] = "another"
    data = make(both, plan, train_on=TrainOn("global", ["another"]), watch={"global": TrainOn("global", ["another"])})
    assert set(data.train_rows["release"]) == {"another"}
    assert set(data.val_rows["global"]["release"]) == {"another"}


def test_samples_without_a_split_are_left_out(both: pd.DataFrame, plan: DataPlan) -> None:
    assignment = assign(both.sort_values("sample_id"))
    data = make(both, plan, assignment[assignment.index.str.startswith("global")])
    assert data.val_names == ("global",)


def test_one_class_is_refused(both: pd.DataFrame, plan: DataPlan) -> None:
    both["tuberculosis"] = 1.0
    with pytest.raises(DataError, match="one class"):
        make(both, plan)


def test_three_samples_are_refused(both: pd.DataFrame, plan: DataPlan) -> None:
    assignment = assign(both.sort_values("sample_id"))
    train = assignment[(assignment == "train") & assignment.index.str.startswith("global")]
    with pytest.raises(DataError, match="3 training samples"):
        make(both, plan, assignment.drop(train.index[3:]))


def test_nothing_to_select_on_is_refused_and_nothing_to_watch_is_told(
    both: pd.DataFrame, plan: DataPlan, caplog: pytest.LogCaptureFixture
) -> None:
    both.loc[both["domain"] == "local", "tuberculosis"] = np.nan
    with caplog.at_level(logging.WARNING):
        assert make(both, plan).val_names == ("global",)
    assert "'local'" in caplog.text
    split = both["sample_id"].map(assign(both.sort_values("sample_id")))
    both.loc[(split == "val") & (both["domain"] == "global"), "tuberculosis"] = np.nan
    with pytest.raises(DataError, match="no weights can be chosen"):
        make(both, plan)


def test_unknown_names_are_refused(both: pd.DataFrame, plan: DataPlan) -> None:
    with pytest.raises(ConfigError, match="tuberculosis"):
        make(both, plan, findings=["tubreculosis"])
    with pytest.raises(ConfigError, match="local"):
        make(both, plan, train_on=TrainOn("locale"))


def test_the_cache_is_shared_by_stages(both: pd.DataFrame, plan: DataPlan) -> None:
    make(both, plan).prepare_data()
    again = make(both, plan, train_on=TrainOn("local"))
    again.prepare_data()
    assert again._images is not None
    assert (again._images.counts.found, again._images.counts.built) == (5 + 4, 16)  # the watched films were there already


@pytest.mark.parametrize("sampler", ["natural", "class", "site", "patient"])
def test_every_sampler_trains(both: pd.DataFrame, plan: DataPlan, sampler: str) -> None:
    data = make(both, dataclasses.replace(plan, sampler=sampler))
    shown = sum(len(batch["sample_id"]) for batch in data.train_dataloader())
    assert shown == (data.train_rows["patient_id"].nunique() if sampler == "patient" else len(data.train_rows))


def test_a_side_is_met_without_its_labels_and_the_same_way_again(both: pd.DataFrame, plan: DataPlan) -> None:
    met = TrainOn("global", batch_size=5, meet="local")
    data, blind = (
        make(both, plan, train_on=met),
        make(both.assign(tuberculosis=both["tuberculosis"].where(both["domain"] == "global")), plan, train_on=met),
    )
    pictures = {name: image for batch in every(both, plan) for name, image in zip(batch["sample_id"], batch["image"], strict=True)}
    names = data.train_rows["sample_id"].tolist()[:5]
    first = data.unlabelled(names, 0)
    local = {index for index, name in enumerate(pictures) if name in set(data.met_rows["sample_id"])}
    every_picture = torch.stack(list(pictures.values()))
    assert all(int((every_picture - image).abs().flatten(1).sum(1).argmin()) in local for image in first)
    assert torch.equal(first, data.unlabelled(names, 0))
    assert torch.equal(first, blind.unlabelled(names, 0))
    assert not torch.equal(first, data.unlabelled(names, 1))
    assert data.train_labels.shape == make(both, plan).train_labels.shape
    assert len(make(both, plan).met_rows) == 0


def test_a_side_without_training_images_cannot_be_met(both: pd.DataFrame, plan: DataPlan) -> None:
    with pytest.raises(DataError, match="external"):
        make(both, plan, train_on=TrainOn("global", batch_size=5, meet="external"))


def test_without_findings_every_film_of_the_split_is_shown_labelled_or_not(both: pd.DataFrame, plan: DataPlan) -> None:
    both.loc[both.index[:3], "tuberculosis"] = np.nan
    module = make(both, plan, findings=())
    split = both["sample_id"].map(assign(both.sort_values("sample_id")))
    side = both["domain"] == "global"
    assert set(module.train_rows["sample_id"]) == set(both.loc[side & (split == "train"), "sample_id"])
    assert all(set(rows["sample_id"]) <= set(both.loc[split == "val", "sample_id"]) for rows in module.val_rows.values())
    assert module.train_labels.shape == (len(module.train_rows), 0)
    assert next(iter(module.train_dataloader()))["label"].shape[1] == 0


def test_views_of_a_film_differ_and_come_back(both: pd.DataFrame, plan: DataPlan) -> None:
    plan = dataclasses.replace(plan, augment=Augmentation())
    module = make(both, plan, findings=())
    names = [*module.train_rows["sample_id"][:2], *module.val_rows["global"]["sample_id"][:1]]
    one = module.view(names, 3, 1)
    assert one.shape[0] == 3
    assert torch.equal(make(both, plan, findings=()).view(names[::-1], 3, 1).flip(0), one)
    for epoch, number in ((3, 2), (4, 1)):
        assert not torch.equal(module.view(names, epoch, number), one)
    twice = module.view([names[0], names[0]], 3, 1)
    assert not torch.equal(twice[0], twice[1])


def test_classes_cannot_be_balanced_without_labels(both: pd.DataFrame, plan: DataPlan) -> None:
    with pytest.raises(DataError, match="cannot balance classes"):
        make(both, dataclasses.replace(plan, sampler="class"), findings=()).train_dataloader()


def test_processes_that_do_not_share_the_images_are_refused(both: pd.DataFrame, plan: DataPlan) -> None:
    """Each would show all of them."""
    data = make(both, plan)
    data.trainer = SimpleNamespace(world_size=2)
    with pytest.raises(ConfigError, match="2 processes train and the images are shared among 1"):
        data.train_dataloader()


def test_facts_are_those_of_the_training_films_and_no_others(both: pd.DataFrame, plan: DataPlan) -> None:
    generator = np.random.default_rng(0)
    both = both.assign(age_years=generator.uniform(20, 80, len(both)), sex=generator.choice(["F", "M", ""], len(both)))
    assignment = assign(both.sort_values("sample_id"))
    assignment.iloc[::6] = "test"
    asked = TrainOn("global", batch_size=5, facts=("age_years", "sex"))
    data = make(both, plan, assignment, train_on=asked)
    told = {name: fact for batch in data.train_dataloader() for name, fact in zip(batch["sample_id"], batch["auxiliary"], strict=True)}
    learned = (both["domain"] == "global") & (both["sample_id"].map(assignment) == "train")
    rows = both[learned].set_index("sample_id")
    assert set(told) == set(rows.index)
    for name, fact in told.items():
        assert fact[0] == pytest.approx((rows["age_years"][name] - rows["age_years"].mean()) / rows["age_years"].std(ddof=0), abs=1e-5)
        assert fact[1].item() == {"F": 0.0, "M": 1.0}.get(rows["sex"][name], pytest.approx(np.nan, nan_ok=True))
    assert data.auxiliary == {"age_years": 0, "sex": 2}
    for loader in (data.plain_train_dataloader(), *data.val_dataloader(), every(both, plan)):
        assert all("auxiliary" not in batch for batch in loader)
    hidden = both.assign(age_years=both["age_years"].where(learned, 1e6), sex=both["sex"].where(learned, "O"))
    assert make(hidden, plan, assignment, train_on=asked).targets == data.targets
    assert "auxiliary" not in next(iter(make(both, plan).train_dataloader()))
