# SPDX-License-Identifier: Apache-2.0
"""A head that has no rows but remembers: the vote of the most similar training images."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class NearestHead(nn.Module):
    """Score an image by the labels of the k most similar training images, by the cosine of their features.

    The score of a finding is (positive neighbours + 1) / (neighbours + 2), Laplace's rule, because a share of 0 or 1 has no logit. Training
    images whose label of a finding is unknown are no neighbours for that finding.

    The bank holds one vector and the labels of each training patient's image: it is data of patients, not a summary of it. Weights with
    such a head may go only where these data may go; a capsule for others leaves them out, or says that it holds them.

    Args:
        bank: (N, D) features of the training images, of any length above 0; kept with length 1, float32.
        label: (N, L) 1 / 0 / NaN unknown; each finding has a known label.
        k: Neighbours that vote; at most as many as there are known labels.
    """

    bank: Tensor
    label: Tensor

    def __init__(self, bank: Tensor, label: Tensor, *, k: int) -> None:
        super().__init__()
        self.k = k
        self.in_features, self.out_features = bank.shape[1], label.shape[1]
        self.register_buffer("bank", functional.normalize(bank.float(), dim=1))
        self.register_buffer("label", label.float())

    @property
    def weight(self) -> Tensor:
        """(N, D) the bank, under the name by which a network asks a head for its precision and place."""
        return self.bank

    def forward(self, pooled: Tensor) -> Tensor:
        """Vote.

        Args:
            pooled: (B, D) features.

        Returns:
            (B, L) logits; their sigmoid is the score.

        Example:
            >>> head = NearestHead(torch.tensor([[1.0, 0], [2, 0], [0, 1]]), torch.tensor([[1.0], [1.0], [0.0]]), k=2)
            >>> head(torch.tensor([[3.0, 0], [0, 1]])).sigmoid().round(decimals=4).tolist()
            [[0.75], [0.5]]
        """
        similarity = functional.normalize(pooled.float(), dim=1) @ self.bank.T
        columns = []
        for label in self.label.T:
            known = torch.isfinite(label)
            count = min(self.k, int(known.sum()))
            nearest = similarity[:, known].topk(count, dim=1).indices
            columns.append((label[known][nearest].sum(1) + 1) / (count + 2))
        return torch.logit(torch.stack(columns, dim=1))
