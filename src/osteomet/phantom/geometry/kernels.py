"""Compiled loops over voxels: signed distances of primitives, nearest primitive, painting.

References
----------
Distance functions of tapered capsules and triangles after Quilez I., https://iquilezles.org/articles/distfunctions/
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.phantom.geometry.lofts import LOFT, loft

CAPSULE, PLATE, ELLIPSOID, VERTEBRAL_BODY, CUP, QUAD = range(6)
SOLID, HOLE, FUSED = 0.0, 1.0, 2.0
MODE, BLEND = 19, 20
"""Columns of a row that say how it joins the others: one of the modes above, and the width of a smooth union in mm."""
BLOCK = 4
"""Voxels along an edge of the blocks that `nearest` passes over where they lie far from a primitive."""


@njit(cache=True, error_model="numpy")
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
        return _triangle(p, q, 0, 3, 6) - q[9]
    if kind == QUAD:
        return min(_triangle(p, q, 0, 3, 6), _triangle(p, q, 0, 6, 9)) - q[12]
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
    if kind == LOFT:
        return loft(p, q)
    return _body(p, q)


@njit(cache=True, error_model="numpy")
def _edge(
    px: float, py: float, pz: float, ex: float, ey: float, ez: float, nx: float, ny: float, nz: float
) -> tuple[float, float]:
    """Squared distance of p to the edge e from the origin, and on which side of it p lies in the plane of normal n."""
    t = min(1.0, max(0.0, (px * ex + py * ey + pz * ez) / (ex * ex + ey * ey + ez * ez + 1e-12)))
    dx, dy, dz = px - t * ex, py - t * ey, pz - t * ez
    cx, cy, cz = ey * nz - ez * ny, ez * nx - ex * nz, ex * ny - ey * nx
    return dx * dx + dy * dy + dz * dz, cx * px + cy * py + cz * pz


@njit(cache=True, error_model="numpy")
def _triangle(p: NDArray[np.float64], q: NDArray[np.float64], a: int, b: int, c: int) -> float:
    """Distance of p to the triangle whose corners begin at q[a], q[b] and q[c]."""
    bax, bay, baz = q[b] - q[a], q[b + 1] - q[a + 1], q[b + 2] - q[a + 2]
    cbx, cby, cbz = q[c] - q[b], q[c + 1] - q[b + 1], q[c + 2] - q[b + 2]
    acx, acy, acz = q[a] - q[c], q[a + 1] - q[c + 1], q[a + 2] - q[c + 2]
    nx, ny, nz = bay * acz - baz * acy, baz * acx - bax * acz, bax * acy - bay * acx
    pax, pay, paz = p[0] - q[a], p[1] - q[a + 1], p[2] - q[a + 2]
    d0, s0 = _edge(pax, pay, paz, bax, bay, baz, nx, ny, nz)
    d1, s1 = _edge(p[0] - q[b], p[1] - q[b + 1], p[2] - q[b + 2], cbx, cby, cbz, nx, ny, nz)
    d2, s2 = _edge(p[0] - q[c], p[1] - q[c + 1], p[2] - q[c + 2], acx, acy, acz, nx, ny, nz)
    if s0 > 0.0 and s1 > 0.0 and s2 > 0.0:
        height = nx * pax + ny * pay + nz * paz
        return np.sqrt(height * height / (nx * nx + ny * ny + nz * nz))
    return np.sqrt(min(d0, d1, d2))


@njit(cache=True, error_model="numpy")
def _body(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Vertebral body: super-elliptic cross-section, flat behind, waisted, with concave endplates."""
    u, v, w = 0.0, 0.0, 0.0
    for world in range(3):
        shift = p[world] - q[world]
        u += q[3 + 3 * world] * shift
        v += q[4 + 3 * world] * shift
        w += q[5 + 3 * world] * shift
    half_width, half_depth, half_height = q[12], q[13], q[14]
    concavity, waist, wedge, skew = q[15], q[16], q[17], q[18]
    height = half_height * (1.0 + wedge * v / half_depth)
    rim = min(1.0, abs(w) / height)
    slim = 1.0 - waist * (1.0 - rim * rim)
    # The back wall is flatter than the front: a higher exponent and a slight hollow towards the canal.
    behind = v - skew * half_depth
    back = behind > 0.0
    exponent = 3.2 if back else 2.1
    hollow = 0.12 * half_depth * max(0.0, 1.0 - (u / (0.5 * half_width)) ** 2) if back else 0.0
    ru = abs(u) / (half_width * slim)
    rv = (abs(behind) + hollow) / (half_depth * slim * (1.0 - skew if back else 1.0 + skew))
    r = (ru**exponent + rv**exponent) ** (1.0 / exponent)
    radius = np.sqrt(u * u + behind * behind)
    side = radius * (1.0 - 1.0 / r) if r > 1e-6 else -min(half_width, half_depth)
    side = max(side, -min(half_width, half_depth))
    end = abs(w) - (height - concavity * max(0.0, 1.0 - r * r))
    if side > 0.0 and end > 0.0:
        return np.sqrt(side * side + end * end)
    return max(side, end)


@njit(cache=True)
def warp_points(
    points: NDArray[np.float32],
    step: NDArray[np.float64],
    amplitudes: NDArray[np.float64],
    waves: NDArray[np.float64],
    phases: NDArray[np.float64],
) -> None:
    """Move every point, shape (i, j, k, 3), in place by the warp; ``step`` leads from one k to the next.

    Along k each wave is turned by a constant angle, which takes four products instead of a sine.
    """
    n_waves = phases.shape[0]
    turn_sin, turn_cos = np.sin(waves @ step), np.cos(waves @ step)
    sine, cosine = np.empty(n_waves), np.empty(n_waves)
    for i in range(points.shape[0]):
        for j in range(points.shape[1]):
            for m in range(n_waves):
                angle = phases[m]
                for axis in range(3):
                    angle += waves[m, axis] * points[i, j, 0, axis]
                sine[m], cosine[m] = np.sin(angle), np.cos(angle)
            for k in range(points.shape[2]):
                x, y, z = 0.0, 0.0, 0.0
                for m in range(n_waves):
                    s, c = sine[m], cosine[m]
                    x += amplitudes[m, 0] * s
                    y += amplitudes[m, 1] * s
                    z += amplitudes[m, 2] * s
                    sine[m], cosine[m] = s * turn_cos[m] + c * turn_sin[m], c * turn_cos[m] - s * turn_sin[m]
                points[i, j, k, 0] += x
                points[i, j, k, 1] += y
                points[i, j, k, 2] += z


@njit(cache=True, error_model="numpy")
def nearest(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    blocks: NDArray[np.int64],
    owners: NDArray[np.int64],
    parts: NDArray[np.int64],
    margins_mm: NDArray[np.float64],
    slack_mm: float,
    found: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    """Keep at each voxel the smallest distance, that of the next other owner, the owner and the part.

    A primitive is felt up to its ``margins_mm``. Blocks of voxels whose middle lies ``slack_mm`` farther off than that
    are passed over.
    """
    p = np.empty(3)
    for n in range(kinds.shape[0]):
        (i0, j0, k0), (i1, j1, k1) = blocks[n, 0], blocks[n, 1]
        for i in range(i0, i1, BLOCK):
            for j in range(j0, j1, BLOCK):
                for k in range(k0, k1, BLOCK):
                    it, jt, kt = min(i + BLOCK, i1), min(j + BLOCK, j1), min(k + BLOCK, k1)
                    for axis in range(3):
                        p[axis] = points[(i + it) // 2, (j + jt) // 2, (k + kt) // 2, axis]
                    if distance(kinds[n], p, parameters[n]) > margins_mm[n] + slack_mm:
                        continue
                    for a in range(i, it):
                        for b in range(j, jt):
                            for c in range(k, kt):
                                for axis in range(3):
                                    p[axis] = points[a, b, c, axis]
                                d = distance(kinds[n], p, parameters[n])
                                if d <= margins_mm[n]:
                                    _join(d, parameters[n], owners[n], parts[n], (a, b, c), found)


@njit(cache=True, error_model="numpy")
def _join(
    d: float,
    q: NDArray[np.float64],
    owner_id: int,
    part_id: int,
    at: tuple[int, int, int],
    found: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    """Add one primitive at distance d to one voxel."""
    closest, other, owner, part = found
    before = closest[at]
    if q[MODE] == HOLE:
        if owner[at] == owner_id:
            closest[at] = max(before, -d)
        return
    if q[MODE] == FUSED and d < 1.0:
        other[at] = -np.inf
    if owner[at] == owner_id:
        if d < 0.0 and before < 0.0:
            part[at] = min(part[at], part_id)
        elif d < before:
            part[at] = part_id
        overlap = max(0.0, q[BLEND] - abs(d - before))
        closest[at] = min(d, before) - (overlap * overlap / (4.0 * q[BLEND]) if overlap > 0.0 else 0.0)
    elif d < before:
        if owner[at] != 0 and other[at] > -np.inf:
            other[at] = before
        closest[at] = d
        owner[at] = owner_id
        part[at] = part_id
    else:
        other[at] = min(other[at], d)


@njit(cache=True)
def separate(closest: NDArray[np.float32], other: NDArray[np.float32], gap_mm: float) -> None:
    """Open a joint space of at least ``gap_mm`` where two owners come close; flat arrays, in place."""
    for n in range(closest.shape[0]):
        if np.isfinite(other[n]):
            closest[n] = max(closest[n], 0.5 * (gap_mm - (other[n] - closest[n])))


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
