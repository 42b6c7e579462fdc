"""The course of the vertebral column: a smooth curve through the centres of vertebrae, and places measured along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_BANDWIDTH_MM = 25.0
_KNOT_STEP_MM = 5.0
_END_MM = 40.0
_STRAY_MM = 15.0
_TILT_PRIOR_MM = 15.0
_N_ROUNDS = 4
_DOWN = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A polyline from head to foot, shape (m, 3), LPS mm. Places along it are in mm from its first point."""

    points_mm: NDArray[np.float64]

    @classmethod
    def through(cls, centres_mm: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        """Fit a curve to centres of vertebrae, or of pieces of them, in any order.

        Parameters
        ----------
        centres_mm
            Shape (n, 3), n at least 1, LPS mm.
        weights
            Positive, shape (n,), for example volumes.

        Notes
        -----
        Local linear regression of the position on the place along the curve (Gaussian, 25 mm), which starts as height
        and is measured anew on the curve of each round, so that a kyphosis is followed round its bend. Slopes are drawn
        gently to straight down (15 mm: stable for two pieces of one body up to 30 mm side by side). Centres far from
        the curve lose weight from round to round. The ends are prolonged by 40 mm, past the outermost bodies.
        """
        place = centres_mm @ _DOWN
        robust = weights / weights.sum()
        for _ in range(_N_ROUNDS):
            curve = cls(_regress(centres_mm, place, robust))
            place, distance = curve.project(centres_mm)
            robust = weights / (1 + (distance / _STRAY_MM) ** 2)
        return curve

    def project(self, points_mm: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Place along the curve and distance to it, mm, of each point of shape (n, 3)."""
        start, along = self.points_mm[:-1], np.diff(self.points_mm, axis=0)
        length = np.linalg.norm(along, axis=1)
        before = np.concatenate([[0.0], np.cumsum(length)[:-1]])
        # The knots lie densely on a smooth curve: the nearest point is on a segment that ends at the nearest knot.
        knot = cKDTree(self.points_mm).query(points_mm)[1]
        places, distances = [], []
        for segment in (np.maximum(knot - 1, 0), np.minimum(knot, len(along) - 1)):
            offset = points_mm - start[segment]
            part = np.clip(np.einsum("nd,nd->n", offset, along[segment]) / length[segment] ** 2, 0, 1)
            distances.append(np.linalg.norm(offset - part[:, None] * along[segment], axis=1))
            places.append(before[segment] + part * length[segment])
        first = distances[0] <= distances[1]
        return np.where(first, *places), np.where(first, *distances)

    def up_at(self, place_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return unit vectors towards the head at places along the curve, shape (n, 3)."""
        along = np.diff(self.points_mm, axis=0)
        length = np.linalg.norm(along, axis=1)
        segment = np.clip(np.searchsorted(np.cumsum(length), place_mm), 0, len(length) - 1)
        return np.asarray(-along[segment] / length[segment, None])


def _regress(
    centres: NDArray[np.float64], place: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Knots of the local linear fit of positions on places, 5 mm apart, with both ends prolonged."""
    low, high = place.min(), place.max()
    knots = np.linspace(low, high, int(np.ceil((high - low) / _KNOT_STEP_MM)) + 1)
    nearness = -0.5 * ((knots[:, None] - place) / _BANDWIDTH_MM) ** 2
    kernel = weights * np.exp(nearness - nearness.max(axis=1, keepdims=True))
    kernel /= kernel.sum(axis=1, keepdims=True)
    # Positions less a straight way down: their slope is what the prior draws to zero.
    bent = centres - place[:, None] * _DOWN
    mean_place, mean_bent = kernel @ place, kernel @ bent
    offset = place - mean_place[:, None]
    covariance = np.einsum("kn,kn,knd->kd", kernel, offset, bent - mean_bent[:, None])
    slope = covariance / ((kernel * offset**2).sum(axis=1) + _TILT_PRIOR_MM**2)[:, None]
    fitted = mean_bent + slope * (knots - mean_place)[:, None] + knots[:, None] * _DOWN
    first, last = slope[0] + _DOWN, slope[-1] + _DOWN
    ends = _END_MM * first / np.linalg.norm(first), _END_MM * last / np.linalg.norm(last)
    return np.vstack([fitted[0] - ends[0], fitted, fitted[-1] + ends[1]])
