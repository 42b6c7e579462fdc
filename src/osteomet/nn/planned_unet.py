"""U-Nets as nnU-Net plans them: every number comes from the plans, in two dimensions or three.

Written after the papers and the plans so that weights trained by nnU-Net v2 fit; nothing of nnU-Net is needed to run.

References
----------
Isensee F. et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
https://doi.org/10.1038/s41592-020-01008-z
Isensee F. et al. nnU-Net Revisited: a call for rigorous validation in 3D medical image segmentation (residual
encoders). https://doi.org/10.1007/978-3-031-72114-4_47
He T. et al. Bag of tricks for image classification with convolutional neural networks (the shortcut of a residual
block). https://doi.org/10.1109/CVPR.2019.00065
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from osteomet.core.model import PlannedUNetSpec

_CONVOLUTION: Mapping[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
_UPSAMPLING: Mapping[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMALISATION: Mapping[int, Any] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_POOLING: Mapping[int, Any] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
_RENAMED = (
    (r"encoder\.stem\.convs\.0\.(.+)", r"stem.\1"),
    (r"encoder\.stages\.(\d+)\.(?:0\.convs|blocks)\.(\d+)\.(.+)", r"encoder.\1.\2.\3"),
    (r"decoder\.stages\.(\d+)\.convs\.(\d+)\.(.+)", r"decoder.\1.\2.\3"),
    (r"decoder\.transpconvs\.(\d+)\.(.+)", r"upsampling.\1.\2"),
)
"""Names of parameters in checkpoints of nnU-Net, and here."""


class PlannedUNet(nn.Module):
    """Encoder of plain convolutions or residual blocks, decoder of transposed and plain convolutions.

    Strided convolutions go down; each is followed by instance normalisation and a leaky ReLU. The heads that deep
    supervision adds in training are left out.
    """

    def __init__(self, spec: PlannedUNetSpec) -> None:
        super().__init__()
        residual = spec.kind == "residual_encoder_unet"
        block = ResidualBlock if residual else ConvBlock
        n_axes = len(spec.kernels[0])
        ones = (1,) * n_axes
        before = spec.n_inputs
        if residual:
            self.stem: nn.Module = ConvBlock(spec, before, spec.features[0], spec.kernels[0], ones)
            before = spec.features[0]
        else:
            self.stem = nn.Identity()
        self.encoder = nn.ModuleList()
        for n, kernel, stride, n_blocks in zip(spec.features, spec.kernels, spec.strides, spec.blocks, strict=True):
            first = block(spec, before, n, kernel, stride)
            self.encoder.append(nn.Sequential(first, *(block(spec, n, n, kernel, ones) for _ in range(1, n_blocks))))
            before = n
        self.upsampling = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for depth, n_blocks in zip(reversed(range(1, len(spec.features))), spec.decoder_blocks, strict=True):
            below, n = spec.features[depth], spec.features[depth - 1]
            stride, kernel = spec.strides[depth], spec.kernels[depth - 1]
            self.upsampling.append(_UPSAMPLING[n_axes](below, n, stride, stride, bias=spec.bias))
            blocks = (ConvBlock(spec, n if b else 2 * n, n, kernel, ones) for b in range(n_blocks))
            self.decoder.append(nn.Sequential(*blocks))
        self.head = _CONVOLUTION[n_axes](spec.features[0], spec.n_outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map images (n, n_inputs, [k,] j, i) to logits (n, n_outputs, [k,] j, i)."""
        features = self.stem(image)
        skips: list[Tensor] = []
        for stage in self.encoder:
            features = stage(features)
            skips.append(features)
        for upsample, stage, skip in zip(self.upsampling, self.decoder, reversed(skips[:-1]), strict=True):
            features = stage(torch.cat([upsample(features), skip], dim=1))
        logits: Tensor = self.head(features)
        return logits


class Normalised(nn.Module):
    """Convolution that keeps the size but for its stride, then instance normalisation."""

    def __init__(
        self,
        spec: PlannedUNetSpec,
        before: int,
        after: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        *,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        padding = tuple((k - 1) // 2 for k in kernel)
        has_bias = spec.bias if bias is None else bias
        self.conv = _CONVOLUTION[len(kernel)](before, after, kernel, stride, padding, bias=has_bias)
        self.norm = _NORMALISATION[len(kernel)](after, eps=spec.epsilon, affine=True)
        self.slope = spec.slope

    def forward(self, features: Tensor) -> Tensor:
        """Map features to features, coarser by the stride."""
        result: Tensor = self.norm(self.conv(features))
        return result


class ConvBlock(Normalised):
    """Convolution, instance normalisation, leaky ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        """Map features to features, coarser by the stride."""
        return nn.functional.leaky_relu(super().forward(features), self.slope)


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, which averages over the stride before it changes the number of features."""

    def __init__(
        self, spec: PlannedUNetSpec, before: int, after: int, kernel: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        super().__init__()
        ones = (1,) * len(kernel)
        self.conv1 = ConvBlock(spec, before, after, kernel, stride)
        self.conv2 = Normalised(spec, after, after, kernel, ones)
        shortcut: list[nn.Module] = [] if stride == ones else [_POOLING[len(kernel)](stride, stride)]
        if before != after:
            shortcut.append(Normalised(spec, before, after, ones, ones, bias=False))
        self.skip = nn.Sequential(*shortcut)
        self.slope = spec.slope

    def forward(self, features: Tensor) -> Tensor:
        """Map features to features, coarser by the stride."""
        changed = self.conv2(self.conv1(features))
        return nn.functional.leaky_relu(changed + self.skip(features), self.slope)


def rename_parameters(weights: Mapping[str, Tensor], n_stages: int) -> dict[str, Tensor]:
    """Give the parameters of a checkpoint of nnU-Net the names of `PlannedUNet`.

    A checkpoint holds each parameter of the encoder four times under as many names, and heads for deep supervision;
    one of each is kept, and the head of the finest of ``n_stages`` stages. A name that nnU-Net does not use stays as it
    is, so that whoever loads the weights notices it.

    Examples
    --------
    >>> named = {"encoder.stages.0.0.convs.1.conv.bias": torch.zeros(1), "decoder.seg_layers.0.bias": torch.zeros(1)}
    >>> list(rename_parameters(named, n_stages=2))
    ['encoder.0.1.conv.bias', 'head.bias']
    """
    heads, finest = "decoder.seg_layers.", f"decoder.seg_layers.{n_stages - 2}."
    renamed = {}
    for name, tensor in weights.items():
        bare = name
        if bare.startswith("decoder.encoder.") or ".all_modules." in bare:
            continue
        if bare.startswith(heads):
            if bare.startswith(finest):
                renamed["head." + bare.removeprefix(finest)] = tensor
            continue
        for pattern, replacement in _RENAMED:
            bare = re.sub(f"^{pattern}$", replacement, bare)
        renamed[bare] = tensor
    return renamed
