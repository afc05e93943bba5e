# SPDX-License-Identifier: Apache-2.0
"""Baselines on frozen features that everyone should print first: logistic regression and nearest neighbours, in seconds."""

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medsetu.backbone.nearest import NearestHead
from medsetu.backbone.network import Network
from medsetu.core.errors import ConfigError
from medsetu.tuning.strategy import Strategy

log = logging.getLogger(__name__)
_STEPS = 10_000
Head = nn.Linear | NearestHead


@dataclass(frozen=True)
class Frozen(Strategy):
    """Nothing moves: a head is computed from the features of the training images, as they are without random changes.

    The one number that has to be chosen is chosen by the stage's monitor on its selecting side. Epochs, learning rate and averages of the
    weights have no meaning here.

    Attributes:
        statistics: Must be ``frozen``: no statistic moves.
    """

    statistics: str = field(default="frozen", kw_only=True)

    def __post_init__(self) -> None:
        """Refuse statistics that would move."""
        super().__post_init__()
        if self.statistics != "frozen":
            raise ConfigError(
                what="Batch statistics cannot move where nothing is trained", where="tuning.statistics", remedy="Use statistics=frozen"
            )

    def free(self, network: Network) -> None:
        """Freeze everything."""
        network.requires_grad_(requires_grad=False)

    def parameter_groups(self, network: Network, *, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """Refuse: there is nothing to train.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(what="A head on frozen features is solved, not trained", where="tuning", remedy="Run it through a stage")

    @abstractmethod
    def heads(self, feature: Tensor, label: Tensor, *, weight: Tensor) -> Iterator[tuple[dict[str, Any], Head]]:
        """Compute the heads to choose among.

        Args:
            feature: (N, D) float32, of the training images.
            label: (N, L) 1 / 0 / NaN unknown; each finding has both classes.
            weight: (L,) weight of the positives of each finding.

        Yields:
            What sets a head apart, and the head; of equally good ones the first is chosen.
        """


@dataclass(frozen=True)
class FrozenLogistic(Frozen):
    """Logistic regression on frozen features, folded into the ordinary head.

    Features are standardised by the training images; mean and scale go into the rows and biases of the head. Positives weigh as in the loss
    of any other stage. Images whose label of a finding is unknown are left out for that finding.

    Attributes:
        strengths: Values of C, the inverse strength of the ridge penalty on the sum of the losses, from strong to weak; above 0.

    Raises:
        ConfigError: There is none, or one is not above 0.
    """

    strengths: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        _require("strengths", self.strengths, above=0.0)

    def heads(self, feature: Tensor, label: Tensor, *, weight: Tensor) -> Iterator[tuple[dict[str, Any], Head]]:
        """Fit each finding at each C."""
        wide = feature.double().numpy()
        mean, scale = wide.mean(0), wide.std(0)
        scale = np.where(scale > 0, scale, 1.0)
        standard = (wide - mean) / scale
        for strength in self.strengths:
            head = nn.Linear(wide.shape[1], label.shape[1])
            for row, (known_label, positive) in enumerate(zip(label.numpy().T, weight.tolist(), strict=True)):
                slope, offset = _fit(standard, known_label, strength=strength, positive=positive)
                slope = slope / scale
                with torch.no_grad():
                    head.weight[row] = torch.from_numpy(slope)
                    head.bias[row] = float(offset - slope @ mean)
            yield {"C": strength}, head


@dataclass(frozen=True)
class FrozenNeighbours(Frozen):
    """The vote of the k most similar training images, by the cosine of frozen features; see ``medsetu.backbone.nearest.NearestHead``.

    The weights hold one feature vector of each training image: data of patients, which a capsule for others must leave out or declare.

    Attributes:
        neighbours: Values of k, at least 1 each; where fewer labels are known, all of them vote.

    Raises:
        ConfigError: There is none, or one is below 1.
    """

    neighbours: Sequence[int] = (1, 3, 5, 10, 20, 50)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        _require("neighbours", self.neighbours, above=0)

    def heads(self, feature: Tensor, label: Tensor, *, weight: Tensor) -> Iterator[tuple[dict[str, Any], Head]]:
        """Remember the features once for each k."""
        for k in self.neighbours:
            yield {"k": k}, NearestHead(feature, label, k=k)


def _fit(
    standard: NDArray[np.float64], label: NDArray[np.float32], *, strength: float, positive: float
) -> tuple[NDArray[np.float64], float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    known = np.isfinite(label)
    model = LogisticRegression(C=strength, class_weight={0: 1.0, 1: positive}, max_iter=_STEPS, tol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in our words
        model.fit(standard[known], label[known].astype(np.int64))
    if int(model.n_iter_.max()) >= _STEPS:
        log.warning("The logistic regression at C=%g has not converged after %d steps", strength, _STEPS)
    return model.coef_[0], float(model.intercept_[0])


def _require(key: str, values: Sequence[float], *, above: float) -> None:
    if not values or not all(value > above for value in values):
        raise ConfigError(what=f"Nothing can be chosen from {list(values)}", where=f"tuning.{key}", remedy=f"Give values above {above:g}")
