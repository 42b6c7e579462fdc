"""Losses for segmentation."""

from __future__ import annotations

from torch import Tensor, nn


def dice_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean of cross-entropy and soft Dice loss over the foreground classes that the batch shows.

    Parameters
    ----------
    logits
        Shape (n, classes, i, j, k).
    target
        Class of each voxel, int64, shape (n, i, j, k).

    Notes
    -----
    Dice is pooled over the batch, and a class without a voxel in the target is left out: its Dice of zero would only
    push predictions down, which the cross-entropy does already.

    References
    ----------
    Milletari F. et al. V-Net. https://doi.org/10.1109/3DV.2016.79
    """
    values = logits.float()
    entropy = nn.functional.cross_entropy(values, target)
    probability = values.softmax(dim=1)
    truth = nn.functional.one_hot(target, values.shape[1]).movedim(-1, 1).to(probability.dtype)
    axes = (0, *range(2, values.ndim))
    overlap, size = (probability * truth).sum(axes)[1:], (probability + truth).sum(axes)[1:]
    shown = truth.sum(axes)[1:] > 0
    if not bool(shown.any()):
        return entropy
    dice = (2 * overlap[shown] + 1.0) / (size[shown] + 1.0)
    return entropy + (1 - dice).mean()
