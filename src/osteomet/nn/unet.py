"""U-Net for volumes, working at half the resolution of its input and output.

References
----------
Çiçek Ö. et al. 3D U-Net: learning dense volumetric segmentation from sparse annotation. https://doi.org/10.1007/978-3-319-46723-8_49
Shi W. et al. Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
network. https://doi.org/10.1109/CVPR.2016.207
Wu Y., He K. Group normalization. https://doi.org/10.1007/978-3-030-01261-8_1
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from osteomet.core.classifier import InceptionSpec
from osteomet.core.errors import ModelError
from osteomet.core.model import NORM_GROUPS, NetworkSpec, PlannedUNetSpec
from osteomet.nn.inception_resnet import InceptionResNet3d, InceptionSettings
from osteomet.nn.planned_unet import PlannedUNet


class SubvoxelUNet3d(nn.Module):
    """Strided stem, encoder and decoder with skip connections, and a head that answers for every voxel again.

    Each position of the first level stands for 2 × 2 × 2 voxels: a strided convolution takes them in, a transposed one
    gives a logit to each. A U-Net spends most of its time at full resolution; without that level a step on a processor
    takes half as long, and the patches it saves are worth more than the level. Group normalisation, because batches of
    a few volumes are too small for statistics that hold in inference.

    Parameters
    ----------
    n_inputs, n_outputs
        Channels of the image and of the logits.
    channels
        Features at each resolution, finest (half that of the image) first; multiples of 8. Patch sides must be
        divisible by ``2 ** len(channels)``.
    """

    def __init__(self, n_inputs: int, n_outputs: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv3d(n_inputs, channels[0], kernel_size=4, stride=2, padding=1)
        self.encoders = nn.ModuleList(
            _block(before, after) for before, after in zip((channels[0], *channels[:-1]), channels, strict=True)
        )
        self.decoders = nn.ModuleList(_block(below + here, here) for here, below in pairwise(channels))
        self.head = nn.ConvTranspose3d(channels[0], n_outputs, kernel_size=2, stride=2)
        # Start from the odds of rare foreground (Lin et al. 2017, https://doi.org/10.1109/ICCV.2017.324): hundreds of
        # steps would else go into learning that most voxels are background.
        odds = torch.zeros(n_outputs)
        odds[0] = math.log(0.95 / 0.05 * (n_outputs - 1))
        self.head.bias = nn.Parameter(odds)

    def forward(self, image: Tensor) -> Tensor:
        """Map images (n, n_inputs, i, j, k) to logits (n, n_outputs, i, j, k)."""
        skips: list[Tensor] = []
        features = self.stem(image)
        for depth, encoder in enumerate(self.encoders):
            if depth:
                features = nn.functional.max_pool3d(features, 2)
            features = encoder(features)
            skips.append(features)
        for depth in reversed(range(len(self.decoders))):
            features = nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = self.decoders[depth](torch.cat([skips[depth], features], dim=1))
        logits: Tensor = self.head(features)
        return logits


def build_network(spec: NetworkSpec | PlannedUNetSpec | InceptionSpec) -> nn.Module:
    """Build the network that a model package describes, with fresh weights.

    Raises
    ------
    ModelError
        If this version of osteomet does not know the kind of network.
    """
    if isinstance(spec, PlannedUNetSpec):
        return PlannedUNet(spec)
    if isinstance(spec, InceptionSpec):
        shape = InceptionSettings(spec.n_inputs, spec.n_outputs, spec.width, spec.blocks, spec.squeeze)
        return InceptionResNet3d(shape)
    if spec.kind != "subvoxel_unet3d":
        raise ModelError(
            "the model uses a network that this version does not know",
            expected="subvoxel_unet3d",
            got=spec.kind,
            remedy="install the version of osteomet that wrote the model",
        )
    return SubvoxelUNet3d(spec.n_inputs, spec.n_outputs, spec.channels)


def _block(before: int, after: int) -> nn.Sequential:
    """Two convolutions, each followed by group normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv3d(before, after, kernel_size=3, padding=1, bias=False),
        nn.GroupNorm(NORM_GROUPS, after),
        nn.ReLU(inplace=True),
        nn.Conv3d(after, after, kernel_size=3, padding=1, bias=False),
        nn.GroupNorm(NORM_GROUPS, after),
        nn.ReLU(inplace=True),
    )
