"""Inception-ResNet-v2 for cubes of a lesion, with channel attention.

The network of Szegedy et al. with its stem, every two-dimensional convolution made three-dimensional: a kernel n × n
becomes n × n × n, and a pair 1 × n, n × 1 becomes three kernels of length n along the three axes. Convolutions are
padded, so that cubes of a few dozen voxels a side can be used.

References
----------
Szegedy C., Ioffe S., Vanhoucke V., Alemi A. 2017. Inception-v4, Inception-ResNet and the impact of residual connections
on learning. https://doi.org/10.1609/aaai.v31i1.11231
Hu J., Shen L., Sun G. 2018. Squeeze-and-excitation networks. https://doi.org/10.1109/CVPR.2018.00745
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from osteomet.core.errors import UsageError

_SCALES = (0.17, 0.10, 0.20)
"""What the residuals of the three stages are multiplied by, against instability (Szegedy et al., section 3.3)."""


@dataclass(frozen=True, slots=True)
class InceptionSettings:
    """Shape of an Inception-ResNet-v2; the defaults are the full size.

    Parameters
    ----------
    n_inputs, n_outputs
        Channels of the image, and classes.
    width
        Factor of all numbers of features.
    blocks
        Number of residual blocks of the three stages.
    squeeze
        Features of a stage for each of the bottleneck of its channel attention.
    dropout
        Share of the features that are dropped before the last layer, in training.

    Raises
    ------
    UsageError
        If a value cannot be meant; the message names it.
    """

    n_inputs: int
    n_outputs: int
    width: float = 1.0
    blocks: tuple[int, int, int] = (5, 10, 5)
    squeeze: int = 16
    dropout: float = 0.2

    def __post_init__(self) -> None:
        rules = {
            "n_inputs": self.n_inputs > 0,
            "n_outputs": self.n_outputs > 1,
            "width": 0 < self.width < float("inf"),
            "blocks": min(self.blocks) > 0,
            "squeeze": self.squeeze > 0,
            "dropout": 0 <= self.dropout < 1,
        }
        for name, holds in rules.items():
            if not holds:
                raise UsageError(f"{name} of the network cannot be meant", got=str(getattr(self, name)))

    def features(self, number: int) -> int:
        """Number of features of the full network, scaled by the width.

        Examples
        --------
        >>> InceptionSettings(1, 2, width=0.125).features(384)
        48
        """
        return max(1, round(number * self.width))


class InceptionResNet3d(nn.Module):
    """Stem, three stages of residual blocks with channel attention behind each, mean over the cube, linear layer.

    The sides are halved three times by the stem and once between stages, so that 32 voxels leave 1. In training a
    batch needs two cubes at least, for its normalisation.
    """

    def __init__(self, settings: InceptionSettings) -> None:
        super().__init__()
        f = settings.features
        n_stem = _stem_features(settings)
        n_middle = n_stem + f(384) + f(384)
        n_last = n_middle + f(384) + f(288) + f(320)
        n_a, n_b, n_c = settings.blocks
        self.stem = _stem(settings)
        self.stage_a = nn.Sequential(
            *(_block_a(settings, n_stem) for _ in range(n_a)), ChannelAttention(n_stem, settings.squeeze)
        )
        self.reduction_a = _reduction_a(settings, n_stem)
        self.stage_b = nn.Sequential(
            *(_block_b(settings, n_middle) for _ in range(n_b)), ChannelAttention(n_middle, settings.squeeze)
        )
        self.reduction_b = _reduction_b(settings, n_middle)
        self.stage_c = nn.Sequential(
            *(_block_c(settings, n_last) for _ in range(n_c)), ChannelAttention(n_last, settings.squeeze)
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(n_last, settings.n_outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Map cubes (n, n_inputs, i, j, k) to logits (n, n_outputs)."""
        features = self.stage_a(self.stem(image))
        features = self.stage_b(self.reduction_a(features))
        features = self.stage_c(self.reduction_b(features))
        logits: Tensor = self.head(self.dropout(features.mean(dim=(2, 3, 4))))
        return logits


class ChannelAttention(nn.Module):
    """Weigh each channel by what its mean, beside those of the others, says about its use (squeeze and excite)."""

    def __init__(self, n_features: int, squeeze: int) -> None:
        super().__init__()
        n_squeezed = max(1, n_features // squeeze)
        self.excite = nn.Sequential(
            nn.Linear(n_features, n_squeezed), nn.ReLU(inplace=True), nn.Linear(n_squeezed, n_features), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Scale every channel by a number between 0 and 1."""
        weights: Tensor = self.excite(features.mean(dim=(2, 3, 4)))
        return features * weights[:, :, None, None, None]


class Branches(nn.Module):
    """Branches on the same input, their outputs side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, features: Tensor) -> Tensor:
        """Concatenate the outputs."""
        return torch.cat([branch(features) for branch in self.branches], dim=1)


class ResidualBlock(nn.Module):
    """Branches, brought to the width of the input by a linear convolution, scaled, and added to it."""

    def __init__(self, branches: Branches, n_between: int, n_features: int, scale: float) -> None:
        super().__init__()
        self.branches = branches
        self.project = nn.Conv3d(n_between, n_features, kernel_size=1)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """Add the residual."""
        return torch.relu(features + self.scale * self.project(self.branches(features)))


def _conv(before: int, after: int, kernel: int | tuple[int, int, int], *, stride: int = 1) -> nn.Sequential:
    """Padded convolution, batch normalisation, ReLU."""
    sizes = (kernel, kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (sizes[0] // 2, sizes[1] // 2, sizes[2] // 2)
    return nn.Sequential(
        nn.Conv3d(before, after, sizes, stride=stride, padding=padding, bias=False),
        nn.BatchNorm3d(after),
        nn.ReLU(inplace=True),
    )


def _chain(before: int, *steps: tuple[int, int], stride: int = 1) -> nn.Sequential:
    """Convolutions one after another, each (features, kernel); the last has the stride."""
    layers = []
    for n, (after, kernel) in enumerate(steps):
        layers.append(_conv(before, after, kernel, stride=stride if n == len(steps) - 1 else 1))
        before = after
    return nn.Sequential(*layers)


def _lines(before: int, features: Sequence[int], length: int) -> nn.Sequential:
    """Kernels of a length along the last, the middle and the first axis."""
    layers = []
    for axis, after in zip((2, 1, 0), features, strict=True):
        kernel = (length if axis == 0 else 1, length if axis == 1 else 1, length if axis == 2 else 1)
        layers.append(_conv(before, after, kernel))
        before = after
    return nn.Sequential(*layers)


def _halve() -> nn.MaxPool3d:
    return nn.MaxPool3d(3, stride=2, padding=1)


def _stem_features(settings: InceptionSettings) -> int:
    """Features that the stem gives."""
    return 2 * settings.features(96) + settings.features(192)


def _stem(settings: InceptionSettings) -> nn.Sequential:
    """Shallow features by convolutions and pooling side by side, at an eighth of the sides."""
    f = settings.features
    n_second, n_third = f(64) + f(96), 2 * f(96)
    return nn.Sequential(
        _conv(settings.n_inputs, f(32), 3, stride=2),
        _conv(f(32), f(32), 3),
        _conv(f(32), f(64), 3),
        Branches(_halve(), _conv(f(64), f(96), 3, stride=2)),
        Branches(
            _chain(n_second, (f(64), 1), (f(96), 3)),
            nn.Sequential(_conv(n_second, f(64), 1), _lines(f(64), (f(64), f(64), f(64)), 7), _conv(f(64), f(96), 3)),
        ),
        Branches(_conv(n_third, f(192), 3, stride=2), _halve()),
    )


def _block_a(settings: InceptionSettings, n_features: int) -> ResidualBlock:
    f = settings.features
    branches = Branches(
        _conv(n_features, f(32), 1),
        _chain(n_features, (f(32), 1), (f(32), 3)),
        _chain(n_features, (f(32), 1), (f(48), 3), (f(64), 3)),
    )
    return ResidualBlock(branches, f(32) + f(32) + f(64), n_features, _SCALES[0])


def _block_b(settings: InceptionSettings, n_features: int) -> ResidualBlock:
    f = settings.features
    branches = Branches(
        _conv(n_features, f(192), 1),
        nn.Sequential(_conv(n_features, f(128), 1), _lines(f(128), (f(160), f(160), f(192)), 7)),
    )
    return ResidualBlock(branches, 2 * f(192), n_features, _SCALES[1])


def _block_c(settings: InceptionSettings, n_features: int) -> ResidualBlock:
    f = settings.features
    branches = Branches(
        _conv(n_features, f(192), 1),
        nn.Sequential(_conv(n_features, f(192), 1), _lines(f(192), (f(224), f(224), f(256)), 3)),
    )
    return ResidualBlock(branches, f(192) + f(256), n_features, _SCALES[2])


def _reduction_a(settings: InceptionSettings, n_features: int) -> Branches:
    f = settings.features
    return Branches(
        _halve(),
        _conv(n_features, f(384), 3, stride=2),
        _chain(n_features, (f(256), 1), (f(256), 3), (f(384), 3), stride=2),
    )


def _reduction_b(settings: InceptionSettings, n_features: int) -> Branches:
    f = settings.features
    return Branches(
        _halve(),
        _chain(n_features, (f(256), 1), (f(384), 3), stride=2),
        _chain(n_features, (f(256), 1), (f(288), 3), stride=2),
        _chain(n_features, (f(256), 1), (f(288), 3), (f(320), 3), stride=2),
    )
