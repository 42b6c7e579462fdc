"""Compiled loops that fill voxels with two tissues each: shapes over one another, bone, marrow, streaks of fat."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.phantom.geometry.distances import distance
from osteomet.phantom.geometry.kernels import BLOCK
from osteomet.phantom.geometry.textures import noise


@njit(cache=True, error_model="numpy")
def lay(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    reach: NDArray[np.int64],
    tissues: NDArray[np.uint8],
    widths: tuple[float, float],
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Fill voxels with the two tissues that take most of each; later primitives cover earlier ones.

    Primitives are visited from the last to the first, until a voxel is full; what no primitive takes stays as it is.
    ``widths`` are the softness of edges and the distance from a surface beyond which a block lies outside as a whole,
    mm. A block lies inside where its corners do.
    """
    softness, far = widths
    shape = first.shape
    left = np.ones(shape, dtype=np.float32)
    most, next_ = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    p = np.empty(3)
    for n in range(kinds.shape[0] - 1, -1, -1):
        (i0, j0, k0), (i1, j1, k1) = reach[n, 0], reach[n, 1]
        for i in range(i0, i1, BLOCK):
            for j in range(j0, j1, BLOCK):
                for k in range(k0, k1, BLOCK):
                    it, jt, kt = min(i + BLOCK, i1), min(j + BLOCK, j1), min(k + BLOCK, k1)
                    for axis in range(3):
                        p[axis] = points[(i + it) // 2, (j + jt) // 2, (k + kt) // 2, axis]
                    middle = distance(kinds[n], p, parameters[n])
                    if far < middle < 900.0:
                        continue
                    is_full = middle < -softness and _holds_corners(
                        points, kinds[n], parameters[n], (i, j, k), (it - 1, jt - 1, kt - 1), softness
                    )
                    for a in range(i, it):
                        for b in range(j, jt):
                            for c in range(k, kt):
                                if left[a, b, c] < 0.02:
                                    continue
                                cover = 1.0
                                if not is_full:
                                    for axis in range(3):
                                        p[axis] = points[a, b, c, axis]
                                    d = distance(kinds[n], p, parameters[n])
                                    # A section without width has no distance at all.
                                    if not d < softness:
                                        continue
                                    cover = min(1.0, 0.5 - 0.5 * d / softness)
                                weight = left[a, b, c] * cover
                                left[a, b, c] -= weight
                                _rank(tissues[n], weight, first, second, most, next_, a, b, c)
    for a in range(shape[0]):
        for b in range(shape[1]):
            for c in range(shape[2]):
                if left[a, b, c] >= 0.02:
                    _rank(0, left[a, b, c], first, second, most, next_, a, b, c)
                share[a, b, c] = next_[a, b, c] / max(most[a, b, c] + next_[a, b, c], 1e-6)


@njit(cache=True, error_model="numpy")
def _holds_corners(
    points: NDArray[np.float32],
    kind: int,
    parameters: NDArray[np.float64],
    start: tuple[int, int, int],
    last: tuple[int, int, int],
    softness: float,
) -> bool:
    """Whether a primitive holds the eight corners of a block, away from its edge."""
    p = np.empty(3)
    for corner in range(8):
        a = last[0] if corner & 1 else start[0]
        b = last[1] if corner & 2 else start[1]
        c = last[2] if corner & 4 else start[2]
        for axis in range(3):
            p[axis] = points[a, b, c, axis]
        if not distance(kind, p, parameters) < -softness:
            return False
    return True


@njit(cache=True, error_model="numpy", inline="always")
def _rank(
    tissue: int,
    weight: float,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    most: NDArray[np.float32],
    next_: NDArray[np.float32],
    a: int,
    b: int,
    c: int,
) -> None:
    """Add a tissue to a voxel that keeps the two with the largest weights."""
    if most[a, b, c] > 0 and first[a, b, c] == tissue:
        most[a, b, c] += weight
    elif next_[a, b, c] > 0 and second[a, b, c] == tissue:
        next_[a, b, c] += weight
        if next_[a, b, c] > most[a, b, c]:
            first[a, b, c], second[a, b, c] = second[a, b, c], first[a, b, c]
            most[a, b, c], next_[a, b, c] = next_[a, b, c], most[a, b, c]
    elif weight > most[a, b, c]:
        second[a, b, c], next_[a, b, c] = first[a, b, c], most[a, b, c]
        first[a, b, c], most[a, b, c] = tissue, weight
    elif weight > next_[a, b, c]:
        second[a, b, c], next_[a, b, c] = tissue, weight


@njit(cache=True, error_model="numpy", inline="always")
def _cover(
    tissue: int,
    cover: float,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
    i: int,
    j: int,
    k: int,
) -> None:
    """Put a tissue over one voxel, which keeps the larger of the two that it had."""
    if cover < 0.02:
        return
    under = second[i, j, k] if share[i, j, k] > 0.5 else first[i, j, k]
    if cover > 0.98 or under == tissue:
        first[i, j, k] = tissue
        share[i, j, k] = 0.0
    else:
        first[i, j, k] = under
        second[i, j, k] = tissue
        share[i, j, k] = cover


@njit(cache=True, error_model="numpy")
def put_bone(
    solid: NDArray[np.float32],
    core: NDArray[np.float32],
    tumour: NDArray[np.float32],
    tumour_tissue: NDArray[np.uint8],
    cortex_tissue: int,
    marrow_tissue: int,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Put cortex, marrow and what has taken their place into each voxel, of which the two largest shares stay."""
    parts = np.empty(4)
    names = np.empty(4, dtype=np.uint8)
    for i in range(first.shape[0]):
        for j in range(first.shape[1]):
            for k in range(first.shape[2]):
                lost = tumour[i, j, k]
                if solid[i, j, k] < 0.02 and lost < 0.02:
                    continue
                names[0] = second[i, j, k] if share[i, j, k] > 0.5 else first[i, j, k]
                names[1], names[2], names[3] = cortex_tissue, marrow_tissue, tumour_tissue[i, j, k]
                parts[2] = max(core[i, j, k] - lost, 0.0)
                parts[1] = max(solid[i, j, k] - core[i, j, k] - max(lost - core[i, j, k], 0.0), 0.0)
                parts[3] = lost
                parts[0] = max(1.0 - lost - parts[1] - parts[2], 0.0)
                largest = np.argmax(parts)
                next_ = 0 if largest != 0 else 1
                for n in range(4):
                    if n != largest and parts[n] > parts[next_]:
                        next_ = n
                first[i, j, k], second[i, j, k] = names[largest], names[next_]
                share[i, j, k] = parts[next_] / (parts[largest] + parts[next_])


@njit(cache=True, error_model="numpy")
def add_metal(
    metal: NDArray[np.float32],
    tissue: int,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Put metal over each voxel by its share."""
    for i in range(first.shape[0]):
        for j in range(first.shape[1]):
            for k in range(first.shape[2]):
                _cover(tissue, metal[i, j, k], first, second, share, i, j, k)


@njit(cache=True, error_model="numpy")
def add_streaks(
    points: NDArray[np.float32],
    muscle_and_fat: tuple[int, int],
    streaks: float,
    seed: int,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Lay streaks of fat along the fibres of pure muscle; ``streaks`` (0-1) is how far fat has replaced it."""
    muscle, fat = muscle_and_fat
    for i in range(first.shape[0]):
        for j in range(first.shape[1]):
            for k in range(first.shape[2]):
                if first[i, j, k] != muscle or share[i, j, k] > 0.02:
                    continue
                x, y, z = points[i, j, k, 0], points[i, j, k, 1], points[i, j, k, 2]
                fine = noise(x / 1.6, y / 1.6, z / 14.0, seed + 1)
                broad = noise(x / 4.5, y / 4.5, z / 30.0, seed + 2)
                part = min(0.85, max(0.0, 0.6 * (0.7 * fine + 0.7 * broad - 2.3 + 2.4 * streaks)))
                if part > 0.02:
                    second[i, j, k] = fat
                    share[i, j, k] = part


@njit(cache=True, error_model="numpy")
def marrow_fat(
    points: NDArray[np.float32],
    owner: NDArray[np.uint8],
    depth: NDArray[np.float32],
    by_bone: NDArray[np.float32],
    mottle: float,
    seed: int,
    out: NDArray[np.float32],
) -> None:
    """Fat fraction of marrow: by bone, with patches of two sizes; only at and inside the surface."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                if depth[i, j, k] < -1.0:
                    continue
                x, y, z = points[i, j, k, 0], points[i, j, k, 1], points[i, j, k, 2]
                uneven = 0.8 * noise(x / 5.0, y / 5.0, z / 6.0, seed + 3) + 0.6 * noise(
                    x / 13.0, y / 13.0, z / 13.0, seed + 4
                )
                out[i, j, k] = min(0.95, max(0.05, by_bone[owner[i, j, k]] + mottle * uneven))
