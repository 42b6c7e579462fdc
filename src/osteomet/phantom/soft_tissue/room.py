"""The room between column and breastbone, in which heart and great vessels are placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.canvas import Chest, Levels

_USUAL_DEPTH_MM, _WALL_MM = 122.0, 13.0
_MIDDLE = 13.0
"""Place between T7 and T8, behind the middle of the heart."""


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """Places in a chest of 1.70 m, stretched to this one: ``size`` along and across the body, ``deep`` to the front."""

    levels: Levels
    size: float
    deep: float

    def at(self, place: float, left_mm: float, ahead_mm: float) -> NDArray[np.float64]:
        """Point at a place of the column, to the left of its middle and ahead of its front."""
        front = float(self.levels.depth(place))
        return self.levels.at(place, left_mm * self.size, -(front + ahead_mm * self.deep))

    def path(self, *points: tuple[float, float, float]) -> NDArray[np.float64]:
        """Points given as for `at`, shape (n, 3)."""
        return np.array([self.at(*point) for point in points])

    def sizes(self, across_mm: float, ahead_mm: float, along_mm: float) -> NDArray[np.float64]:
        """Half extents that grow with the room."""
        return np.array([across_mm * self.size, ahead_mm * self.deep, along_mm * self.size])


def room_of(levels: Levels, chest: Chest, size: float) -> Room:
    """Measure how deep a chest is in front of the column at the height of the heart."""
    middle = levels.at(_MIDDLE)
    front = float(np.interp(middle[2], chest.z_mm, chest.front_mm)) + _WALL_MM
    depth = middle[1] - float(levels.depth(_MIDDLE)) - front
    return Room(levels, size, float(np.clip(depth / _USUAL_DEPTH_MM, 0.62, 1.12)))
