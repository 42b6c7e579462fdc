"""Bounding boxes of labels, in array indices and in the patient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteomet.core.grid import Grid

Box = tuple[slice, slice, slice]


def label_boxes(array: NDArray[Any]) -> dict[int, Box]:
    """Bounding box of every label present, in one pass and without a copy, whatever the memory order.

    Examples
    --------
    >>> array = np.zeros((4, 4, 4), np.uint8)
    >>> array[1:3, 2, 0:4] = 7
    >>> label_boxes(array)
    {7: (slice(1, 3, None), slice(2, 3, None), slice(0, 4, None))}
    """
    reverse = array.flags.f_contiguous and not array.flags.c_contiguous
    boxes = {}
    for label, box in enumerate(ndimage.find_objects(array.T if reverse else array), start=1):
        if box is not None:
            boxes[label] = box[::-1] if reverse else box
    return boxes


def world_box_mm(grid: Grid, boxes: Iterable[Box]) -> NDArray[np.float64]:
    """Lowest and highest LPS corner of some boxes of a grid, voxel edge to voxel edge, shape (2, 3), mm."""
    corners = [np.array([(side.start - 0.5, side.stop - 0.5) for side in box]) for box in boxes]
    picks = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    points = np.concatenate([grid.to_xyz_mm(sides[[0, 1, 2], picks]) for sides in corners])
    return np.stack([points.min(axis=0), points.max(axis=0)])
