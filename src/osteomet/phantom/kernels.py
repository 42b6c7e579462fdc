"""Compiled loops over voxels: signed distances of primitives, nearest primitive, painting.

References
----------
Distance functions of tapered capsules and triangles after Quilez I., https://iquilezles.org/articles/distfunctions/
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

CAPSULE, PLATE, ELLIPSOID, VERTEBRAL_BODY, CUP = range(5)


@njit(cache=True)
def distance(kind: int, p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Signed distance of point p to one primitive with parameters q."""
    if kind == CAPSULE:
        ab0, ab1, ab2 = q[3] - q[0], q[4] - q[1], q[5] - q[2]
        ap0, ap1, ap2 = p[0] - q[0], p[1] - q[1], p[2] - q[2]
        length2 = ab0 * ab0 + ab1 * ab1 + ab2 * ab2 + 1e-9
        t = (ap0 * ab0 + ap1 * ab1 + ap2 * ab2) / length2
        t = min(1.0, max(0.0, t))
        d0, d1, d2 = ap0 - t * ab0, ap1 - t * ab1, ap2 - t * ab2
        return np.sqrt(d0 * d0 + d1 * d1 + d2 * d2) - (q[6] + t * (q[7] - q[6]))
    if kind == PLATE:
        return _triangle(p, q) - q[9]
    if kind == ELLIPSOID:
        k0 = 0.0
        k1 = 0.0
        for axis in range(3):
            local = 0.0
            for world in range(3):
                local += q[3 + 3 * world + axis] * (p[world] - q[world])
            k0 += (local / q[12 + axis]) ** 2
            k1 += (local / q[12 + axis] ** 2) ** 2
        k0 = np.sqrt(k0)
        if k0 < 1e-6:
            return -min(q[12], q[13], q[14])
        return k0 * (k0 - 1.0) / np.sqrt(k1)
    if kind == CUP:
        d0, d1, d2 = p[0] - q[0], p[1] - q[1], p[2] - q[2]
        shell = abs(np.sqrt(d0 * d0 + d1 * d1 + d2 * d2) - q[3]) - q[4]
        return max(shell, d0 * q[5] + d1 * q[6] + d2 * q[7] - 4.0)
    return _body(p, q)


@njit(cache=True)
def _triangle(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Distance of p to the triangle whose corners fill q[0:9]."""
    a, b, c = q[0:3], q[3:6], q[6:9]
    ba, cb, ac = b - a, c - b, a - c
    pa, pb, pc = p - a, p - b, p - c
    normal = np.cross(ba, ac)
    inside = (
        np.sign(np.dot(np.cross(ba, normal), pa))
        + np.sign(np.dot(np.cross(cb, normal), pb))
        + np.sign(np.dot(np.cross(ac, normal), pc))
    )
    if inside < 2.0:
        best = 1e18
        for edge, point in ((ba, pa), (cb, pb), (ac, pc)):
            t = min(1.0, max(0.0, np.dot(edge, point) / np.dot(edge, edge)))
            rest = edge * t - point
            best = min(best, np.dot(rest, rest))
        return np.sqrt(best)
    height = np.dot(normal, pa)
    return np.sqrt(height * height / np.dot(normal, normal))


@njit(cache=True)
def _body(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Vertebral body: super-elliptic cross-section, flat behind, waisted, with concave endplates."""
    u, v, w = 0.0, 0.0, 0.0
    for world in range(3):
        shift = p[world] - q[world]
        u += q[3 + 3 * world] * shift
        v += q[4 + 3 * world] * shift
        w += q[5 + 3 * world] * shift
    half_width, half_depth, half_height = q[12], q[13], q[14]
    concavity, waist, wedge = q[15], q[16], q[17]
    height = half_height * (1.0 + wedge * v / half_depth)
    rim = min(1.0, abs(w) / height)
    slim = 1.0 - waist * (1.0 - rim * rim)
    # The back wall is flatter than the front: a higher exponent and a slight hollow towards the canal.
    back = v > 0.0
    exponent = 3.2 if back else 2.1
    hollow = 0.12 * half_depth * max(0.0, 1.0 - (u / (0.5 * half_width)) ** 2) if back else 0.0
    ru = abs(u) / (half_width * slim)
    rv = (abs(v) + hollow) / (half_depth * slim)
    r = (ru**exponent + rv**exponent) ** (1.0 / exponent)
    radius = np.sqrt(u * u + v * v)
    side = radius * (1.0 - 1.0 / r) if r > 1e-6 else -min(half_width, half_depth)
    side = max(side, -min(half_width, half_depth))
    end = abs(w) - (height - concavity * max(0.0, 1.0 - r * r))
    if side > 0.0 and end > 0.0:
        return np.sqrt(side * side + end * end)
    return max(side, end)


@njit(cache=True)
def warp_points(
    points: NDArray[np.float32],
    amplitudes: NDArray[np.float64],
    waves: NDArray[np.float64],
    phases: NDArray[np.float64],
) -> None:
    """Move every point, shape (n, 3), in place by the warp."""
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for m in range(phases.shape[0]):
            wave = np.sin(waves[m, 0] * x + waves[m, 1] * y + waves[m, 2] * z + phases[m])
            for axis in range(3):
                points[n, axis] += amplitudes[m, axis] * wave


@njit(cache=True)
def nearest(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    blocks: NDArray[np.int64],
    owners: NDArray[np.int64],
    parts: NDArray[np.int64],
    closest: NDArray[np.float32],
    owner: NDArray[np.uint8],
    part: NDArray[np.uint8],
) -> None:
    """Keep at each voxel the smallest distance to any primitive, and whose it is."""
    p = np.empty(3)
    for n in range(kinds.shape[0]):
        for i in range(blocks[n, 0, 0], blocks[n, 1, 0]):
            for j in range(blocks[n, 0, 1], blocks[n, 1, 1]):
                for k in range(blocks[n, 0, 2], blocks[n, 1, 2]):
                    for axis in range(3):
                        p[axis] = points[i, j, k, axis]
                    d = distance(kinds[n], p, parameters[n])
                    if d < closest[i, j, k]:
                        closest[i, j, k] = d
                        owner[i, j, k] = owners[n]
                        part[i, j, k] = parts[n]


@njit(cache=True)
def nearest_labelled(
    points: NDArray[np.float32],
    to_lattice: NDArray[np.float64],
    depth: NDArray[np.float32],
    parts: NDArray[np.uint8],
    owner_id: int,
    closest: NDArray[np.float32],
    owner: NDArray[np.uint8],
    part: NDArray[np.uint8],
) -> None:
    """Keep at each voxel the smallest distance to a bone given as a lattice of depths, interpolated linearly."""
    ni, nj, nk = depth.shape
    m = to_lattice
    for i in range(points.shape[0]):
        for j in range(points.shape[1]):
            for k in range(points.shape[2]):
                x, y, z = points[i, j, k, 0], points[i, j, k, 1], points[i, j, k, 2]
                u = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
                v = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
                w = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                if u < 0 or v < 0 or w < 0 or u > ni - 1 or v > nj - 1 or w > nk - 1:
                    continue
                a, b, c = min(int(u), ni - 2), min(int(v), nj - 2), min(int(w), nk - 2)
                u, v, w = u - a, v - b, w - c
                low = (depth[a, b, c] * (1 - w) + depth[a, b, c + 1] * w) * (1 - v)
                low += (depth[a, b + 1, c] * (1 - w) + depth[a, b + 1, c + 1] * w) * v
                high = (depth[a + 1, b, c] * (1 - w) + depth[a + 1, b, c + 1] * w) * (1 - v)
                high += (depth[a + 1, b + 1, c] * (1 - w) + depth[a + 1, b + 1, c + 1] * w) * v
                d = -(low * (1 - u) + high * u)
                if d < closest[i, j, k]:
                    closest[i, j, k] = d
                    owner[i, j, k] = owner_id
                    part[i, j, k] = parts[a + int(u + 0.5), b + int(v + 0.5), c + int(w + 0.5)]


@njit(cache=True)
def paint(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    blocks: NDArray[np.int64],
    values: NDArray[np.float64],
    softness_mm: float,
    image: NDArray[np.float32],
) -> None:
    """Blend the value of each primitive over what is there, in order, by its occupancy of the voxel."""
    p = np.empty(3)
    for n in range(kinds.shape[0]):
        for i in range(blocks[n, 0, 0], blocks[n, 1, 0]):
            for j in range(blocks[n, 0, 1], blocks[n, 1, 1]):
                for k in range(blocks[n, 0, 2], blocks[n, 1, 2]):
                    for axis in range(3):
                        p[axis] = points[i, j, k, axis]
                    d = distance(kinds[n], p, parameters[n])
                    if d < softness_mm:
                        share = min(1.0, 0.5 - 0.5 * d / softness_mm)
                        image[i, j, k] += share * (values[n] - image[i, j, k])
