"""Where in the skeleton metastases and their mimics arise.

References
----------
Cristy M. Active bone marrow distribution as a function of age in humans. Phys Med Biol 1981;26:389-400.
https://doi.org/10.1088/0031-9155/26/3/003
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
from osteomet.phantom.geometry.distances import CAPSULE, CUP, ELLIPSOID, PLATE, QUAD, VERTEBRAL_BODY
from osteomet.phantom.geometry.kernels import HOLE, MODE
from osteomet.phantom.geometry.shapes import Shapes, Warp, cut, distance_to_one, warped_points

# Percent of the red marrow of an adult by region (Cristy 1981). Ribs and sternum count half: scans of the spine and
# pelvis see part of them.
_RED_MARROW = {
    Group.CERVICAL: 3.9,
    Group.THORACIC: 16.1,
    Group.LUMBAR: 12.3,
    Group.SACRAL: 9.9,
    Group.PELVIS: 17.5,
    Group.FEMUR: 6.7,
    Group.THORAX: 0.5 * (16.1 + 3.1),
}
_PREFERENCE_FOR_BODY = 2.0
_STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
_N_TRIES = 20
_UP = np.array([0.0, 0.0, 1.0])
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
    """Chance of each bone of a label map, by id: red marrow of its region, shared by volume.

    A vertebra whose level is not determined counts as thoracic.
    """
    group_of = {s.id: s.group if s.group in _RED_MARROW else Group.THORACIC for s in STRUCTURES.values()}
    total = dict.fromkeys(_RED_MARROW, 0.0)
    for owner, volume in volumes_mm3.items():
        total[group_of[owner]] += volume
    odds = {o: _RED_MARROW[group_of[o]] * volume / total[group_of[o]] for o, volume in volumes_mm3.items()}
    whole = sum(odds.values())
    return {owner: value / whole for owner, value in odds.items()}


def site_odds(bones: Shapes) -> NDArray[np.float64]:
    """Chance of each primitive: red marrow of its region, shared by volume; bodies count twice, holes not at all."""
    group_of = {s.id: s.group for s in STRUCTURES.values()}
    groups = np.array([group_of[int(owner)].value for owner in bones.owners])
    volume = _volumes_mm3(bones) * np.where(bones.kinds == VERTEBRAL_BODY, _PREFERENCE_FOR_BODY, 1.0)
    volume[bones.parameters[:, MODE] == HOLE] = 0
    odds = np.zeros(len(bones))
    for group, share in _RED_MARROW.items():
        here = groups == group.value
        if volume[here].sum() > 0:
            odds[here] = share * volume[here] / volume[here].sum()
    return np.asarray(odds / odds.sum())


def _volumes_mm3(bones: Shapes) -> NDArray[np.float64]:
    """Rough volume of each primitive."""
    q, kinds = bones.parameters, bones.kinds
    length, radius = np.linalg.norm(q[:, 3:6] - q[:, 0:3], axis=1), (q[:, 6] + q[:, 7]) / 2
    rod = np.pi * radius**2 * (length + 4 / 3 * radius)
    triangle = np.linalg.norm(np.cross(q[:, 3:6] - q[:, 0:3], q[:, 6:9] - q[:, 0:3]), axis=1) / 2
    other = np.linalg.norm(np.cross(q[:, 6:9] - q[:, 0:3], q[:, 9:12] - q[:, 0:3]), axis=1) / 2
    solid = np.prod(np.abs(q[:, 12:15]), axis=1)
    return np.select(
        [kinds == CAPSULE, kinds == PLATE, kinds == QUAD, kinds == ELLIPSOID, kinds == VERTEBRAL_BODY, kinds == CUP],
        [
            rod,
            2 * q[:, 9] * triangle,
            2 * q[:, 12] * (triangle + other),
            4 / 3 * np.pi * solid,
            0.75 * 8 * solid,
            np.pi * q[:, 3] ** 2 * 4 * q[:, 4],
        ],
    )


def point_inside(rng: np.random.Generator, bones: Shapes, row: int) -> NDArray[np.float64]:
    """Draw a point inside one primitive by rejection; after 200 misses, the middle of its box."""
    low, high = bones.boxes[row]
    for _ in range(200):
        point = rng.uniform(low, high)
        if distance_to_one(bones, row, point) < -1.0:
            return np.asarray(point)
    return np.asarray((low + high) / 2)


def metastatic_point(rng: np.random.Generator, bones: Shapes, row: int) -> NDArray[np.float64]:
    """Draw a point inside one primitive; in a vertebral body the more posterior of two, as metastases seed there.

    What holes and joint spaces cut out of the primitive is avoided, unless nothing else turns up in twenty draws.
    """
    for _ in range(_N_TRIES):
        points = [point_inside(rng, bones, row)]
        if bones.kinds[row] == VERTEBRAL_BODY:
            points.append(point_inside(rng, bones, row))
        posterior = bones.parameters[row, [4, 7, 10]]
        point = max(points, key=lambda p: float(p @ posterior))
        if cast(bones, point, _UP, length_mm=1.0).depth_mm[0] > 0:
            break
    return point
