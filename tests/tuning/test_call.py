# SPDX-License-Identifier: Apache-2.0
"""What a trunk calls is seen without leaving a trace."""

import torch
from torch import nn

from medsetu.backbone.zoo import TimmBackbone
from medsetu.tuning.call import called_modules


def test_called_modules_are_seen_with_what_they_were_given_and_gave():
    network = TimmBackbone("test_resnet", size=32).build(["mass"], seed=0)
    network.trunk.unused = nn.Linear(2, 2)
    network.trunk.layer1.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes, state = [module.training for module in network.modules()], torch.random.get_rng_state()
    calls = called_modules(network, [network.trunk.unused, network.trunk.layer1, network.trunk.layer2])
    assert list(calls) == [network.trunk.layer1, network.trunk.layer2]
    assert calls[network.trunk.layer1].answer is calls[network.trunk.layer2].given[0]
    assert calls[network.trunk.layer1].answer.shape == (1, 32, 8, 8)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module._forward_hooks for module in network.modules())
