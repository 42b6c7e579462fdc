"""Surfaces of voxel masks and the distances between them, in millimetres.

A surface is made of **elements**, one at every corner of the voxel lattice where inside and outside voxels meet. The
eight voxels around that corner cut a piece of surface out of the box between their centres, by marching cubes through
the edge midpoints; its area is the element's weight. So a percentile or a mean is over area, not over a number of
points. What lies beyond the image counts as outside.

The Hausdorff distance alone is between the two sets of voxel centres, insides included, as ITK computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree
from skimage.measure import marching_cubes

from osteomet.core.errors import UsageError

_CORNERS = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
_FACES = np.concatenate([np.eye(3, dtype=np.intp), -np.eye(3, dtype=np.intp)])
_BLOCK = 8
_ROUNDING_MM = 1e-6


@dataclass(frozen=True, slots=True)
class SurfaceScores:
    """How far two surfaces lie apart; None where nothing can be said because a mask is empty.

    Parameters
    ----------
    hausdorff_mm
        Largest distance of a voxel centre of one mask to the nearest voxel centre of the other, both ways.
    hd95_mm
        95th percentile, by area, of the distances of the elements of one surface to the other; the larger direction.
    assd_mm
        Mean distance to the other surface over the area of both.
    nsd
        Share of the area of both surfaces that lies within the tolerance of the other; 0 where exactly one mask is
        empty.
    """

    hausdorff_mm: float | None
    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None


def surface_scores(
    reference_ijk: NDArray[Any], prediction_ijk: NDArray[Any], *, spacing_mm: Sequence[float], tolerance_mm: float
) -> SurfaceScores:
    """Compare two masks, each given as the list of its voxels.

    Parameters
    ----------
    reference_ijk, prediction_ijk
        Array indices of the voxels of each mask, shape (n, 3), each voxel once; `numpy.argwhere` lists those of a mask.
    spacing_mm
        Distance between voxel centres along each axis, mm.
    tolerance_mm
        Distance up to which a surface counts as well placed; a millionth of a millimetre more is granted to rounding.

    Returns
    -------
    SurfaceScores
        All None when both masks are empty; when one is, the distances are None (they would be infinite) and NSD is 0.

    Raises
    ------
    UsageError
        If the tolerance is negative.

    Notes
    -----
    HD95, ASSD and NSD are those of DeepMind's ``surface-distance``. HD95 is the larger of the two directed percentiles;
    other tools pool both directions or give every point the same weight, and differ by some per cent on one pair. The
    Hausdorff distance is ITK's. It is not the 100th percentile of the surface distances: where a mask fills a hole of
    the other the surfaces lie farther apart than the voxels do, and HD95 may exceed it. On slanted faces the elements
    form a band about a voxel thick, so that distances of some voxels come out short by up to half a voxel.

    Nearest elements are found by a tree over the elements, not by a distance map of the image, so the cost goes with
    the surfaces. Elements that both surfaces share lie at distance 0 and are not searched for.

    References
    ----------
    Nikolov et al. 2021, https://doi.org/10.2196/26151 (surface elements, NSD).
    Huttenlocher et al. 1993, https://doi.org/10.1109/34.232073 (Hausdorff distance between images).
    Lorensen, Cline 1987, https://doi.org/10.1145/37401.37422 (marching cubes).

    Examples
    --------
    Two cubes of 4 mm, one moved by 2 mm:

    >>> cube = np.argwhere(np.ones((4, 4, 4)))
    >>> scores = surface_scores(cube, cube + [2, 0, 0], spacing_mm=(1, 1, 1), tolerance_mm=1)
    >>> scores.hausdorff_mm, scores.hd95_mm
    (2.0, 2.0)
    """
    if tolerance_mm < 0:
        raise UsageError("a tolerance is a distance of at least 0 mm", got=f"{tolerance_mm} mm")
    if not len(reference_ijk) or not len(prediction_ijk):
        nsd = None if len(reference_ijk) == len(prediction_ijk) else 0.0
        return SurfaceScores(None, None, None, nsd)
    box = _Box.around(reference_ijk, prediction_ijk, spacing_mm)
    reference, prediction = box.solid(reference_ijk), box.solid(prediction_ijk)
    hausdorff_mm = max(_farthest_mm(box, reference, prediction), _farthest_mm(box, prediction, reference))
    distances, areas = _element_distances(box, reference, prediction)
    hd95_mm = max(_percentile(d, a, 0.95) for d, a in zip(distances, areas, strict=True))
    distance, area = np.concatenate(distances), np.concatenate(areas)
    total = area.sum()
    near = area[distance <= tolerance_mm + _ROUNDING_MM].sum()
    return SurfaceScores(hausdorff_mm, hd95_mm, float((distance * area).sum() / total), float(near / total))


def element_areas_mm2(spacing_mm: ArrayLike) -> NDArray[np.float64]:
    """Area of the surface element of each of the 256 ways in which the eight voxels around a corner can be filled.

    Parameters
    ----------
    spacing_mm
        Distance between voxel centres along each axis, mm.

    Returns
    -------
    Shape (256,), mm². Voxel (a, b, c) of the eight, each index 0 or 1, stands for 2 ** (4a + 2b + c) in the position.

    Notes
    -----
    Where marching cubes can cut a corner in two ways, the smaller area counts, so that a filling and its complement
    have one surface.

    Examples
    --------
    A plane across the box between eight voxel centres, and the three-cornered cut of a single voxel:

    >>> element_areas_mm2((1, 2, 3))[[0b00001111, 0b10000000]].round(6).tolist()
    [6.0, 0.875]
    """
    filling, triangles = _triangles()
    corners = triangles * np.asarray(spacing_mm, dtype=np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.bincount(filling, weights=np.linalg.norm(normals, axis=1) / 2, minlength=256)
    return np.minimum(areas, areas[::-1])


@cache
def _triangles() -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Triangles of all fillings, lengths in units of the spacing: filling of each, (m,), and its corners, (m, 3, 3)."""
    filling, triangles = [], []
    for code in range(1, 255):
        cube = (code >> (_CORNERS @ [4, 2, 1]) & 1).reshape(2, 2, 2)
        mesh: Any = marching_cubes
        vertices, faces, _, _ = mesh(cube.astype(float), 0.5, method="lorensen", allow_degenerate=False)
        triangles.append(vertices[faces].astype(np.float64))
        filling.append(np.full(len(faces), code))
    return np.concatenate(filling), np.concatenate(triangles)


@dataclass(frozen=True, slots=True, eq=False)
class _Box:
    """Block of voxels around both masks with an empty layer on every side; a place in it is one flat index."""

    start: NDArray[np.intp]
    shape: tuple[int, int, int]
    spacing_mm: NDArray[np.float64]

    @classmethod
    def around(cls, first: NDArray[Any], second: NDArray[Any], spacing_mm: Sequence[float]) -> Self:
        low = np.minimum(first.min(axis=0), second.min(axis=0)).astype(np.intp)
        high = np.maximum(first.max(axis=0), second.max(axis=0)).astype(np.intp)
        i, j, k = (high - low + 3).tolist()
        return cls(low - 1, (i, j, k), np.asarray(spacing_mm, dtype=np.float64))

    def flat(self, steps: NDArray[Any]) -> NDArray[np.intp]:
        """Flat index of each step from the first voxel of the box, negative steps allowed."""
        return np.asarray(steps @ np.array([self.shape[1] * self.shape[2], self.shape[2], 1]), dtype=np.intp)

    def solid(self, ijk: NDArray[Any]) -> _Solid:
        places = self.flat(ijk - self.start)
        filled = np.zeros(self.shape, dtype=bool).ravel()
        filled[places] = True
        return _Solid(places, filled)

    def to_mm(self, places: NDArray[np.intp]) -> NDArray[np.float64]:
        """Position of each place, mm from the first voxel of the box along each axis, shape (n, 3)."""
        return np.stack(np.unravel_index(places, self.shape), axis=-1) * self.spacing_mm


@dataclass(frozen=True, slots=True, eq=False)
class _Solid:
    """One mask in a box: places of its voxels, and for every place whether it is filled."""

    places: NDArray[np.intp]
    filled: NDArray[np.bool_]


def _farthest_mm(box: _Box, source: _Solid, target: _Solid) -> float:
    """Largest distance of a voxel of the source to the nearest voxel of the target.

    Only voxels outside the target count, and the nearest voxel of the target lies on its rim. Sources are first
    looked at in blocks: the distance of a block's centre bounds those of its voxels, and most blocks cannot hold the
    farthest.
    """
    outside = source.places[~target.filled[source.places]]
    if not outside.size:
        return 0.0
    steps = box.flat(_FACES)
    covered = np.logical_and.reduce([target.filled[target.places + step] for step in steps])
    tree = KDTree(box.to_mm(target.places[~covered]))
    index = np.stack(np.unravel_index(outside, box.shape), axis=-1)
    blocks, member = np.unique(box.flat(index // _BLOCK), return_inverse=True)
    centres = np.stack(np.unravel_index(blocks, box.shape), axis=-1) * _BLOCK + (_BLOCK - 1) / 2
    radius = float(np.linalg.norm(box.spacing_mm * (_BLOCK - 1) / 2)) + _ROUNDING_MM
    rough, _ = tree.query(centres * box.spacing_mm)
    candidates = rough[member] + radius >= rough.max() - radius
    distance, _ = tree.query(index[candidates] * box.spacing_mm)
    return float(distance.max())


def _element_distances(
    box: _Box, reference: _Solid, prediction: _Solid
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Distance of each element to the other surface, mm, and its area, mm²; for the reference and the prediction."""
    area_of = element_areas_mm2(box.spacing_mm)
    codes = [_corner_codes(box, solid) for solid in (reference, prediction)]
    elements = [_elements(box, *pair) for pair in zip((reference, prediction), codes, strict=True)]
    distances = []
    for mine, other, codes_of_other in zip(elements, elements[::-1], codes[::-1], strict=True):
        distance = np.zeros(mine.size)
        apart = ~_is_mixed(codes_of_other[mine])
        if apart.any():
            distance[apart], _ = KDTree(box.to_mm(other)).query(box.to_mm(mine[apart]))
        distances.append(distance)
    return distances, [area_of[code[element]] for code, element in zip(codes, elements, strict=True)]


def _corner_codes(box: _Box, solid: _Solid) -> NDArray[np.uint8]:
    """Which of the eight voxels around each lattice corner are filled; corner x lies between voxels x - 1 and x."""
    codes = np.zeros(solid.filled.size, dtype=np.uint8)
    for bit, step in enumerate(box.flat(1 - _CORNERS)):
        codes[solid.places + step] |= np.uint8(1 << bit)
    return codes


def _elements(box: _Box, solid: _Solid, codes: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Corners with an element, each once: reached from the filled voxel that has the lowest bit in its code."""
    found = []
    for bit, step in enumerate(box.flat(1 - _CORNERS)):
        corners = solid.places + step
        here = codes[corners]
        found.append(corners[_is_mixed(here) & (here & np.uint8((1 << bit) - 1) == 0)])
    return np.concatenate(found)


def _is_mixed(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether inside and outside meet: neither none of the eight voxels is filled nor all (0 wraps round to 255)."""
    return np.asarray(codes - np.uint8(1) < 254)


def _percentile(distance: NDArray[np.float64], area: NDArray[np.float64], share: float) -> float:
    """Smallest distance within which at least this share of the area lies."""
    order = np.argsort(distance)
    within = np.cumsum(area[order])
    rank = min(int(np.searchsorted(within / within[-1], share)), distance.size - 1)
    return float(distance[order[rank]])
