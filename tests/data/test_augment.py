# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from medsetu.core.errors import ConfigError
from medsetu.data.augment import Augmentation, sample_number

STILL = {
    "geometry_p": 0.0,
    "flip_p": 0.0,
    "intensity_p": 0.0,
    "invert_p": 0.0,
    "blur_p": 0.0,
    "noise_p": 0.0,
    "box_p": 0.0,
}
EVERYTHING = dict.fromkeys(STILL, 0.5)


def numbers(augment: Augmentation, count: int, *, seed: int = 0, epoch: int = 0) -> np.ndarray:
    samples = np.array([sample_number(str(number)) for number in range(count)], dtype=np.uint64)
    return augment.draw(samples, seed=seed, epoch=epoch, repeats=np.zeros(count, dtype=np.int64))


def pictures(count: int, *, height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, 1, height, width), dtype=np.float32))


@pytest.mark.parametrize("key", list(STILL))
def test_p_means_p(key: str) -> None:  # T27
    images = pictures(300)
    for p, low, high in ((1.0, 300, 300), (0.0, 0, 0), (0.1, 12, 52)):
        augment = Augmentation(**(STILL | {key: p}))
        changed = (augment.apply(images, numbers(augment, 300)) != images).flatten(1).any(dim=1)
        assert low <= int(changed.sum()) <= high


def bar(height: int, width: int) -> torch.Tensor:
    rows, columns = np.mgrid[:height, :width]
    rows, columns = rows - (height - 1) / 2, columns - (width - 1) / 2
    return torch.from_numpy(np.exp(-((columns / 18) ** 2 + (rows / 3) ** 2)).astype(np.float32))[None, None]


def angle(image: torch.Tensor) -> float:
    """Angle of the long axis in degrees, counter-clockwise as seen, from second moments in pixels."""
    weight = image[0].double().numpy()
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]].astype(float)
    columns -= (columns * weight).sum() / weight.sum()
    rows -= (rows * weight).sum() / weight.sum()
    up = -rows
    return float(np.degrees(0.5 * np.arctan2(2 * (weight * columns * up).sum(), (weight * (columns**2 - up**2)).sum())))


@pytest.mark.parametrize(("height", "width"), [(96, 96), (80, 128)])
def test_rotation_stays_in_range(height: int, width: int) -> None:  # T28
    augment = Augmentation(**(STILL | {"geometry_p": 1.0}), rotation=12, shift=0, zoom=0)
    drawn = numbers(augment, 200)
    turned = augment.apply(bar(height, width).expand(200, -1, -1, -1), drawn)
    measured = np.array([angle(image) for image in turned])
    assert np.abs(measured).max() <= 12.2
    assert measured.min() < -11
    assert measured.max() > 11
    np.testing.assert_allclose(measured, (2 * drawn[:, 1] - 1) * 12, atol=0.2)


def test_shift_and_zoom_are_shares_of_the_side() -> None:
    image = bar(64, 96).expand(200, -1, -1, -1)
    augment = Augmentation(**(STILL | {"geometry_p": 1.0}), rotation=0, shift=0.1, zoom=0)
    moved = augment.apply(image, numbers(augment, 200))
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    down = (moved[:, 0] * rows).sum((1, 2)) / moved.sum((1, 2, 3)) - 31.5
    right = (moved[:, 0] * columns).sum((1, 2)) / moved.sum((1, 2, 3)) - 47.5
    assert 5.5 < down.abs().max() <= 6.5
    assert 8.5 < right.abs().max() <= 9.7
    augment = Augmentation(**(STILL | {"geometry_p": 1.0}), rotation=0, shift=0, zoom=0.2)
    mass = augment.apply(image, numbers(augment, 200)).sum((1, 2, 3)) / image[0].sum()
    assert 0.64 - 0.01 <= mass.min() < 0.68
    assert 1.38 < mass.max() <= 1.44 + 0.01


@pytest.mark.parametrize("key", ["rotation", "shift", "zoom", "gamma", "contrast", "brightness", "blur", "noise", "box_count"])
def test_zero_is_a_value(key: str) -> None:  # T13
    amounts = {"rotation": 0, "shift": 0, "zoom": 0, "gamma": 0, "contrast": 0, "brightness": 0, "blur": 0, "noise": 0}
    gate = {"rotation": "geometry_p", "shift": "geometry_p", "zoom": "geometry_p", "blur": "blur_p", "noise": "noise_p"}
    gate |= {"box_count": "box_p"}
    augment = Augmentation(**(STILL | {gate.get(key, "intensity_p"): 1.0} | amounts | {key: 0}))
    images = pictures(8)
    torch.testing.assert_close(augment.apply(images, numbers(augment, 8)), images, atol=2e-5, rtol=0)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    augment = Augmentation(**EVERYTHING, box_count=2)
    drawn, images = numbers(augment, 37), pictures(37, height=33, width=47)
    whole = augment.apply(images, drawn)
    for rows in ([3], [36, 3], list(range(20))):
        assert torch.equal(augment.apply(images[rows], drawn[rows]), whole[rows])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(augment.apply(images, drawn), whole)
    finally:
        torch.set_num_threads(threads)


def test_every_part_of_the_key_counts() -> None:
    augment = Augmentation()
    sample = np.array([sample_number("a")], dtype=np.uint64)
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    drawn = [augment.draw(sample, seed=s, epoch=e, repeats=np.array([r])) for s, e, r in keys]
    assert len({one.tobytes() for one in drawn}) == len(keys)
    assert len({value for one in drawn for value in one[0].tolist()}) == sum(one.size for one in drawn)  # no number twice


def test_numbers_are_uniform_over_samples() -> None:
    drawn = numbers(Augmentation(), 4000)
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(drawn.T) - np.eye(drawn.shape[1])).max() < 0.08


def test_results_stay_intensities_and_the_input_is_left_alone() -> None:
    augment = Augmentation(**EVERYTHING, gamma=1.0, contrast=1.0, brightness=0.5, noise=0.5, zoom=0.5)
    images = pictures(64)
    before = images.clone()
    changed = augment.apply(images, numbers(augment, 64))
    assert torch.equal(images, before)
    assert changed.dtype == torch.float32
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1 + 1e-6


def test_boxes_are_white_and_of_the_stated_size() -> None:
    augment = Augmentation(**(STILL | {"box_p": 1.0}), box_count=1, box_size=(0.25, 0.25))
    changed = augment.apply(torch.zeros(50, 1, 64, 64), numbers(augment, 50))
    assert set(changed.unique().tolist()) == {0.0, 1.0}
    assert int(changed.sum((1, 2, 3)).max()) in range(15 * 15, 17 * 17 + 1)
    assert int((changed.sum((1, 2, 3)) > 0).sum()) == 50


def test_flip_is_left_right_and_exact() -> None:
    augment = Augmentation(**(STILL | {"flip_p": 1.0}))
    images = pictures(3)
    assert torch.equal(augment.apply(images, numbers(augment, 3)), images.flip(-1))


def test_blur_keeps_the_mean_and_lowers_the_variance() -> None:
    augment = Augmentation(**(STILL | {"blur_p": 1.0}), blur=2.0)
    images = pictures(40, height=64, width=64)
    blurred = augment.apply(images, numbers(augment, 40))
    assert abs(float(blurred.mean() - images.mean())) < 0.01
    assert bool((blurred.var(dim=(1, 2, 3)) <= images.var(dim=(1, 2, 3)) + 1e-6).all())


def test_noise_has_the_stated_size() -> None:
    augment = Augmentation(**(STILL | {"noise_p": 1.0}), noise=0.1)
    images = torch.full((100, 1, 64, 64), 0.5)
    sd = (augment.apply(images, numbers(augment, 100)) - images).std(dim=(1, 2, 3))
    assert float(sd.max()) == pytest.approx(0.1, abs=0.01)
    assert float(sd.mean()) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    "wrong",
    [{"rotation": 181}, {"geometry_p": 1.1}, {"noise": -0.1}, {"box_size": (0.5, 0.1)}, {"box_value": (0, 2)}, {"zoom": 1.0}],
)
def test_validators_fire(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Augmentation(**wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_pictures() -> None:
    augment = Augmentation(**EVERYTHING)
    drawn, images = numbers(augment, 32), pictures(32)
    torch.testing.assert_close(augment.apply(images.cuda(), drawn).cpu(), augment.apply(images, drawn), atol=1e-4, rtol=0)
