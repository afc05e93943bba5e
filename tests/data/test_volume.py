# SPDX-License-Identifier: Apache-2.0
"""Volumes from file to batch: shapes in millimetres, one orientation, cached once, changed slice by slice alike."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from monai.transforms.croppad.array import ResizeWithPadOrCrop
from torch.nn import functional

from fakes.films import Spec, assign
from fakes.nifti import nifti
from fakes.series import slice_file
from fakes.volumes import SENTINEL, write
from medsetu.backbone.spec import InputSpec
from medsetu.backbone.zoo import MonaiBackbone
from medsetu.core.errors import ConfigError, DataError
from medsetu.core.run import sha256_file
from medsetu.core.table import MANIFEST_COLUMNS
from medsetu.data.augment import Augmentation
from medsetu.data.datamodule import StageDataModule, prediction_loader
from medsetu.data.intensity import Equalise, Percentile
from medsetu.data.pipeline import Pipeline
from medsetu.data.plan import DataPlan, TrainOn
from medsetu.data.volume import pad_or_crop, prepare_volume, resize, volume_shape
from medsetu.reader.sample import sample_digest

SIZE = (8, 12, 12)
WINDOW = (-100.0, 200.0)


def table(root: Path) -> pd.DataFrame:
    """Manifest of the fake volumes."""
    labels = pd.read_csv(root / "labels.csv")
    rows = []
    for row in labels.itertuples():
        fact = dict.fromkeys(MANIFEST_COLUMNS, "")
        fact |= {"sample_id": f"r/{row.file}", "release": "r", "domain": "global", "path": row.file, "root": str(root)}
        rows.append(fact | {"sha256": sample_digest(root / row.file), "bleed": float(row.bleed)})
    return pd.DataFrame(rows)


def test_one_scan_is_one_volume_in_both_formats(tmp_path):
    """The same voxels as NIfTI and as slices end in the same bytes of the cache: a domain is no file format."""
    scan = np.random.default_rng(0).integers(-900, 900, (6, 10, 8)).astype(np.int16)
    (tmp_path / "a.nii").write_bytes(nifti(scan.transpose(2, 1, 0), sform=np.diag([-0.5, -0.75, 2.5, 1.0]), pixdim=(1, 0.5, 0.75, 2.5)))
    (tmp_path / "ct").mkdir()
    for depth, pixels in enumerate(scan):
        (tmp_path / "ct" / f"{9 - depth}").write_bytes(slice_file(pixels, z=2.5 * depth))
    pipeline = Pipeline(SIZE, window=WINDOW)
    one, two = (prepare_volume(pipeline, path=tmp_path / name, sample_id=name) for name in ("a.nii", "ct"))
    np.testing.assert_array_equal(one, two)
    assert (one.shape, one.dtype) == (SIZE, np.uint16)
    assert np.ptp(one) > 10_000


@pytest.mark.parametrize(("fit", "shape"), [("pad", (12, 8, 5)), ("crop", (58, 36, 24)), ("stretch", (12, 24, 24))])
def test_the_aspect_is_that_in_millimetres(fit, shape):
    assert volume_shape((10, 20, 20), (12, 24, 24), spacing=(6.0, 1.875, 1.25), fit=fit) == shape


def test_an_axis_without_spacing_is_taken_like_the_others():
    assert volume_shape((10, 10, 10), (20, 20, 20), spacing=(np.nan, 2.0, 2.0), fit="pad") == (20, 20, 20)
    assert volume_shape((10, 20, 10), (20, 20, 20), spacing=(np.nan,) * 3, fit="pad") == (10, 20, 10)


def test_resizing_equals_torch_where_torch_can():
    voxels = np.random.default_rng(0).random((6, 7, 8), np.float32)
    larger = functional.interpolate(torch.from_numpy(voxels)[None, None], size=(12, 14, 16), mode="trilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(resize(voxels, (12, 14, 16)), larger.numpy(), atol=1e-5)
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 32)[:, None, None] * np.ones((64, 4, 4), np.float32)
    assert np.ptp(resize(stripes, (8, 4, 4))[1:-1]) < 0.1  # no aliasing along the depth


def test_padding_equals_monai():
    voxels = np.random.default_rng(0).random((5, 9, 4), np.float32)
    for size in ((8, 6, 4), (3, 12, 7), (5, 9, 4), (4, 4, 3)):
        np.testing.assert_array_equal(pad_or_crop(voxels, size), np.asarray(ResizeWithPadOrCrop(size)(voxels[None]))[0])


def test_a_window_and_its_absence(tmp_path):
    root = write(tmp_path, patients=2)
    path = root / "p01" / "thin"
    narrow, whole = (prepare_volume(Pipeline(SIZE, window=window), path=path, sample_id="a") for window in (WINDOW, None))
    assert narrow.std() > whole.std()
    assert Pipeline(SIZE, window=WINDOW).key != Pipeline(SIZE).key
    with pytest.raises(ConfigError, match="no window"):
        DataPlan(cache=tmp_path, window=(3.0, 3.0))


def test_steps_for_volumes(tmp_path):
    path = write(tmp_path, patients=1) / "p00" / "scan.nii.gz"
    shown = prepare_volume(Pipeline(SIZE, intensity=(Percentile(1, 99),)), path=path, sample_id="a")
    assert (shown.min(), shown.max()) == (0, 65535)
    with pytest.raises(ConfigError, match="made for pictures"):
        prepare_volume(Pipeline(SIZE, intensity=(Equalise(),)), path=path, sample_id="a")


def test_a_picture_is_no_volume_and_the_other_way_round(manifest, spec, plan, tmp_path):
    with pytest.raises(DataError, match="network of two dimensions"):
        prediction_loader(manifest, findings=["tuberculosis"], spec=Spec(size=SIZE), plan=plan)
    with pytest.raises(DataError, match="network of three dimensions"):
        prediction_loader(table(write(tmp_path / "v", patients=2)), findings=["bleed"], spec=spec, plan=plan)


def test_batches_of_volumes_train_a_network(tmp_path):
    frame = table(write(tmp_path / "v"))
    spec = InputSpec(SIZE, 1, (0.5,), (0.25,))
    plan = DataPlan(cache=tmp_path / "cache", window=WINDOW, augment=Augmentation(), build_workers=2, progress=False, memory_limit_gib=0)
    options = {"findings": ["bleed"], "train_on": TrainOn("global", batch_size=4), "watch": {"global": TrainOn("global")}}
    data = StageDataModule(frame, assign(frame, every=2), spec=spec, plan=plan, seed=0, **options)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 1, *SIZE)
    assert batch["image"].dtype == torch.float32
    assert SENTINEL not in repr(batch)
    network = MonaiBackbone("resnet10", dimensions=3, size=12).build(["bleed"], seed=0)
    loss = functional.binary_cross_entropy_with_logits(network(batch["image"]), batch["label"])
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    again = StageDataModule(frame, assign(frame, every=2), spec=spec, plan=plan, seed=0, **options)
    assert torch.equal(next(iter(again.train_dataloader()))["image"], batch["image"])
    assert again._opened().counts.built == 0
    assert not again._opened().in_memory
    assert next(iter(again.val_dataloader()[0]))["image"].shape[1:] == (1, *SIZE)


def test_every_slice_is_changed_alike():
    augment = Augmentation(noise_p=0, box_p=1.0, flip_p=0.5, blur_p=0.5)
    numbers = augment.draw(np.arange(4, dtype=np.uint64), seed=0, epoch=0, repeats=np.zeros(4, np.int64))
    flat = torch.rand(4, 1, 12, 10)
    deep = augment.apply(flat[:, :, None].expand(-1, -1, 3, -1, -1).contiguous(), numbers)
    for depth in range(3):
        torch.testing.assert_close(deep[:, :, depth], augment.apply(flat, numbers))


def test_a_changed_slice_is_noticed(tmp_path):
    frame = table(write(tmp_path / "v", patients=2))
    path = tmp_path / "v" / "p01" / "thin" / "CT000001.dcm"
    before = sha256_file(path)
    path.write_bytes(path.read_bytes() + b"\0\0")
    assert sha256_file(path) != before
    with pytest.raises(DataError, match="changed after the manifest"):
        prediction_loader(frame, findings=["bleed"], spec=Spec(size=SIZE), plan=DataPlan(cache=tmp_path / "c", build_workers=0))
