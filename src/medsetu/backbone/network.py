# SPDX-License-Identifier: Apache-2.0
"""The network every stage trains: a trunk that sees, and one linear head whose rows are findings by name."""

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from medsetu.backbone.nearest import NearestHead
from medsetu.backbone.spec import InputSpec, WeightSpec
from medsetu.core.errors import ConfigError, WeightError
from medsetu.core.label import check_findings
from medsetu.core.run import content_key


class GreyToColour(nn.Module):
    """Show a grey image to a trunk that was taught on colour, exactly as if it had been repeated before normalisation.

    The image arrives normalised by ``grey`` (one channel); it leaves repeated and normalised by ``colour`` (three channels). Summing the
    kernels of the first convolution would be cheaper, but is exact only where all channels share mean and std: the zero padding at the
    borders stands for another intensity in each channel, so no bias can make up for it.

    Args:
        grey: What the network is given.
        colour: What the trunk was taught on.
    """

    def __init__(self, grey: InputSpec, colour: InputSpec) -> None:
        super().__init__()
        mean, std = torch.tensor(colour.mean, dtype=torch.float64), torch.tensor(colour.std, dtype=torch.float64)
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", (grey.std[0] / std)[:, None, None].float(), persistent=False)
        self.register_buffer("shift", ((grey.mean[0] - mean) / std)[:, None, None].float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Repeat (B, 1, H, W) to (B, 3, H, W) and shift each channel to its own mean and std."""
        return image * self.scale + self.shift


class Network(nn.Module):
    """A trunk, a linear head and the names of the head's rows.

    Args:
        trunk: Maps (B, C, H, W) to pooled features (B, D).
        head: Linear layer D -> L.
        findings: Names of the L rows, in order.
        spec: What ``forward`` wants to see.
        weights: Where the trunk's weights come from.
        native: What the trunk itself wants to see; ``spec`` when None. Where ``spec`` is grey and ``native`` is colour, a
            ``GreyToColour`` stands between.
        trained: Findings whose rows were trained, here or by the publisher of the weights.

    Attributes:
        trunk: See above.
        adapters: Small networks beside modules of the trunk, by path with ``/`` for ``.``; see ``medsetu.backbone.adapter``.
        head: See above; replaced by ``set_findings``, or by a ``NearestHead`` that no stage can go on from.
        findings: See above.
        spec: See above.
        weights: See above.
        native: See above.
        trained: See above; a score of any other finding means nothing.
    """

    def __init__(
        self,
        trunk: nn.Module,
        head: nn.Linear,
        *,
        findings: Sequence[str],
        spec: InputSpec,
        weights: WeightSpec,
        native: InputSpec | None = None,
        trained: Sequence[str] = (),
    ) -> None:
        super().__init__()
        _check(findings, findings)
        if head.out_features != len(findings):
            raise ConfigError(
                what=f"A head of {head.out_features} rows cannot carry {len(findings)} findings",
                where="Head of the network",
                remedy="Give one name per row",
            )
        self.native = spec if native is None else native
        self.stem = GreyToColour(spec, self.native) if (spec.channels, self.native.channels) == (1, 3) else nn.Identity()
        self.trunk = trunk
        self.adapters = nn.ModuleDict()
        self.head: nn.Linear | NearestHead = head
        self.findings = tuple(findings)
        self.spec = spec
        self.weights = weights
        self.trained = tuple(name for name in findings if name in trained)

    def features(self, image: Tensor) -> Tensor:
        """Compute what the head reads.

        Args:
            image: (B, C, H, W) float, normalised by ``spec``.

        Returns:
            (B, D) pooled, in the precision of the head: float32 also under autocast.
        """
        pooled: Tensor = self.trunk(self.stem(image))
        return pooled.to(self.head.weight.dtype)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits.

        Args:
            image: (B, C, H, W) float, normalised by ``spec``.

        Returns:
            (B, L) logits in the order of ``findings`` and the precision of the head; their sigmoid is a score, uncalibrated.
        """
        logits: Tensor = self.head(self.features(image))
        return logits.to(self.head.weight.dtype)

    def trunk_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters below the head."""
        return self.trunk.parameters()

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the declared head."""
        return self.head.parameters()

    def set_findings(self, findings: Sequence[str], *, seed: int, keep: bool = True) -> None:
        """Give the head other rows; rows are found again by name, never by position.

        A new row depends on the seed and on its name alone, so the order of the findings changes nothing.

        Args:
            findings: New names, in head order.
            seed: Of the new rows; no global generator is touched.
            keep: Keep rows whose finding the old head already knew.

        Raises:
            ConfigError: The list names a finding twice, or the head has neighbours instead of rows.
        """
        _check(findings, findings)
        if isinstance(self.head, NearestHead):
            raise ConfigError(
                what="A nearest-neighbour head has no rows to go on from",
                where="Stage before this one",
                remedy="Let the stage start where that one started: its trunk never moved",
            )
        old = dict(zip(self.findings, range(len(self.findings)), strict=True)) if keep else {}
        head = new_head(self.head.in_features, findings, seed=seed).to(self.head.weight)
        with torch.no_grad():
            for row, name in enumerate(findings):
                if name in old:
                    head.weight[row] = self.head.weight[old[name]]
                    head.bias[row] = self.head.bias[old[name]]
        head.requires_grad_(self.head.weight.requires_grad)
        self.trained = tuple(name for name in findings if name in old and name in self.trained)
        self.head, self.findings = head, tuple(findings)

    def mark_trained(self, findings: Sequence[str]) -> None:
        """Note that rows were trained, so that their scores may be read.

        Raises:
            ConfigError: The head has no such finding.
        """
        _check(findings, self.findings)
        self.trained = tuple(name for name in self.findings if name in self.trained or name in findings)

    def require_trained(self, findings: Sequence[str]) -> None:
        """Refuse to read scores of rows that no one trained: they are noise that looks like a score.

        Raises:
            ConfigError: The head has no such finding.
            WeightError: A row was never trained.
        """
        _check(findings, self.findings)
        untrained = [name for name in findings if name not in self.trained]
        if untrained:
            raise WeightError(
                what=f"The head was never trained for '{untrained[0]}' ({len(untrained)} of {len(findings)} findings)",
                where=f"Weights from {self.weights.origin}",
                remedy="Train a stage with these findings, or evaluate only trained ones",
            )


def _check(wanted: Sequence[str], available: Sequence[str]) -> None:
    """Refuse findings that repeat or do not exist; none at all are right for a network that has only seen films without labels."""
    if wanted:
        check_findings(wanted, available, where="Head of the network")


def new_head(width: int, findings: Sequence[str], *, seed: int) -> nn.Linear:
    """Make a linear head whose rows depend on seed and name only; weights are uniform as in ``nn.Linear``, biases 0.

    Args:
        width: Number of features D.
        findings: Names of the rows.
        seed: Of the rows; no global generator is touched.

    Returns:
        Linear layer D -> L, float32, on the CPU.

    Example:
        >>> one, two = new_head(4, ["a", "b"], seed=0), new_head(4, ["b", "a"], seed=0)
        >>> torch.equal(one.weight, two.weight.flip(0))
        True
    """
    with seeded(seed):  # the draw of nn.Linear itself, replaced below, must not touch the global generator
        head = nn.Linear(width, max(1, len(findings)))
    if not findings:  # a network without findings yet; torch warns when it is asked to draw nothing
        head.out_features, head.weight, head.bias = 0, nn.Parameter(torch.empty(0, width)), nn.Parameter(torch.empty(0))
    bound = 1 / math.sqrt(width)
    with torch.no_grad():
        head.bias.zero_()
        for row, name in enumerate(findings):
            generator = torch.Generator().manual_seed(int(content_key([seed, name], length=15), 16))
            head.weight[row].uniform_(-bound, bound, generator=generator)
    return head


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from a seed and leave torch's global generators as they were.

    Example:
        >>> before = torch.random.get_rng_state()
        >>> with seeded(1):
        ...     _ = nn.Linear(2, 2)
        >>> torch.equal(before, torch.random.get_rng_state())
        True
    """
    with torch.random.fork_rng(devices=[]):  # weights are made on the CPU
        torch.default_generator.manual_seed(seed)
        yield
