# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from medsetu.core.errors import ConfigError
from medsetu.training.mixing import Mixing

FILMS = torch.arange(8.0)[:, None, None, None].expand(8, 1, 16, 16).contiguous()
LABELS = torch.tensor([[0.0, 1.0]] * 4 + [[1.0, float("nan")]] * 4)


@pytest.mark.parametrize(("kind", "alpha"), [("mixup", 1.0), ("cutmix", 1.0)])
def test_p_means_p(kind: str, alpha: float) -> None:
    """T27: p = 1 changes every film, p = 0 none, p = 0.1 about one in ten."""
    for p, low, high in ((1.0, 0.97, 1.0), (0.0, 0.0, 0.0), (0.1, 0.06, 0.14)):
        mixing = Mixing(**{f"{kind}_p": p, f"{kind}_alpha": alpha})
        moved = [(mixing.mix(FILMS, LABELS, place=(0, 0, batch))[0] != FILMS).flatten(1).any(1) for batch in range(60)]
        assert low <= torch.cat(moved).float().mean() <= high


@pytest.mark.parametrize("mixing", [Mixing(mixup_p=1.0, mixup_alpha=1.0), Mixing(cutmix_p=1.0), Mixing(mixup_p=0.5, cutmix_p=0.5)])
def test_labels_follow_the_pictures(mixing: Mixing) -> None:
    """Each film is one number, so that its mean says how it was mixed; nobody is mixed with itself."""
    value = FILMS[:, 0, :1, 0]
    image, label = mixing.mix(FILMS, value.clone(), place=(3, 1, 4))
    assert torch.allclose(image.mean((1, 2, 3)), label[:, 0], atol=1e-5)
    assert not torch.equal(label, value)


def test_a_label_is_unknown_when_either_film_is() -> None:
    _, label = Mixing(mixup_p=1.0).mix(FILMS, LABELS, place=(0, 0, 0))
    known = ~label[:, 1].isnan()
    assert not label[:, 0].isnan().any()
    assert 0 < int(known.sum()) < 4  # some of the four films with a known label met an unknown one
    assert (label[known, 1] == 1).all()
    assert LABELS[4:, 1].isnan().all()
    untouched, same = Mixing(mixup_p=0.0).mix(FILMS, LABELS, place=(0, 0, 0))
    assert untouched is FILMS
    assert same is LABELS


def test_what_is_drawn_follows_seed_epoch_and_batch_alone() -> None:
    mixing = Mixing(mixup_p=0.5, cutmix_p=0.5)
    np.random.seed(1)  # noqa: NPY002 - must not matter
    torch.manual_seed(1)
    first = mixing.mix(FILMS, LABELS, place=(1, 2, 3))[0]
    torch.manual_seed(2)
    assert torch.equal(first, mixing.mix(FILMS, LABELS, place=(1, 2, 3))[0])
    for place in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not torch.equal(first, mixing.mix(FILMS, LABELS, place=place)[0])


def test_volumes_are_mixed_and_a_film_alone_stays() -> None:
    volume = torch.rand(4, 1, 3, 8, 8)
    assert Mixing(cutmix_p=1.0).mix(volume, LABELS[:4], place=(0, 0, 0))[0].shape == volume.shape
    assert Mixing(mixup_p=1.0).mix(FILMS[:1], LABELS[:1], place=(0, 0, 0))[0] is not None


@pytest.mark.parametrize("wrong", [{"mixup_p": 1.5}, {"mixup_p": 0.6, "cutmix_p": 0.6}, {"mixup_alpha": 0.0}])
def test_impossible_numbers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="stages"):
        Mixing(**wrong)
