# SPDX-License-Identifier: Apache-2.0
"""Knowledge distillation: the network a stage begins with goes on teaching (Hinton et al. 2015)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError


class Teacher:
    """A frozen copy of a network in evaluation mode, outside of modules, so that no checkpoint, average or optimizer holds it.

    Args:
        network: Copied as it is now.
        known: Findings it was trained for.
        findings: Findings of the student, in head order.

    Raises:
        ConfigError: They share no finding.
    """

    def __init__(self, network: Network, *, known: Sequence[str], findings: Sequence[str]) -> None:
        self.columns = [findings.index(name) for name in findings if name in known]
        if not self.columns:
            raise ConfigError(
                what="The starting network was trained for none of the findings of this stage, so it has nothing to teach",
                where="stages.*.distil",
                remedy="Set distil=null, or let the stage begin with a network that knows one of them",
            )
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Teacher":
        """Share it: it never changes."""
        return self

    @torch.no_grad()
    def logits(self, image: Tensor) -> Tensor:
        """(B, K) logits of the shared findings."""
        self.network.to(image.device)
        logits: Tensor = self.network(image)
        return logits[:, self.columns].float()


@dataclass(frozen=True)
class Distillation:
    """Loss of a stage with a teacher: (1 - weight) loss + weight T^2 KL(teacher || student).

    The divergence is that of two Bernoulli distributions with logits divided by T, averaged over images and the findings both know by
    name. Teacher and student see the same image, changed at random alike (Beyer et al. 2022). An unknown label is no obstacle: the teacher
    has an opinion anyway. The gradient of the divergence shrinks with 1 / T^2, which the factor makes up for.

    Attributes:
        weight: In (0, 1].
        temperature: T, above 0.

    Raises:
        ConfigError: A value is outside its range.
    """

    weight: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        for key, holds, wanted in (
            ("weight", 0 < self.weight <= 1, "in (0, 1]"),
            ("temperature", self.temperature > 0, "above 0"),
        ):
            if not holds:
                raise ConfigError(
                    what=f"A teacher cannot have {key}={getattr(self, key)}", where=f"stages.*.distil.{key}", remedy=f"It must be {wanted}"
                )

    def mix(self, loss: Tensor, logit: Tensor, *, taught: Tensor) -> Tensor:
        """Mix the loss of the labels with the divergence from the teacher.

        Args:
            loss: Scalar.
            logit: (B, K) of the student, for the shared findings.
            taught: (B, K) of the teacher.

        Returns:
            Scalar float32.

        Example:
            >>> same = torch.tensor([[0.3, -1.0]])
            >>> Distillation(weight=0.25).mix(torch.tensor(2.0), same, taught=same).item()
            1.5
        """
        return (1 - self.weight) * loss + self.weight * divergence(logit, taught, temperature=self.temperature)


def divergence(logit: Tensor, taught: Tensor, *, temperature: float) -> Tensor:
    """Mean of T^2 KL(Bernoulli(taught / T) || Bernoulli(logit / T)).

    Args:
        logit: (B, K).
        taught: (B, K), without gradient.
        temperature: T.

    Returns:
        Scalar float32, at least 0.

    Example:
        >>> round(divergence(torch.tensor([[0.0]]), torch.tensor([[2.0]]), temperature=1.0).item(), 4)
        0.3278
    """
    student, teacher = logit.float() / temperature, taught.float() / temperature
    cross = functional.binary_cross_entropy_with_logits(student, torch.sigmoid(teacher), reduction="none")
    own = functional.binary_cross_entropy_with_logits(teacher, torch.sigmoid(teacher), reduction="none")
    return temperature**2 * (cross - own).mean()
