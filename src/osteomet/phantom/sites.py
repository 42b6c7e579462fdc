"""Where in the skeleton metastases and their mimics arise.

References
----------
Algra P.R. et al. Do metastases in vertebrae begin in the body or the pedicles? AJR 1992;158:1275-1279.
https://doi.org/10.2214/ajr.158.6.1590123
Guo M. et al. Predominance of spinal metastases involving the posterior vertebral body. World Neurosurg 2018 (65 % of
lesions lie in the posterior half of the body or reach it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.phantom.kernels import HOLE, MODE, VERTEBRAL_BODY
from osteomet.phantom.shapes import Shapes, Warp, cut, distance_to_one, warped_points

# Odds of each site, from the order of frequency that series of bone metastases report: column, pelvis, ribs, femora.
_SITE_ODDS = {
    Group.CERVICAL: 0.5,
    Group.THORACIC: 1.0,
    Group.LUMBAR: 1.3,
    Group.SACRAL: 1.0,
    Group.PELVIS: 1.0,
    Group.FEMUR: 0.5,
    Group.THORAX: 0.06,
}
_STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
_N_POSTERIOR_TRIES = 2
STEP_MM = 0.5
"""Distance between the points that a `Ray` sees."""


@dataclass(frozen=True, slots=True, eq=False)
class Ray:
    """What lies along a straight line through bones, every half millimetre.

    Depth below the surface in mm, negative outside, and the nearest bone.
    """

    depth_mm: NDArray[np.float32]
    owner: NDArray[np.uint8]

    @property
    def exit_mm(self) -> float | None:
        """Way to the surface from inside, None where the line does not leave bone."""
        outside = np.flatnonzero(self.depth_mm <= 0)
        return float(outside[0]) * STEP_MM if outside.size else None

    @property
    def gap_mm(self) -> float:
        """Width of the space that the line crosses after its exit; the rest of the line where no bone follows."""
        outside = np.flatnonzero(self.depth_mm <= 0)
        back = np.flatnonzero(self.depth_mm[outside[0] :] > 0) if outside.size else np.array([])
        return float(back[0] if back.size else self.depth_mm.size - outside[0]) * STEP_MM if outside.size else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A point in a bone: vocabulary id of the bone, code of its part, and the point (LPS mm, unwarped frame)."""

    owner: int
    part: int
    centre_mm: NDArray[np.float64]


class Look(Protocol):
    """Looks along a unit vector from a point (LPS mm, unwarped frame), as `cast` does."""

    def __call__(self, start: NDArray[np.float64], direction: NDArray[np.float64], *, length_mm: float) -> Ray:
        """Return what lies there."""
        ...


def cast(bones: Shapes, start: NDArray[np.float64], direction: NDArray[np.float64], *, length_mm: float) -> Ray:
    """Look along a unit vector from a point (LPS mm, unwarped frame)."""
    side = np.cross(direction, [1.0, 0, 0] if abs(direction[0]) < 0.7 else [0, 1.0, 0])
    side /= np.linalg.norm(side)
    axes = np.stack([direction, side, np.cross(direction, side)], axis=1)
    n = int(length_mm / STEP_MM)
    grid = Grid.from_spacing((n, 1, 1), (STEP_MM,) * 3, origin_mm=start.tolist(), direction=axes)
    found = cut(bones, warped_points(grid, _STILL), grid, _STILL, margin_mm=1.0)
    return Ray(-found.distance_mm[:, 0, 0], found.owner[:, 0, 0])


def labelled_odds(volumes_mm3: Mapping[int, float]) -> dict[int, float]:
    """Chance of each bone of a label map, by id: preference of its region times its volume to the power of 0.7.

    A vertebra whose level is not determined counts like a thoracic one.
    """
    preference = {s.id: _SITE_ODDS.get(s.group, _SITE_ODDS[Group.THORACIC]) for s in STRUCTURES.values()}
    odds = {owner: preference[owner] * volume**0.7 for owner, volume in volumes_mm3.items()}
    total = sum(odds.values())
    return {owner: value / total for owner, value in odds.items()}


def site_odds(bones: Shapes) -> NDArray[np.float64]:
    """Chance of each primitive: preference of its region times the size of its box; holes have none."""
    preference = {s.id: _SITE_ODDS.get(s.group, 0.0) for s in STRUCTURES.values()}
    volume = np.prod(np.maximum(bones.boxes[:, 1] - bones.boxes[:, 0], 4.0), axis=1)
    odds = np.minimum(volume, 40.0**3) ** 0.7 * np.array([preference[int(o)] for o in bones.owners])
    odds = np.where(bones.parameters[:, MODE] == HOLE, 0.0, odds)
    return np.asarray(odds / odds.sum())


def point_inside(rng: np.random.Generator, bones: Shapes, row: int) -> NDArray[np.float64]:
    """Draw a point inside one primitive by rejection; after 200 misses, the middle of its box."""
    low, high = bones.boxes[row]
    for _ in range(200):
        point = rng.uniform(low, high)
        if distance_to_one(bones, row, point) < -1.0:
            return np.asarray(point)
    return np.asarray((low + high) / 2)


def metastatic_point(rng: np.random.Generator, bones: Shapes, row: int) -> NDArray[np.float64]:
    """Draw a point inside one primitive; in a vertebral body the more posterior of two, as metastases seed there."""
    if bones.kinds[row] != VERTEBRAL_BODY:
        return point_inside(rng, bones, row)
    points = [point_inside(rng, bones, row) for _ in range(_N_POSTERIOR_TRIES)]
    posterior = bones.parameters[row, [4, 7, 10]]
    return max(points, key=lambda p: float(p @ posterior))
