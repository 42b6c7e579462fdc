"""Surface of a mask by marching cubes: its area, the volume inside, and the widest distances between its corners.

References
----------
Lorensen W. E., Cline H. E. Marching cubes: a high resolution 3D surface construction algorithm.
https://doi.org/10.1145/37401.37422
Bourke P. Polygonising a scalar field (the table of triangles, in the public domain).
http://paulbourke.net/geometry/polygonise/
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

_CORNERS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_CODES = """
- 083 019 183981 12a 08312a 92a029 2832a8a98 3b2 0b28b0 19023b 1b219b98b 3a1ba3 0a108a8ba 3903b9ba9 98aa8b 478
430734 019847 419471731 12a847 34730412a 92a902847 2a9297273794 8473b2 b47b24204 90184723b 47b94b9b2921 3a13ba784
1ba14b1047b4 47890b9bab03 47b4b99ba 954 954083 054150 854835315 12a954 30812a495 52a542402 2a5325354348 95423b
0b208b495 05401523b 21525828b485 a3ba13954 4950818a18ba 54050b5bab03 54858aa8b 978579 930953573 078017157 153357
978957a12 a12950530573 802825857a52 2a5253357 7957893b2 95797292027b 23b018178157 b21b17715 958857a13a3b
5705097b010aba0 ba0b03a50807570 ba57b5 a65 0835a6 9015a6 1831985a6 165261 165126308 965906026 598582526328 23ba65
b08b20a65 01923b5a6 5a61929b298b 63b653513 08b0b50515b6 3b6036065059 65969bb98 5a6478 43047365a 1905a6847
a65197173794 612651478 125526304347 847905065026 739794329596269 3b2784a65 5a647242027b 01947823b5a6 9219b294b7b45a6
8473b53515b6 51b5b610b7b404b 059065036b63847 65969b4797b9 a4964a 4a649a083 a01a60640 83181686461a 149124264
308129249264 024426 832824426 a49a64b23 08228b49a4a6 3b201606461a 64161a48121b8b1 964936913b63 8b1810b61914641
3b6360064 648b68 7a678a89a 0730a709a67a a671a7178180 a67a71173 126168189867 269291679093739 780706602 732672
23ba68a89867 20727b09767a9a7 1801781a767a23b b21b17a61671 896867916b63136 091b67 7807063b0b60 7b6
"""
_TRIANGLES = tuple(_CODES.split())
"""For each set of corners (bit by bit) without the seventh: three edges a triangle, in hexadecimal; - for none."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Area of a closed surface, volume inside, and the longest distance between two of its corners.

    ``diameters_in_plane_mm`` are the longest distances between corners with the same first, second and third index.
    """

    area_mm2: float
    volume_mm3: float
    diameter_mm: float
    diameters_in_plane_mm: tuple[float, float, float]


def measure_surface(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> Surface:
    """Measure the surface half-way between the voxels of a mask and those outside.

    Parameters
    ----------
    mask
        At least one voxel.

    Notes
    -----
    A cube of eight voxel centres and the cube with inside and outside exchanged have the same triangles, as in
    PyRadiomics. Where parts of the mask touch by an edge or a corner only, these need not close the surface; its volume
    then depends a little on the place of the mask's bounding box, which is therefore always moved to the origin.

    Examples
    --------
    >>> surface = measure_surface(np.ones((1, 1, 1), dtype=bool), (1.0, 1.0, 1.0))
    >>> round(surface.volume_mm3, 6), round(surface.area_mm2, 6), surface.diameter_mm
    (0.166667, 1.732051, 1.0)
    """
    solid = np.pad(_crop(mask), 1)
    spacing = np.array(spacing_mm)
    case = np.zeros([n - 1 for n in solid.shape], dtype=np.uint8)
    for bit, corner in enumerate(_CORNERS):
        part = tuple(slice(c, n - 1 + c) for c, n in zip(corner, solid.shape, strict=True))
        case |= solid[part].astype(np.uint8) << bit
    area, flux, local = _cases(spacing)
    cells = np.argwhere((case > 0) & (case < 255))
    found = case[tuple(cells.T)]
    volume = local[found].sum() + (flux[found] * (cells * spacing)).sum() / 3
    corners = _surface_corners(solid)
    points = corners * spacing / 2
    return Surface(
        area_mm2=float(area[found].sum()),
        volume_mm3=float(volume),
        diameter_mm=_longest(points[ConvexHull(points).vertices]),
        diameters_in_plane_mm=_longest_in_planes(corners, spacing),
    )


def _crop(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Smallest block that holds the mask."""
    used = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return mask[tuple(slice(u[0], u[-1] + 1) for u in used)]


def _cases(
    spacing: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each set of corners: area, area vector outwards, and volume between its triangles and corner 0."""
    middles = np.array([np.add(_CORNERS[a], _CORNERS[b]) / 2 for a, b in _EDGES]) * spacing
    area, flux, local = np.zeros(256), np.zeros((256, 3)), np.zeros(256)
    for case, code in enumerate(_TRIANGLES):
        edges = [] if code == "-" else [int(digit, 16) for digit in code]
        for k in range(0, len(edges), 3):
            a, b, c = middles[edges[k : k + 3]]
            vector = np.cross(c - a, b - a) / 2
            area[case] += np.linalg.norm(vector)
            flux[case] += vector
            local[case] += vector @ a / 3
        area[255 - case], flux[255 - case], local[255 - case] = area[case], -flux[case], -local[case]
    return area, flux, local


def _surface_corners(solid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Corners of the surface, in half voxels: the middles between a voxel inside and a neighbour outside."""
    corners = []
    for axis in range(3):
        found = 2 * np.argwhere(np.diff(solid, axis=axis))
        found[:, axis] += 1
        corners.append(found)
    return np.concatenate(corners)


def _longest(points: NDArray[np.float64]) -> float:
    """Longest distance between two points."""
    return max(float(np.sqrt(((points - p) ** 2).sum(axis=1).max())) for p in points)


def _longest_in_planes(corners: NDArray[np.int64], spacing: NDArray[np.float64]) -> tuple[float, float, float]:
    """Longest distance between two corners with the same index along each axis, mm."""
    longest = []
    for axis in range(3):
        u, v = (a for a in range(3) if a != axis)
        order = np.lexsort((corners[:, v], corners[:, u], corners[:, axis]))
        ordered = corners[order][:, [axis, u, v]]
        longest.append(float(_longest_per_plane(ordered, spacing[u] / 2, spacing[v] / 2)))
    return longest[0], longest[1], longest[2]


@njit(cache=True, nogil=True)
def _longest_per_plane(ordered: NDArray[np.int64], step_u: float, step_v: float) -> float:
    """Longest distance between points of one plane; rows are (plane, u, v), sorted.

    Only the first and the last point of each line of one plane and one u can be an end.
    """
    ends = np.empty((len(ordered), 2))
    best = 0.0
    n = 0
    for k in range(len(ordered)):
        plane, u = ordered[k, 0], ordered[k, 1]
        opens = k == 0 or ordered[k - 1, 0] != plane or ordered[k - 1, 1] != u
        closes = k + 1 == len(ordered) or ordered[k + 1, 0] != plane or ordered[k + 1, 1] != u
        if opens or closes:
            ends[n, 0], ends[n, 1] = u * step_u, ordered[k, 2] * step_v
            n += 1
        if k + 1 == len(ordered) or ordered[k + 1, 0] != plane:
            for a in range(n):
                for b in range(a):
                    best = max(best, (ends[a, 0] - ends[b, 0]) ** 2 + (ends[a, 1] - ends[b, 1]) ** 2)
            n = 0
    return float(np.sqrt(best))
