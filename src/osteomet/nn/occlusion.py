"""Where a decision comes from: how far it falls when a part of the image is covered.

References
----------
Zeiler M.D., Fergus R. Visualizing and understanding convolutional networks.
https://doi.org/10.1007/978-3-319-10590-1_53
Adebayo J. et al. Sanity checks for saliency maps. https://doi.org/10.48550/arXiv.1810.03292 (random weights)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

Score = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""What is asked about: a number for each image of a batch."""

_BOXES = 4
"""How many boxes fill an edge of a cube."""


def occlusion_of_cube(score: Score, cube: NDArray[np.float32], *, n_covered: int) -> NDArray[np.float32]:
    """How far a score falls when a box of a cube is covered with 0.

    Parameters
    ----------
    score
        For example the probability of a class.
    cube
        Shape (inputs, side, side, side).
    n_covered
        How many inputs, from the first on, are covered.

    Returns
    -------
    Shape (side, side, side): at each place the mean fall over the boxes that cover it. Positive where the decision
    draws on what is there, negative where that speaks against it. A box has a quarter of the edge of the cube; boxes
    stand half of their own edge apart.
    """
    boxes = occlusion_boxes(cube.shape[1])
    covered = np.repeat(cube[None], len(boxes), axis=0)
    for one, box in zip(covered, boxes, strict=True):
        one[:n_covered, *box] = 0.0
    total, times = np.zeros((2, *cube.shape[1:]))
    for fall, box in zip(score(cube[None])[0] - score(covered), boxes, strict=True):
        total[box] += fall
        times[box] += 1
    return np.asarray(total / times, dtype=np.float32)


def occlusion_boxes(side: int) -> list[tuple[slice, slice, slice]]:
    """Boxes that are covered one after the other; together they fill a cube of this side.

    Examples
    --------
    >>> sorted({(box[0].start, box[0].stop) for box in occlusion_boxes(8)})
    [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 8)]
    """
    edge = -(-side // _BOXES)
    starts = sorted({*range(0, side - edge, max(1, edge // 2)), side - edge})
    return [(slice(i, i + edge), slice(j, j + edge), slice(k, k + edge)) for i, j, k in product(starts, repeat=3)]


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """A copy of a network whose every weight is drawn anew, with the spread that it had.

    An explanation that stays the same on the copy does not explain the network.
    """
    source = torch.Generator().manual_seed(seed)
    drawn = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in drawn.parameters():
            spread = parameter.std(correction=0) if parameter.numel() > 1 else parameter.abs()
            noise = torch.randn(parameter.shape, generator=source).to(parameter.device)
            parameter.copy_(noise * spread + parameter.mean())
    return drawn.eval()


def likeness(first: NDArray[np.float32], second: NDArray[np.float32]) -> float | None:
    """Spearman's rank correlation of two maps over all places; None where one is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first.ravel(), second.ravel()).statistic)
