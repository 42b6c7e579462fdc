"""Compiled loops over voxels: the warp of space, the nearest primitive, the nearest bone of a label map."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.phantom.geometry.blocks import gather, middle_of, pick, scatter
from osteomet.phantom.geometry.distances import distance, distances

SOLID, HOLE, FUSED = 0.0, 1.0, 2.0
MODE, BLEND = 19, 20
"""Columns of a row that say how it joins the others: one of the modes above, and the width of a smooth union in mm."""
BLOCK = 4
"""Voxels along an edge of the blocks that are looked at one after another."""


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
    reach: NDArray[np.int64],
    labels: NDArray[np.uint8],
    margins_mm: NDArray[np.float64],
    sizes: tuple[int, float, float],
    found: tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    """Put the smallest distance at each voxel, its owner and its part into ``found``, where it is near.

    ``labels`` holds owner and part of each primitive, shape (n, 2). A primitive is felt up to its ``margins_mm``.
    ``sizes`` are the voxels along an edge of a block, how much farther off than its margin a primitive may be from the
    middle of a block that it reaches, and the least width of the joint space between two owners, mm.
    """
    (edge, slack_mm, gap_mm), (distance_mm, owner, part) = sizes, found
    shape = distance_mm.shape
    rows = np.arange(kinds.size)
    in_i, in_j, in_k = np.empty_like(rows), np.empty_like(rows), np.empty_like(rows)
    middle, xyz, d = np.empty(3), np.empty((3, edge**3)), np.empty(edge**3)
    near, names = np.empty((2, edge**3), dtype=np.float32), np.empty((2, edge**3), dtype=np.uint8)
    for i in range(0, shape[0], edge):
        n_i = pick(rows, rows.size, reach, (0, i, i + edge), in_i)
        for j in range(0, shape[1], edge):
            n_j = pick(in_i, n_i, reach, (1, j, j + edge), in_j)
            for k in range(0, shape[2], edge):
                n_k = pick(in_j, n_j, reach, (2, k, k + edge), in_k)
                first, n = (i, j, k), 0
                middle_of(points, first, edge, middle)
                for row in in_k[:n_k]:
                    margin = margins_mm[row]
                    if distance(kinds[row], middle, parameters[row]) > margin + slack_mm:
                        continue
                    if n == 0:
                        n = gather(points, first, edge, xyz)
                        near[0, :n], near[1, :n], names[:, :n] = distance_mm[i, j, k], np.inf, 0
                    distances(kinds[row], xyz[0, :n], xyz[1, :n], xyz[2, :n], parameters[row], d[:n])
                    _join(d[:n], margin, parameters[row], labels[row], near, names)
                if n > 0:
                    _open_joints(near, n, gap_mm)
                    scatter(near[0], distance_mm, first, edge)
                    scatter(names[0], owner, first, edge)
                    scatter(names[1], part, first, edge)


@njit(cache=True, error_model="numpy")
def _join(
    distances_mm: NDArray[np.float64],
    margin_mm: float,
    q: NDArray[np.float64],
    label: NDArray[np.uint8],
    near: NDArray[np.float32],
    names: NDArray[np.uint8],
) -> None:
    """Add one primitive to the voxels of a block.

    ``near`` holds the smallest distance and that of the next other owner, ``names`` owner and part, shape (2, n).
    """
    closest, other = near[0], near[1]
    owner, part = names[0], names[1]
    mode, blend = q[MODE], q[BLEND]
    for n in range(distances_mm.size):
        d = distances_mm[n]
        if not d <= margin_mm:
            continue
        before = closest[n]
        if mode == HOLE:
            if owner[n] == label[0]:
                closest[n] = max(before, -d)
            continue
        if mode == FUSED and d < 1.0:
            other[n] = -np.inf
        if owner[n] == label[0]:
            if d < 0.0 and before < 0.0:
                part[n] = min(part[n], label[1])
            elif d < before:
                part[n] = label[1]
            overlap = max(0.0, blend - abs(d - before))
            closest[n] = min(d, before) - (overlap * overlap / (4.0 * blend) if overlap > 0.0 else 0.0)
        elif d < before:
            if owner[n] != 0 and other[n] > -np.inf:
                other[n] = before
            closest[n] = d
            owner[n], part[n] = label
        else:
            other[n] = min(other[n], d)


@njit(cache=True)
def _open_joints(near: NDArray[np.float32], count: int, gap_mm: float) -> None:
    """Open a joint space of at least ``gap_mm`` where two owners come close."""
    closest, other = near[0], near[1]
    for n in range(count):
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
