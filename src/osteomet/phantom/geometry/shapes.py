"""Implicit shapes: everything in a phantom is a table of primitives with a signed distance, cut by any grid.

A primitive is a row of 21 numbers and a kind. Distances are in mm, negative inside. Because shapes are functions of
world coordinates, any crop at any spacing and orientation is rendered without building the rest of the body. The
loops are compiled (`kernels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.geometry import kernels
from osteomet.phantom.geometry.blocks import edge_of
from osteomet.phantom.geometry.distances import (
    CAPSULE,
    CUP,
    ELLIPSOID,
    LOFT,
    PLATE,
    QUAD,
    VERTEBRAL_BODY,
    distance,
)
from osteomet.phantom.geometry.kernels import BLEND, HOLE, MODE, SOLID

_N_PARAMETERS = 21
FAR_MM = 60.0
"""Distance assigned where no primitive is near."""
JOINT_GAP_MM = 1.8
"""Least width of the space that `cut` leaves between two owners: joint cartilage, which no CT shows as bone."""
_HOLE_REACH_MM = 3.0
# No signed distance of `distances` changes faster than this, mm per mm.
_STEEPEST_DISTANCE = 1.25


@dataclass(slots=True)
class ShapeTable:
    """Primitives under construction: parallel lists of kind, parameters, owner (who it belongs to) and part code."""

    kinds: list[int] = field(default_factory=list)
    parameters: list[NDArray[np.float64]] = field(default_factory=list)
    boxes: list[NDArray[np.float64]] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    mode: float = SOLID
    blend_mm: float = 0.0

    @contextmanager
    def joining(self, *, mode: float = SOLID, blend_mm: float = 0.0) -> Iterator[None]:
        """Say how the primitives added meanwhile join those of the same owner that came before.

        `kernels.SOLID` adds, over a smooth crease of ``blend_mm``; `kernels.HOLE` cuts away; `kernels.FUSED` adds and
        leaves no joint space to other owners.
        """
        before = self.mode, self.blend_mm
        self.mode, self.blend_mm = mode, blend_mm
        yield
        self.mode, self.blend_mm = before

    def _add(self, kind: int, values: Sequence[float], box: ArrayLike, owner: int, part: int) -> None:
        row = np.zeros(_N_PARAMETERS)
        row[: len(values)] = values
        row[MODE], row[BLEND] = self.mode, self.blend_mm
        self.kinds.append(kind)
        self.parameters.append(row)
        self.boxes.append(np.asarray(box, dtype=np.float64))
        self.owners.append(owner)
        self.parts.append(part)

    def capsule(self, a: ArrayLike, b: ArrayLike, radii_mm: tuple[float, float], *, owner: int, part: int = 0) -> None:
        """Rounded cone from point a to point b (LPS mm) with the radius at each end."""
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        radius = max(radii_mm)
        box = [np.minimum(a, b) - radius, np.maximum(a, b) + radius]
        self._add(CAPSULE, [*a, *b, *radii_mm], box, owner, part)

    def plate(self, corners: ArrayLike, half_thickness_mm: float, *, owner: int, part: int = 0) -> None:
        """Triangle with three corners, shape (3, 3), rounded to a half thickness."""
        points = np.asarray(corners, dtype=float)
        box = [points.min(axis=0) - half_thickness_mm, points.max(axis=0) + half_thickness_mm]
        self._add(PLATE, [*points.ravel(), half_thickness_mm], box, owner, part)

    def quad(self, corners: ArrayLike, half_thickness_mm: float, *, owner: int, part: int = 0) -> None:
        """Four corners in order, shape (4, 3), rounded to a half thickness; folded along the first diagonal."""
        points = np.asarray(corners, dtype=float)
        box = [points.min(axis=0) - half_thickness_mm, points.max(axis=0) + half_thickness_mm]
        self._add(QUAD, [*points.ravel(), half_thickness_mm], box, owner, part)

    def ellipsoid(
        self, centre: ArrayLike, radii_mm: ArrayLike, *, owner: int, part: int = 0, axes: ArrayLike | None = None
    ) -> None:
        """Ellipsoid with radii along its own axes (columns of ``axes``, patient axes by default)."""
        centre, radii = np.asarray(centre, dtype=float), np.asarray(radii_mm, dtype=float)
        frame = np.eye(3) if axes is None else np.asarray(axes, dtype=float)
        reach = np.abs(frame) @ radii
        self._add(ELLIPSOID, [*centre, *frame.ravel(), *radii], [centre - reach, centre + reach], owner, part)

    def vertebral_body(
        self, centre: ArrayLike, axes: ArrayLike, size_mm: ArrayLike, shape: ArrayLike, *, owner: int, part: int = 0
    ) -> None:
        """Vertebral body: width, depth, height in mm; endplate concavity mm, waist fraction, wedge fraction, skew.

        ``skew`` (0 where it is left out) moves the widest place backwards, as a share of the half depth.
        """
        centre, frame = np.asarray(centre, dtype=float), np.asarray(axes, dtype=float)
        half = np.asarray(size_mm, dtype=float) / 2
        reach = np.abs(frame) @ half + 3
        values = [*centre, *frame.ravel(), *half, *np.asarray(shape, dtype=float)]
        self._add(VERTEBRAL_BODY, values, [centre - reach, centre + reach], owner, part)

    def cup(
        self,
        centre: ArrayLike,
        radius_mm: float,
        half_thickness_mm: float,
        opening: ArrayLike,
        *,
        owner: int,
        part: int = 0,
    ) -> None:
        """Spherical shell, open on the side of the unit vector ``opening``: an acetabulum."""
        centre, axis = np.asarray(centre, dtype=float), np.asarray(opening, dtype=float)
        reach = radius_mm + half_thickness_mm
        self._add(CUP, [*centre, radius_mm, half_thickness_mm, *axis], [centre - reach, centre + reach], owner, part)

    def loft(
        self, knots: ArrayLike, *, squareness: float = 0.0, turn_rad: float = 0.0, owner: int, part: int = 0
    ) -> None:
        """Cross-sections in horizontal slices, blended linearly from knot to knot; ellipses at ``squareness`` 0.

        ``knots`` has shape (n, 5), by ascending height: z, centre x and y, half width, half depth (mm). Sections turn
        from left to posterior by ``turn_rad``. The ends are flat and sharp.
        """
        for low, high in pairwise(np.asarray(knots, dtype=float)):
            reach = np.maximum(low[3:], high[3:])
            if turn_rad:
                reach = np.full(2, reach.max())
            box = [
                [*(np.minimum(low[1:3], high[1:3]) - reach), low[0]],
                [*(np.maximum(low[1:3], high[1:3]) + reach), high[0]],
            ]
            turn = np.cos(turn_rad), np.sin(turn_rad)
            self._add(LOFT, [low[0], high[0], *low[1:], *high[1:], *turn, squareness], box, owner, part)

    def freeze(self) -> Shapes:
        """Return the finished table."""
        n = len(self.kinds)
        return Shapes(
            np.array(self.kinds, dtype=np.int64),
            np.array(self.parameters).reshape(n, _N_PARAMETERS),
            np.array(self.boxes).reshape(n, 2, 3),
            np.array(self.owners, dtype=np.int64),
            np.array(self.parts, dtype=np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """A finished table of primitives, ready to be cut by a grid."""

    kinds: NDArray[np.int64]
    parameters: NDArray[np.float64]
    boxes: NDArray[np.float64]
    owners: NDArray[np.int64]
    parts: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the primitives."""
        return len(self.kinds)

    @property
    def is_solid(self) -> NDArray[np.bool_]:
        """Whether each primitive adds matter, instead of a hole."""
        return np.asarray(self.parameters[:, MODE] != HOLE)

    def select(self, rows: NDArray[np.bool_]) -> Shapes:
        """Return the primitives where ``rows`` is true."""
        return Shapes(self.kinds[rows], self.parameters[rows], self.boxes[rows], self.owners[rows], self.parts[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """Smooth displacement of space, a sum of sine waves: ``shift(p) = Σ amplitude · sin(wave · p + phase)``.

    ``amplitudes_mm`` and ``waves`` have shape (n, 3), ``phases`` (n,). Topology is kept while the largest gradient
    stays below 1, which `random_warp` ensures.
    """

    amplitudes_mm: NDArray[np.float64]
    waves: NDArray[np.float64]
    phases: NDArray[np.float64]

    def shift_mm(self, xyz_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement at points of shape (n, 3)."""
        return np.asarray(np.sin(xyz_mm @ self.waves.T + self.phases) @ self.amplitudes_mm)

    @property
    def steepest(self) -> float:
        """Upper bound of the change of displacement per mm."""
        sizes = np.linalg.norm(self.amplitudes_mm, axis=1) * np.linalg.norm(self.waves, axis=1)
        return float(np.sqrt((sizes**2).sum()))


STILL = Warp(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
"""No displacement."""


def random_warp(rng: np.random.Generator, *, amplitude_mm: float, shortest_mm: float = 60.0) -> Warp:
    """Draw a warp of six waves with wavelengths from ``shortest_mm`` to five times that."""
    n = 6
    lengths = shortest_mm * np.geomspace(1, 5, n)
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    waves = directions * (2 * np.pi / lengths)[:, None]
    steepest = 0.05 * lengths / (2 * np.pi)
    amplitudes = rng.normal(size=(n, 3)) * np.minimum(amplitude_mm * lengths / lengths.max(), steepest)[:, None]
    return Warp(amplitudes, waves, rng.uniform(0, 2 * np.pi, n))


def warped_points(grid: Grid, warp: Warp) -> NDArray[np.float32]:
    """Positions of all voxel centres in the unwarped frame of the shapes, shape (i, j, k, 3), mm."""
    i, j, k = np.indices(grid.shape, dtype=np.float32, sparse=True)
    matrix = grid.affine.astype(np.float32)
    points = np.stack(
        [matrix[r, 0] * i + matrix[r, 1] * j + matrix[r, 2] * k + matrix[r, 3] for r in range(3)], axis=-1
    )
    kernels.warp_points(points, grid.affine[:3, 2].copy(), warp.amplitudes_mm, warp.waves, warp.phases)
    return points


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Shapes cut by a grid: signed distance (mm, `FAR_MM` where nothing is near), owner and part of the nearest one."""

    distance_mm: NDArray[np.float32]
    owner: NDArray[np.uint8]
    part: NDArray[np.uint8]


def cut(shapes: Shapes, points: NDArray[np.float32], grid: Grid, warp: Warp, *, margin_mm: float) -> Cut:
    """Signed distance and owner at every voxel, right inside and within ``margin_mm`` outside of a surface.

    Inside several parts of one owner the lowest part code wins. Between two owners that overlap or nearly touch stays a
    joint space of `JOINT_GAP_MM`, shared half and half. ``points`` are the `warped_points` of ``grid`` under ``warp``.
    """
    found = (
        np.full(grid.shape, FAR_MM, dtype=np.float32),
        np.zeros(grid.shape, dtype=np.uint8),
        np.zeros(grid.shape, dtype=np.uint8),
    )
    margins = np.maximum(shapes.parameters[:, BLEND], max(margin_mm, JOINT_GAP_MM)) + _HOLE_REACH_MM * ~shapes.is_solid
    edge = edge_of(grid)
    half_block = float(np.linalg.norm(grid.spacing_mm)) * edge / 2 * (1 + warp.steepest)
    kernels.nearest(
        points, shapes.kinds, shapes.parameters, blocks_of(shapes, grid, warp, margins),
        np.stack([shapes.owners, shapes.parts], axis=1).astype(np.uint8), margins,
        (edge, _STEEPEST_DISTANCE * half_block, JOINT_GAP_MM), found,
    )  # fmt: skip
    return Cut(*found)


def blocks_of(shapes: Shapes, grid: Grid, warp: Warp, margin_mm: float | NDArray[np.float64]) -> NDArray[np.int64]:
    """Index range (start, stop) of the voxels that each primitive can reach, shape (n, 2, 3).

    A voxel at p shows the shape at p + shift(p), so the box moves against the shift at its centre and grows by what the
    shift can change within the box.
    """
    margin = np.reshape(margin_mm, (-1, 1))
    most = np.abs(warp.amplitudes_mm).sum(axis=0)
    corners = grid.corners_xyz_mm()
    near = (shapes.boxes[:, 0] - margin - most <= corners.max(axis=0)) & (
        shapes.boxes[:, 1] + margin + most >= corners.min(axis=0)
    )
    rows = near.all(axis=1)
    margin, boxes = np.broadcast_to(margin, (len(shapes), 1))[rows], shapes.boxes[rows]
    middle, half = boxes.mean(axis=1), (boxes[:, 1] - boxes[:, 0]) / 2
    move = warp.shift_mm(middle)
    reach = warp.steepest * (np.linalg.norm(half, axis=1) + margin[:, 0] + np.linalg.norm(move, axis=1))
    # However far apart, no two shifts differ by more than twice the sum of the waves.
    half = half + np.minimum(reach[:, None], 2 * most) + margin
    index, step = grid.to_ijk(middle - move), half @ np.abs(np.linalg.inv(grid.affine[:3, :3])).T
    blocks = np.zeros((len(shapes), 2, 3), dtype=np.int64)
    blocks[rows, 0] = np.clip(np.floor(index - step), 0, grid.shape)
    blocks[rows, 1] = np.clip(np.ceil(index + step) + 1, 0, grid.shape)
    return blocks


def distance_to_one(shapes: Shapes, row: int, point: NDArray[np.float64]) -> float:
    """Signed distance of one point (mm, unwarped frame) to one primitive."""
    return float(distance(int(shapes.kinds[row]), point, shapes.parameters[row]))
