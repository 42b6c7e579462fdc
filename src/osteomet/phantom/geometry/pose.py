"""How a patient lies on the table: a rigid move between the frame of the body and that of the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from osteomet.core.grid import Grid


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """``matrix`` maps points of the scanner to points of the body, shape (4, 4), LPS mm."""

    matrix: NDArray[np.float64]

    def in_body(self, grid: Grid) -> Grid:
        """Where in the body the voxels of a scanner's grid lie."""
        return Grid(grid.shape, self.matrix @ grid.affine)


def random_pose(
    rng: np.random.Generator, *, turn_degree: float, shift_mm: ArrayLike, about_mm: ArrayLike = (0.0, 0.0, 0.0)
) -> Pose:
    """Draw a turn about the three axes through a point and a shift, with these standard deviations.

    ``shift_mm`` is one number or one for each axis. Turns and shifts beyond twice the standard deviation are cut.
    """
    angles = turn_degree * np.clip(rng.normal(size=3), -2, 2)
    shift = np.asarray(shift_mm) * np.clip(rng.normal(size=3), -2, 2)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    about = np.asarray(about_mm, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = about - turn @ about + shift
    return Pose(matrix)
