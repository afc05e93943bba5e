# SPDX-License-Identifier: Apache-2.0
"""From source and weights to a network."""

import hashlib

import pytest
import torch

from medsetu.backbone.network import seeded
from medsetu.backbone.spec import SCRATCH
from medsetu.backbone.weights import save_weights
from medsetu.core.errors import ConfigError, WeightError

from .conftest import COLOUR, Tiny


def test_scratch_reads_grey_with_one_kernel(tiny) -> None:
    network = tiny(size=20).build(["mass"], seed=0)
    assert network.trunk.conv.in_channels == 1
    assert network.spec.size == (20, 20)
    assert network.weights == SCRATCH
    assert network.native == network.spec


def test_grey_through_colour_weights_is_exact(tiny, colour_file) -> None:
    """A grey image repeated through the original network equals the grey image through ours, borders included."""
    path, original = colour_file
    network = tiny(weights=f"file:{path}").build(["mass"], seed=0).eval()
    original.fc = torch.nn.Identity()
    grey = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = original(COLOUR.normalise(grey.expand(-1, 3, -1, -1)))
    assert network.spec.channels == 1
    torch.testing.assert_close(network.features(network.spec.normalise(grey)), expected, rtol=1e-5, atol=1e-6)


def test_summed_kernels_would_not_be_exact(colour_file) -> None:
    """The cheaper way differs by far more than rounding: this is why the channels are repeated."""
    _, original = colour_file
    grey = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    exact = original.conv(COLOUR.normalise(grey.expand(-1, 3, -1, -1)))
    summed = Tiny(1).conv
    summed.weight.data, summed.bias.data = original.conv.weight.sum(1, keepdim=True), original.conv.bias
    assert (summed(COLOUR.with_channels(1).normalise(grey)) - exact).abs().max() > 1e-2


def test_colour_images_need_no_repetition(tiny, colour_file) -> None:
    network = tiny(weights=f"file:{colour_file[0]}", channels=3).build(["mass"], seed=0)
    assert network.spec == COLOUR
    assert isinstance(network.stem, torch.nn.Identity)


def test_a_grey_file_is_read_as_grey(tiny, tmp_path) -> None:
    torch.save(Tiny(1).state_dict(), tmp_path / "grey.pt")
    network = tiny(weights=f"file:{tmp_path / 'grey.pt'}").build(["mass"], seed=0)
    assert network.trunk.conv.in_channels == 1
    with pytest.raises(ConfigError, match="read 1 channel"):
        tiny(weights=f"file:{tmp_path / 'grey.pt'}", channels=3).build(["mass"], seed=0)


def test_a_run_brings_size_rows_and_history(tiny, tmp_path, colour_file) -> None:
    teacher = tiny(weights=f"file:{colour_file[0]}", size=24).build(["mass", "nodule"], seed=0)
    teacher.mark_trained(["mass"])
    save_weights(teacher, tmp_path / "run" / "checkpoints" / "pretrain.safetensors")
    pupil = tiny(weights=f"run:{tmp_path / 'run'}").build(["tuberculosis", "nodule", "mass"], seed=7)
    assert pupil.spec == teacher.spec
    assert pupil.trained == ("mass",)
    torch.testing.assert_close(pupil.head.weight[2], teacher.head.weight[0])
    torch.testing.assert_close(pupil.head.weight[1], teacher.head.weight[1])
    grey = torch.rand(2, 1, 24, 24)
    torch.testing.assert_close(pupil.eval().features(grey), teacher.eval().features(grey))
    assert pupil.weights.origin == f"run:{tmp_path / 'run'}"
    assert len(pupil.weights.sha256) == 64


def test_another_architecture_is_refused_with_counts(tiny, colour_file) -> None:
    with pytest.raises(WeightError, match="6 of another shape"):
        tiny(weights=f"file:{colour_file[0]}", width=7).build(["mass"], seed=0)


def test_a_pinned_digest_is_compared(tiny, colour_file) -> None:
    path, _ = colour_file
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert tiny(weights=f"file:{path}", sha256=digest).build(["mass"], seed=0).weights.sha256 == digest
    with pytest.raises(WeightError, match="not the promised"):
        tiny(weights=f"file:{path}", sha256="0" * 64).build(["mass"], seed=0)


def test_an_impossible_size_is_a_config_error(tiny) -> None:
    class Strict(Tiny):
        def forward(self, image):
            return super().forward(image.reshape(-1, 1, 16, 16))

    source = tiny(size=15)
    object.__setattr__(source, "trunk", lambda *, channels, state: Strict(channels))
    with pytest.raises(ConfigError, match="15 x 15"):
        source.build(["mass"], seed=0)


def test_features_must_be_pooled(tiny) -> None:
    source = tiny()
    object.__setattr__(source, "trunk", lambda *, channels, state: torch.nn.Conv2d(channels, 2, 3))
    with seeded(0), pytest.raises(ConfigError, match="does not pool"):
        source.build(["mass"], seed=0)
