"""A small residual network that grades an exam, beside the published one.

References
----------
He K. et al. Deep residual learning for image recognition. https://doi.org/10.1109/CVPR.2016.90
He K. et al. Identity mappings in deep residual networks. https://doi.org/10.1007/978-3-319-46493-0_38 (normalise first)
Wu Y., He K. Group normalization. https://doi.org/10.1007/978-3-030-01261-8_1
Lin M. et al. Network in network. https://doi.org/10.48550/arXiv.1312.4400 (the mean over all places)
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from osteomet.core.grader import ResidualNet
from osteomet.core.model import NORM_GROUPS


class SmallResNet(nn.Module):
    """One residual block for each resolution; then mean and maximum of each feature over the map, dropout, one layer.

    The maximum stands beside the mean because a single small lesion makes the difference between two grades, and a
    mean over the whole spine thins it out. Groups of channels are normalised, since batches are small.

    Parameters
    ----------
    spec
        Channels at each resolution, from that of the map on, and share of the features that is dropped in training.
    n_inputs, n_outputs
        Planes of the map, and grades.
    """

    def __init__(self, spec: ResidualNet, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        first, last = spec.channels[0], spec.channels[-1]
        self.stem = nn.Conv2d(n_inputs, first, kernel_size=3, padding=1, bias=False)
        stages = [ResidualStage(first, first, stride=1)]
        stages += [ResidualStage(before, after, stride=2) for before, after in pairwise(spec.channels)]
        self.stages = nn.Sequential(*stages)
        self.norm = nn.GroupNorm(NORM_GROUPS, last)
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(2 * last, n_outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, n_inputs, rows, columns) to logits (n, n_outputs)."""
        features = torch.relu(self.norm(self.stages(self.stem(maps))))
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class ResidualStage(nn.Module):
    """Two convolutions, each after normalisation and ReLU, added to the input or to a 1 × 1 convolution of it."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, before),
            nn.ReLU(),
            nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(NORM_GROUPS, after),
            nn.ReLU(),
            nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False),
        )
        is_same = before == after and stride == 1
        self.shortcut = nn.Identity() if is_same else nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, before, i, j) to (n, after, i / stride, j / stride), rounded up."""
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total
