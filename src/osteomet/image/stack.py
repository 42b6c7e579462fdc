"""Stacks of slices: which array axis goes through them, and the same stack with other numbers of voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from osteomet.core.grid import Grid


def stack_grid(grid: Grid, shape: Sequence[int | None]) -> Grid:
    """Grid of the same box with the slices along its last axis and so many voxels along each.

    The axis of the largest spacing goes through the slices (the first of equals). The other two stand in the order
    left–right, front–back, up–down of the patient axes that they are nearest to, and all three run to the patient's
    left, back and top: a network always sees a slice the same way round.

    Parameters
    ----------
    grid
        Any grid.
    shape
        Voxels along both axes in the slice and through the slices; None keeps the number.

    Examples
    --------
    >>> sagittal = Grid.from_spacing((320, 320, 15), (0.5, 0.5, 4.0), direction=[[0, 0, 1], [1, 0, 0], [0, -1, 0]])
    >>> stack_grid(sagittal, (160, 80, None)).describe()
    '160×80×15 voxels of (1, 2, 4) mm from (0, 0.25, -158.8) mm'
    """
    through = int(np.argmax(grid.spacing_mm))
    nearest = np.abs(grid.direction).argmax(axis=0)
    order = [*sorted({0, 1, 2} - {through}, key=lambda axis: int(nearest[axis])), through]
    signs = [float(np.sign(grid.direction[nearest[axis], axis])) for axis in order]
    sides = np.array([grid.shape[a] if n is None else n for a, n in zip(order, shape, strict=True)])
    spacing = np.array(grid.extent_mm)[order] / sides
    axes = grid.direction[:, order] * signs
    centre = grid.to_xyz_mm((np.array(grid.shape) - 1) / 2)
    origin = centre - axes @ (spacing * (sides - 1) / 2)
    return Grid.from_spacing(
        sides.tolist(),
        spacing.tolist(),
        origin_mm=origin.tolist(),
        direction=axes,
        frame_of_reference_uid=grid.frame_of_reference_uid,
    )
