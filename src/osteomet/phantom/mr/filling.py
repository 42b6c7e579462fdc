"""Compiled loops that put bone, metal and streaks of fat into voxels of two tissues each, and the fat of marrow."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.phantom.geometry.fibres import along_fibres
from osteomet.phantom.geometry.textures import noise


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
    tissues: tuple[int, int, int],
    streaks: float,
    seed: int,
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    share: NDArray[np.float32],
) -> None:
    """Lay fat between the bundles of pure muscle, and thin septa through pure fat; let the fat of sheaths come and go.

    ``tissues`` are muscle, fat and what septa are made of; ``streaks`` (0-1) is how far fat has replaced muscle.
    """
    muscle, fat, septum = tissues
    for i in range(first.shape[0]):
        for j in range(first.shape[1]):
            for k in range(first.shape[2]):
                name = first[i, j, k]
                if name != muscle and name != fat:
                    continue
                u, v, z = points[i, j, k, 0], points[i, j, k, 1], points[i, j, k, 2]
                if share[i, j, k] > 0.02:
                    if name == muscle and second[i, j, k] == fat:
                        share[i, j, k] *= _sheath(u, v, z, seed)
                    continue
                if name == muscle:
                    u, v, z = along_fibres(u, v, z)
                # Noise has a lattice, which ought not to lie along the axes of pictures.
                x, y = 0.8 * u + 0.6 * v + 0.15 * z, 0.8 * v - 0.6 * u + 0.1 * z
                if name == fat:
                    second[i, j, k] = septum
                    part = 0.3 * _ridge(noise(x / 15.0, y / 15.0, z / 20.0, seed + 6), 0.07)
                else:
                    second[i, j, k] = fat
                    broad = noise(x / 9.0, y / 9.0, z / 40.0, seed + 2)
                    bundle = _ridge(noise(x / 4.5, y / 4.5, z / 35.0, seed + 1), 0.25)
                    part = (0.1 + 0.55 * streaks) * bundle * min(1.0, max(0.0, 0.6 + 0.5 * broad))
                    part = max(part, min(0.85, 0.5 * (broad - 2.6 + 2.6 * streaks)))
                share[i, j, k] = part if part > 0.02 else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _sheath(x: float, y: float, z: float, seed: int) -> float:
    """Share of the fat that is left at the border of a muscle, 0-1: muscles touch each other in most places."""
    broad = noise((0.8 * x + 0.6 * y) / 11.0, (0.8 * y - 0.6 * x) / 11.0, z / 18.0, seed + 12)
    return min(1.0, max(0.0, 0.35 + 0.7 * broad + 0.3 * noise(x / 3.7, y / 3.7, z / 9.0, seed + 13)))


@njit(cache=True, error_model="numpy", inline="always")
def _ridge(value: float, width: float) -> float:
    """Height (0-1) of the ridges where noise passes zero: sheets in space, curved lines in a picture."""
    return max(0.0, 1.0 - abs(value) / width)


@njit(cache=True, error_model="numpy")
def marrow_fat(
    points: NDArray[np.float32],
    owner: NDArray[np.uint8],
    body: NDArray[np.bool_],
    depth: NDArray[np.float32],
    bones: tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]],
    mottle: float,
    seed: int,
    out: NDArray[np.float32],
) -> None:
    """Fat fraction of marrow: by bone, with patches of three sizes; only at and inside the surface.

    ``bones`` are its mean, and frames and half sizes of `Frames`. Where ``body`` holds, the marrow of vertebrae is
    fatty around the plexus of the basivertebral vein and along the end plates.
    """
    by_bone, frames, half = bones
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                if depth[i, j, k] < -1.0:
                    continue
                x, y, z = points[i, j, k, 0], points[i, j, k, 1], points[i, j, k, 2]
                uneven = 1.2 * noise(x / 1.8, y / 1.8, z / 2.6, seed + 7) + 0.4 * noise(x / 5, y / 5, z / 6, seed + 3)
                uneven += 0.3 * noise(x / 13.0, y / 13.0, z / 13.0, seed + 4)
                o = owner[i, j, k]
                fat = by_bone[o] + mottle * uneven
                if body[i, j, k] and half[o, 2] > 0.0:
                    f = frames[o]
                    u = f[0, 0] * x + f[0, 1] * y + f[0, 2] * z + f[0, 3]
                    v = f[1, 0] * x + f[1, 1] * y + f[1, 2] * z + f[1, 3]
                    w = f[2, 0] * x + f[2, 1] * y + f[2, 2] * z + f[2, 3]
                    fat += _uneven_fat(u / half[o, 0], v / half[o, 1], w / half[o, 2])
                out[i, j, k] = min(0.95, max(0.05, fat))


@njit(cache=True, error_model="numpy", inline="always")
def _uneven_fat(u: float, v: float, w: float) -> float:
    """How much fattier than elsewhere the marrow is at a place of a vertebral body, -1 to 1 along each of its axes."""
    behind = min(1.0, max(0.0, 0.8 * v + 0.3))
    spread_u, spread_w = 0.16 + 0.3 * (1.0 - behind), 0.1 + 0.16 * behind
    plexus = behind * max(0.0, 1.0 - (u / spread_u) ** 2 - (w / spread_w) ** 2)
    return 0.22 * plexus + 0.05 * min(1.0, w**4)
