"""The U-Net of two and three dimensions with nearest-neighbour up-sampling in place of transposed convolution.

References
----------
Ronneberger O. et al. U-Net. https://doi.org/10.1007/978-3-319-24574-4_28
Çiçek Ö. et al. 3D U-Net. https://doi.org/10.1007/978-3-319-46723-8_49
Kim D.H. et al. Automated detection and segmentation of bone metastases on spine MRI using U-Net.
https://doi.org/10.3348/kjr.2023.0671 (the up-sampling)
Wu Y., He K. Group normalization. https://doi.org/10.1007/978-3-030-01261-8_1
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from osteomet.core.model import NORM_GROUPS

CONVOLUTIONS: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
POOLS: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


class NearestUNet(nn.Module):
    """Encoder and decoder at full resolution with skip connections.

    Each level has two convolutions of three voxels a side with group normalisation and ReLU: the sources have no
    normalisation or one over the batch, which batches of a few images are too small for. Down goes a maximum over two
    voxels a side, up the nearest neighbour followed by a convolution.

    Parameters
    ----------
    n_dims
        2 or 3.
    n_inputs, n_outputs
        Channels of the image and of the logits.
    channels
        Features at each resolution, finest first; multiples of 8. Sides of images must be divisible by
        ``2 ** (len(channels) - 1)``.
    deep
        Whether it returns logits of every resolution of the decoder but the coarsest, finest first, while it trains.
    """

    def __init__(
        self, n_dims: int, n_inputs: int, n_outputs: int, channels: tuple[int, ...], *, deep: bool = False
    ) -> None:
        super().__init__()
        conv: Any = CONVOLUTIONS[n_dims]
        self.pool = POOLS[n_dims](2)
        self.encoders = nn.ModuleList(_block(conv, before, after) for before, after in pairwise((n_inputs, *channels)))
        self.ups = nn.ModuleList(conv(below, here, kernel_size=3, padding=1) for here, below in pairwise(channels))
        self.decoders = nn.ModuleList(_block(conv, 2 * here, here) for here in channels[:-1])
        n_heads = len(channels) - 1 if deep else 1
        self.heads = nn.ModuleList(rare_head(conv, channels[level], n_outputs) for level in range(n_heads))

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Map images (n, n_inputs, i, j) or (n, n_inputs, i, j, k) to logits of the same sides."""
        skips: list[Tensor] = []
        features = image
        for depth, encoder in enumerate(self.encoders):
            features = encoder(self.pool(features) if depth else features)
            skips.append(features)
        all_logits: list[Tensor] = []
        for depth in reversed(range(len(self.decoders))):
            features = self.ups[depth](nn.functional.interpolate(features, scale_factor=2.0, mode="nearest"))
            features = self.decoders[depth](torch.cat([skips[depth], features], dim=1))
            if depth < len(self.heads):
                all_logits.insert(0, self.heads[depth](features))
        return all_logits if self.training and len(self.heads) > 1 else all_logits[0]


def rare_head(conv: Any, n_features: int, n_outputs: int) -> nn.Module:
    """Convolution to logits that starts from the odds of rare foreground.

    Hundreds of steps would else go into learning that most voxels are background (Lin et al. 2017,
    https://doi.org/10.1109/ICCV.2017.324).
    """
    head: nn.Module = conv(n_features, n_outputs, kernel_size=1)
    odds = torch.zeros(n_outputs)
    odds[0] = math.log(0.95 / 0.05 * (n_outputs - 1))
    head.bias = nn.Parameter(odds)
    return head


def _block(conv: Any, before: int, after: int) -> nn.Sequential:
    """Two convolutions, each followed by group normalisation and ReLU."""
    return nn.Sequential(
        conv(before, after, kernel_size=3, padding=1, bias=False),
        nn.GroupNorm(NORM_GROUPS, after),
        nn.ReLU(inplace=True),
        conv(after, after, kernel_size=3, padding=1, bias=False),
        nn.GroupNorm(NORM_GROUPS, after),
        nn.ReLU(inplace=True),
    )
