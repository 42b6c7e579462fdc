"""Losses for segmentation."""

from __future__ import annotations

import torch
from torch import Tensor

IGNORED = 255
"""Class of voxels that nobody asks about: whatever the network says there costs nothing."""


def dice_cross_entropy(logits: Tensor, target: Tensor, *, foreground_weight: float = 1.0) -> Tensor:
    """Sum of weighted cross-entropy and soft Dice loss over the foreground classes that the batch shows.

    Parameters
    ----------
    logits
        Shape (n, classes, i, j, k).
    target
        Class of each voxel, int64, shape (n, i, j, k); voxels of class `IGNORED` are left out.
    foreground_weight
        Weight of a foreground voxel in the cross-entropy against 1 for background. Where foreground is a few voxels in
        a thousand, a class that is not yet called at all gets no gradient to speak of from Dice, and stays uncalled.

    Notes
    -----
    Dice is pooled over the batch, and a class without a voxel in the target is left out: its Dice of zero would only
    push predictions down, which the cross-entropy does already.

    References
    ----------
    Milletari F. et al. V-Net. https://doi.org/10.1109/3DV.2016.79
    """
    # Sums over classes by index rather than by one-hot maps: on 13 classes a fifth of the time and memory.
    counts = (target != IGNORED).float()
    flat = torch.where(target == IGNORED, 0, target)
    log_probability = logits.float().log_softmax(dim=1)
    of_target = log_probability.gather(1, flat[:, None])[:, 0]
    weight = counts * (1.0 + (foreground_weight - 1.0) * (flat > 0))
    entropy = -(weight * of_target).sum() / weight.sum().clamp(min=1.0)
    n_classes = logits.shape[1]
    by_class = flat.reshape(-1)
    none = log_probability.new_zeros(n_classes)
    overlap = none.index_add(0, by_class, (of_target.exp() * counts).reshape(-1))
    n_target = none.index_add(0, by_class, counts.reshape(-1))
    axes = (0, *range(2, logits.ndim))
    size = (log_probability.exp() * counts[:, None]).sum(axes) + n_target
    shown = n_target > 0
    shown[0] = False
    if not bool(shown.any()):
        return entropy
    dice = (2 * overlap[shown] + 1.0) / (size[shown] + 1.0)
    return entropy + (1 - dice).mean()
