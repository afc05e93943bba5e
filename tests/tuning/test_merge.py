# SPDX-License-Identifier: Apache-2.0
"""Weights between two networks and averages of several, number by number."""

import copy

import pytest
import torch

from medsetu.backbone.zoo import TimmBackbone
from medsetu.core.errors import ConfigError
from medsetu.tuning.merge import Member, Soup, WiseFT, average, between


def network(seed: int = 0, findings=("mass", "effusion"), name: str = "test_resnet"):
    made = TimmBackbone(name, size=32).build(findings, seed=seed)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.fill_(seed + 1.0)
    made.mark_trained(findings)
    return made


def equal(one, two) -> bool:
    return all(torch.equal(tensor, two.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_the_ends_of_the_line_are_start_and_end_bit_for_bit() -> None:
    start, end = network(0), network(1)
    assert equal(between(start, end, alpha=0.0), start)
    assert equal(between(start, end, alpha=1.0), end)
    middle = between(start, end, alpha=0.25).state_dict()
    for name, tensor in start.state_dict().items():
        if tensor.is_floating_point():
            assert torch.allclose(middle[name], 0.75 * tensor + 0.25 * end.state_dict()[name], atol=1e-6), name
    assert middle["trunk.bn1.running_mean"][0] == 1.25


def test_a_finding_without_a_start_keeps_the_row_of_the_end() -> None:
    start, end = network(0), network(1)
    start.trained = ("effusion",)
    mixed = between(start, end, alpha=0.0)
    assert torch.equal(mixed.head.weight[0], end.head.weight[0])
    assert torch.equal(mixed.head.weight[1], start.head.weight[1])
    assert mixed.head.bias[0] == end.head.bias[0]
    assert set(mixed.trained) == {"mass", "effusion"}


def test_wise_ft_takes_the_place_that_the_judge_likes() -> None:
    start, end = network(0), network(1)
    liked = between(start, end, alpha=0.5)

    def judge(candidate) -> float:
        return -float((candidate.trunk.bn1.running_mean - liked.trunk.bn1.running_mean).abs().sum())

    chosen, details = WiseFT().merge(start, [end], judge=judge)
    assert details["alpha"] == 0.5
    assert equal(chosen, liked)
    assert details["without_start"] == []
    assert WiseFT(alphas=(0.2,)).merge(start, [end], judge=judge)[1]["alpha"] == 0.2
    assert WiseFT().merge(start, [end], judge=lambda _: 0.0)[1]["alpha"] == 0.0, "of equally good ones the first"


def test_an_average_is_one_of_each_number() -> None:
    members = [network(seed) for seed in range(3)]
    before = copy.deepcopy(members)
    mean = average(members).state_dict()
    for name, tensor in mean.items():
        stacked = torch.stack([member.state_dict()[name].double() for member in members])
        assert torch.allclose(tensor.double(), stacked.mean(0), atol=1e-6) or not tensor.is_floating_point(), name
    assert all(equal(*pair) for pair in zip(members, before, strict=True))


def test_a_greedy_soup_leaves_out_what_harms() -> None:
    worth = {0: 0.5, 1: 0.9, 2: 0.8}
    members = [network(seed) for seed in worth]
    marks = {float(member.trunk.bn1.running_mean[0]): worth[seed] for seed, member in enumerate(members)}  # 1, 2, 3

    def judge(candidate) -> float:
        return marks.get(float(candidate.trunk.bn1.running_mean[0]), 0.95 if float(candidate.trunk.bn1.running_mean[0]) == 2.5 else 0.1)

    chosen, details = Soup(rates=(1, 1, 1)).merge(network(9), members, judge=judge)
    assert details["used"] == [1, 2], "0 would make the mean 2, which is worth 0.9"
    assert equal(chosen, average([members[1], members[2]]))
    everything, details = Soup(rates=(1, 1, 1), greedy=False).merge(network(9), members, judge=judge)
    assert details["used"] == [0, 1, 2]
    assert equal(everything, average(members))


def test_members_differ_in_rate_and_draw() -> None:
    assert Soup(rates=(1.0, 0.5)).members() == (Member(1.0, 0), Member(0.5, 1))
    assert WiseFT().members() == (Member(1.0, 0),)


@pytest.mark.parametrize("other", [{"findings": ("effusion", "mass")}, {"findings": ("mass",)}, {"name": "test_vit"}])
def test_unlike_networks_are_refused(other) -> None:
    with pytest.raises(ConfigError, match="more than their numbers"):
        average([network(0), network(1, **other)])


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: WiseFT(alphas=()), "alphas"),
        (lambda: WiseFT(alphas=(1.1,)), "alphas"),
        (lambda: Soup(rates=(1.0,)), "rates"),
        (lambda: Soup(rates=(1.0, 0.0)), "rates"),
    ],
)
def test_wrong_values_are_refused(make, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        make()
