"""A smooth line along the spine with a frame across it: places in the patient and places along the line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from osteomet.core.errors import InputError

_STEP_MM = 4.0
_BEYOND_MM = 400.0
_CUTOFF_MM = 120.0
_N_NEWTON = 12
_LEAST_SLOPE = 0.1
_LEFT = np.array([1.0, 0.0, 0.0])


@dataclass(frozen=True, slots=True, eq=False)
class Centreline:
    """A line from foot to head that straightening makes straight.

    A point of the patient has straight coordinates: its place along the line, and how far left and posterior of the
    line it lies in the plane across it. They are given as LPS mm of a straightened patient in whom the middle of the
    line stays where it is. So a line that is straight and upright changes nothing.

    Parameters
    ----------
    knots_mm
        Points of the line, shape (n, 3), LPS mm, from foot to head, evenly along it.
    middle
        Number of the knot that stays in place.

    Notes
    -----
    Between knots runs a cubic spline. The plane across it at each place holds the direction to the left that is
    nearest to the patient's: torsion about the spine is left as it is, and the frame at one place does not depend on
    how the line got there.
    """

    knots_mm: NDArray[np.float64]
    middle: int
    _place: NDArray[np.float64] = field(init=False, repr=False)
    _curve: CubicSpline = field(init=False, repr=False)

    def __post_init__(self) -> None:
        step = np.linalg.norm(np.diff(self.knots_mm, axis=0), axis=1)
        place = np.concatenate([[0.0], np.cumsum(step)])
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_curve", CubicSpline(place, self.knots_mm))

    @classmethod
    def through(cls, points_mm: ArrayLike) -> Self:
        """Fit a line to points, in any order, such as the middles of the canal at each vertebra.

        Parameters
        ----------
        points_mm
            Shape (n, 3), n at least 2, LPS mm; no two at one height.

        Raises
        ------
        InputError
            If there are fewer than two points, or two lie at one height.

        Notes
        -----
        The position at knots 4 mm apart in height is the one whose squared distances to the points and squared second
        differences are least together (Whittaker 1923). The weight of the latter halves waves of 120 mm, and so takes
        out the noise of single points and keeps lordosis and kyphosis. Points on a straight line give that line.
        Beyond the points the line goes on straight, 400 mm at both ends.

        References
        ----------
        Whittaker E.T. On a new method of graduation. Proc. Edinburgh Math. Soc. 1923.
        https://doi.org/10.1017/S0013091500077853
        """
        points = np.asarray(points_mm, dtype=np.float64)
        points = points[np.argsort(points[:, 2])]
        if len(points) < 2 or np.diff(points[:, 2]).min() <= 0:
            raise InputError(
                "a line along the spine cannot be drawn",
                expected="points at two heights or more, one at each",
                got=f"{len(points)} points",
            )
        curve = _graduate(points)
        dense = np.linspace(curve[0, 2], curve[-1, 2], 20 * len(curve))
        line = CubicSpline(curve[:, 2], curve)(dense)
        length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        n = max(2, round(length[-1] / _STEP_MM) + 1)
        even = np.linspace(0, length[-1], n)
        inner = np.stack([np.interp(even, length, line[:, axis]) for axis in range(3)], axis=1)
        n_more = int(_BEYOND_MM / _STEP_MM)
        first, last = inner[1] - inner[0], inner[-1] - inner[-2]
        steps = np.arange(1, n_more + 1)[:, None]
        knots = np.vstack([inner[0] - steps[::-1] * first, inner, inner[-1] + steps * last])
        return cls(knots, n_more + n // 2)

    @property
    def length_mm(self) -> float:
        """Length, straight ends included."""
        return float(self._place[-1])

    def to_source_xyz_mm(self, straight_xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """Map straight coordinates, shape (..., 3), to LPS mm of the patient."""
        local = np.asarray(straight_xyz_mm, dtype=np.float64) - self._anchor()
        place = local[..., 2]
        left, posterior, _ = self._frame(place)
        return np.asarray(self._curve(place) + local[..., :1] * left + local[..., 1:2] * posterior)

    def to_straight_xyz_mm(self, source_xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """Map LPS mm of the patient, shape (..., 3), to straight coordinates: the inverse of `to_source_xyz_mm`.

        The place of a point is where the plane across the line holds it, the nearest one if there are several: within
        the radius of the line's bends there is one.
        """
        xyz = np.asarray(source_xyz_mm, dtype=np.float64)
        place = self._place[cKDTree(self.knots_mm).query(xyz)[1]]
        for _ in range(_N_NEWTON):
            offset, slope = xyz - self._curve(place), self._curve(place, 1)
            bend = (offset * self._curve(place, 2)).sum(axis=-1)
            steepness = np.minimum(bend - (slope**2).sum(axis=-1), -_LEAST_SLOPE)
            place = np.clip(place - (offset * slope).sum(axis=-1) / steepness, 0, self.length_mm)
        offset = xyz - self._curve(place)
        left, posterior, _ = self._frame(place)
        across = [(offset * axis).sum(axis=-1) for axis in (left, posterior)]
        return np.asarray(np.stack([*across, place], axis=-1) + self._anchor())

    def stretch(self, straight_xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """How long a step of 1 mm along the straightened spine is in the patient, shape (...).

        1 on the line, less on the inner side of a bend; 0 and below beyond its centre, where places overlap.
        """
        local = np.asarray(straight_xyz_mm, dtype=np.float64) - self._anchor()
        left, posterior, _ = self._frame(local[..., 2])
        offset = local[..., :1] * left + local[..., 1:2] * posterior
        return np.asarray(1 - (offset * self._curve(local[..., 2], 2)).sum(axis=-1))

    def _anchor(self) -> NDArray[np.float64]:
        """What is added to left, posterior and place, so that the middle of the line stays where it is."""
        return np.asarray(self.knots_mm[self.middle] - [0.0, 0.0, self._place[self.middle]])

    def _frame(
        self, place: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Unit vectors to the left, to posterior and along the line at places, each of shape (..., 3)."""
        up = _unit(self._curve(place, 1))
        left = _unit(_LEFT - (up @ _LEFT)[..., None] * up)
        return left, np.asarray(np.cross(up, left), dtype=np.float64), up


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _graduate(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed positions, shape (m, 3), at even heights from the lowest point to the highest."""
    low, high = points[0, 2], points[-1, 2]
    n = max(2, int(np.ceil((high - low) / _STEP_MM)) + 1)
    heights = np.linspace(low, high, n)
    step = heights[1] - heights[0]
    lower = np.minimum(((points[:, 2] - low) / step).astype(int), n - 2)
    part = (points[:, 2] - heights[lower]) / step
    look_up = np.zeros((len(points), n))
    rows = np.arange(len(points))
    look_up[rows, lower], look_up[rows, lower + 1] = 1 - part, part
    second = np.diff(np.eye(n), n=2, axis=0)
    spacing = (high - low) / (len(points) - 1)
    weight = (_CUTOFF_MM / (2 * np.pi)) ** 4 / spacing / step**3
    system = look_up.T @ look_up + weight * second.T @ second
    across = np.linalg.solve(system, look_up.T @ points[:, :2])
    return np.column_stack([across, heights])
