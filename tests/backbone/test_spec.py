# SPDX-License-Identifier: Apache-2.0
"""InputSpec and WeightSpec."""

import json

import pytest
import torch

from medsetu.backbone.spec import SCRATCH, InputSpec, WeightSpec
from medsetu.core.errors import ConfigError, DataError

COLOUR = InputSpec((4, 4), 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_normalise_uses_each_channel() -> None:
    image = torch.rand(2, 3, 4, 4)
    normal = COLOUR.normalise(image)
    for channel, (mean, std) in enumerate(zip(COLOUR.mean, COLOUR.std, strict=True)):
        torch.testing.assert_close(normal[:, channel], (image[:, channel] - mean) / std)


def test_a_grey_image_is_repeated() -> None:
    grey = torch.rand(1, 4, 4)
    torch.testing.assert_close(COLOUR.normalise(grey), COLOUR.normalise(grey.expand(3, -1, -1)))


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 4), (4, 3, 2, 4, 4)])
def test_other_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="3 channels"):
        COLOUR.normalise(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (0, 4)},
        {"channels": 2},
        {"mean": (0.5,)},
        {"std": (0.2, 0.2, 0.0)},
        {"std": (0.2, 0.2, -1.0)},
    ],
)
def test_impossible_inputs_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="impossible"):
        InputSpec(**{**COLOUR.to_dict(), **wrong})


def test_specs_survive_json() -> None:
    assert InputSpec.from_dict(json.loads(json.dumps(COLOUR.to_dict()))) == COLOUR
    weights = WeightSpec("hub", "abc", "0" * 64, "mit", ("a", "b"))
    assert WeightSpec.from_dict(json.loads(json.dumps(weights.to_dict()))) == weights


def test_channels_average_and_repeat() -> None:
    grey = COLOUR.with_channels(1)
    assert grey.mean == pytest.approx((0.449,))
    assert grey.with_channels(3).mean == pytest.approx((0.449,) * 3)
    assert COLOUR.with_channels(3) is COLOUR


def test_scratch_has_seen_nothing() -> None:
    assert SCRATCH.trained_on == ()
    assert SCRATCH.sha256 == ""
