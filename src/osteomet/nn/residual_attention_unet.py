"""The U-Net with residual blocks and attention gates on its skip connections.

References
----------
Wang H. et al. Contrast-enhanced magnetic resonance image segmentation based on improved U-Net and Inception-ResNet in
the diagnosis of spinal metastases. 2024 (the whole, sections 2.4 and 2.5).
He K. et al. Deep residual learning for image recognition. https://doi.org/10.1109/CVPR.2016.90
Oktay O. et al. Attention U-Net: learning where to look for the pancreas. https://doi.org/10.48550/arXiv.1804.03999
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from osteomet.nn.nearest_unet import rare_head


class ResidualAttentionUNet(nn.Module):
    """Slices of 512 × 512 go through 16, 32, 64, 128 and 256 channels down to 32 × 32 and back.

    The study states the first 16 channels and the 32 × 32 at the bottom. That channels double at each level and that
    the way up is the nearest neighbour is our decision.

    Parameters
    ----------
    n_inputs, n_outputs
        Channels of the image and of the logits.
    channels
        Features at each resolution, finest first. Sides of images must be divisible by ``2 ** (len(channels) - 1)``.
    """

    def __init__(
        self, n_inputs: int = 1, n_outputs: int = 2, channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(ResidualBlock(before, after) for before, after in pairwise((n_inputs, *channels)))
        self.gates = nn.ModuleList(AttentionGate(here, below) for here, below in pairwise(channels))
        self.decoders = nn.ModuleList(ResidualBlock(here + below, here) for here, below in pairwise(channels))
        self.head = rare_head(nn.Conv2d, channels[0], n_outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Map slices (n, n_inputs, i, j) to logits (n, n_outputs, i, j)."""
        skips: list[Tensor] = []
        features = image
        for depth, encoder in enumerate(self.encoders):
            features = encoder(nn.functional.max_pool2d(features, 2) if depth else features)
            skips.append(features)
        for depth in reversed(range(len(self.decoders))):
            features = nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
            gated = self.gates[depth](skips[depth], features)
            features = self.decoders[depth](torch.cat([gated, features], dim=1))
        logits: Tensor = self.head(features)
        return logits


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation and ReLU, added to a 1 × 1 convolution of the input."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )
        self.shortcut = nn.Conv2d(before, after, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, before, i, j) to (n, after, i, j)."""
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total


class AttentionGate(nn.Module):
    """Weighs each pixel of the encoder's features x by what the decoder's features g make of it, 0 to 1.

    1 × 1 convolutions of x and g are added, and ReLU, a 1 × 1 convolution and a sigmoid give the weight.
    """

    def __init__(self, n_x: int, n_g: int) -> None:
        super().__init__()
        n_between = max(1, n_x // 2)
        self.of_x = nn.Conv2d(n_x, n_between, kernel_size=1)
        self.of_g = nn.Conv2d(n_g, n_between, kernel_size=1)
        self.weight = nn.Conv2d(n_between, 1, kernel_size=1)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """Weigh x (n, n_x, i, j) by g (n, n_g, i, j)."""
        attention = torch.sigmoid(self.weight(torch.relu(self.of_x(x) + self.of_g(g))))
        return x * attention
