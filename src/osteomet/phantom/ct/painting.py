"""Soft tissue on a grid: shapes laid over one another in order, then the grain of each tissue."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.geometry.blocks import corners_of, edge_of, gather, middle_of, pick, scatter
from osteomet.phantom.geometry.distances import beside, distances
from osteomet.phantom.geometry.fibres import along_fibres
from osteomet.phantom.geometry.shapes import Warp, blocks_of
from osteomet.phantom.geometry.textures import noises, seen_share
from osteomet.phantom.soft_tissue.assembly import SoftTissue

_SLACK = 0.65
"""Half the diagonal of a block, and a third more, since first-order distances of slanted shapes are too long."""
_HIDDEN = np.float32(1e-3)
"""Share of a voxel that is too little to look below."""

_GRAINS: dict[str, tuple[float, tuple[float, float, float]]] = {
    "subcutaneous_fat": (9.0, (2.5, 2.5, 4.0)),
    "epidural_fat": (6.0, (2.0, 2.0, 3.0)),
    "liver": (7.0, (4.0, 4.0, 4.0)),
    "kidney": (9.0, (4.0, 4.0, 4.0)),
    "annulus": (9.0, (2.5, 2.5, 1.5)),
    "nucleus_hydrated": (6.0, (4.0, 4.0, 2.0)),
    "bowel_wall": (8.0, (3.0, 3.0, 3.0)),
    "bowel_content": (30.0, (4.0, 4.0, 4.0)),
    "lung": (38.0, (3.0, 3.0, 3.0)),
    "skin": (12.0, (2.0, 2.0, 2.0)),
    "lymph_node": (5.0, (3.0, 3.0, 3.0)),
}
"""Standard deviation in HU and extent in mm of the grain of a tissue. Muscle has streaks of fat instead."""
_RAGGED_MM, _RAGGED_MEAN, _RAGS_MM = 1.1, 0.5, (5.0, 5.0, 14.0)
"""How unevenly the surface of a muscle lies below that of its form: deviation, mean depth in deviations, extent."""
_STREAK_MM = ((2.2, 2.2, 16.0), (6.0, 6.0, 34.0))


def paint_soft_tissue(
    tissue: SoftTissue, points: NDArray[np.float32], grid: Grid, warp: Warp, *, spread_mm: float
) -> NDArray[np.float32]:
    """Image soft tissue in HU; edges are blended by a point spread of standard deviation ``spread_mm``."""
    # A ramp of half width s spreads as a Gaussian of s over the root of three.
    softness = spread_mm * np.sqrt(3)
    image = np.full(grid.shape, -1000.0, dtype=np.float32)
    names = ("air", *dict.fromkeys(tissue.tissues))
    codes = np.array([names.index(name) for name in tissue.tissues], dtype=np.uint8)
    shapes = tissue.shapes
    amplitudes, lengths = np.zeros(len(names)), np.ones((len(names), 3))
    for code, name in enumerate(names):
        if name in _GRAINS:
            amplitude, length = _GRAINS[name]
            amplitudes[code], lengths[code] = amplitude * seen_share(np.array(length), spread_mm), length
    muscle = names.index("muscle") if "muscle" in names else 255
    texture = (
        (amplitudes, lengths), (muscle, tissue.streaks, tissue.fat_hu, np.array(_STREAK_MM)), tissue.seed % 2**31
    )  # fmt: skip
    _paint(
        points, shapes.kinds, shapes.parameters, blocks_of(shapes, grid, warp, softness), (tissue.values_hu, codes),
        (softness, edge_of(grid)), texture, image,
    )  # fmt: skip
    return image


@njit(cache=True, error_model="numpy")
def _paint(
    points: NDArray[np.float32],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    reach: NDArray[np.int64],
    paints: tuple[NDArray[np.float64], NDArray[np.uint8]],
    sizes: tuple[float, int],
    texture: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[int, float, float, NDArray[np.float64]], int],
    image: NDArray[np.float32],
) -> None:
    """Blend primitives, the last one on top, over what is there, block by block; then add the grain of each tissue.

    They are visited from the last to the first, until nothing below can be seen. ``sizes`` are the softness of edges,
    mm, and the voxels along an edge of a block.
    """
    (softness_mm, edge), shape = sizes, image.shape
    rows = np.arange(kinds.size)
    in_i, in_j, in_k = np.empty_like(rows), np.empty_like(rows), np.empty_like(rows)
    middle, corners, xyz, d = np.empty(3), np.empty((3, 8)), np.empty((3, edge**3)), np.empty(edge**3)
    value, clear = np.empty(edge**3, dtype=np.float32), np.empty(edge**3, dtype=np.float32)
    code, rags = np.empty(edge**3, dtype=np.uint8), np.empty(edge**3)
    muscle, rags_mm = texture[1][0], np.array(_RAGS_MM)
    for i in range(0, shape[0], edge):
        n_i = pick(rows, rows.size, reach, (0, i, i + edge), in_i)
        for j in range(0, shape[1], edge):
            n_j = pick(in_i, n_i, reach, (1, j, j + edge), in_j)
            for k in range(0, shape[2], edge):
                n_k = pick(in_j, n_j, reach, (2, k, k + edge), in_k)
                first, n = (i, j, k), 0
                far = softness_mm + _SLACK * middle_of(points, first, edge, middle)
                for row in in_k[:n_k][::-1]:
                    kind, q = kinds[row], parameters[row]
                    if beside(kind, middle, q) > far:
                        continue
                    if n == 0:
                        n = gather(points, first, edge, xyz)
                        value[:n], clear[:n], code[:n] = 0.0, 1.0, 0
                        corners_of(points, first, edge, corners)
                    distances(kind, corners[0], corners[1], corners[2], q, d[:8])
                    # What holds the corners of a block holds all of it: no primitive here is hollow.
                    ragged = _RAGGED_MM if paints[1][row] == muscle else 0.0
                    if d[:8].max() < -softness_mm - 3 * ragged:
                        d[:n] = -softness_mm
                    else:
                        distances(kind, xyz[0, :n], xyz[1, :n], xyz[2, :n], q, d[:n])
                        if ragged > 0:
                            noises(xyz[0, :n], xyz[1, :n], xyz[2, :n], rags_mm, texture[2], rags[:n])
                            d[:n] += ragged * np.minimum(3.0, np.maximum(0.0, _RAGGED_MEAN + rags[:n]))
                    if _lay(d[:n], softness_mm, (paints[0][row], paints[1][row]), value, clear, code) == 0:
                        break
                if n > 0:
                    value[:n] += clear[:n] * image[i, j, k]
                    _grain(xyz, code[:n], texture[0], texture[1], texture[2], value)
                    scatter(value, image, first, edge)


@njit(cache=True, error_model="numpy")
def _lay(
    distances_mm: NDArray[np.float64],
    softness_mm: float,
    paint: tuple[float, int],
    value: NDArray[np.float32],
    clear: NDArray[np.float32],
    code: NDArray[np.uint8],
) -> int:
    """Lay one primitive below those that came before; returns how many voxels of the block still show what is below.

    ``clear`` is the share of each voxel that shows it, ``code`` the uppermost tissue that has half of a voxel.
    """
    hu, name = np.float32(paint[0]), paint[1]
    scale, n_open = 0.5 / softness_mm, 0
    for n in range(distances_mm.size):
        share = 0.5 - scale * distances_mm[n]
        # A section without width has no distance at all.
        share = min(1.0, share) if share > 0.0 else 0.0
        code[n] = name if (share > 0.5) & (code[n] == 0) else code[n]
        cover = clear[n] * np.float32(share)
        value[n] += cover * hu
        clear[n] -= cover
        n_open += clear[n] > _HIDDEN
    return n_open


@njit(cache=True, error_model="numpy")
def _grain(
    xyz: NDArray[np.float64],
    code: NDArray[np.uint8],
    grains: tuple[NDArray[np.float64], NDArray[np.float64]],
    muscle: tuple[int, float, float, NDArray[np.float64]],
    seed: int,
    value: NDArray[np.float32],
) -> None:
    """Add the grain of each tissue, and streaks of fat to muscle, to the voxels of a block."""
    amplitudes, lengths = grains
    muscle_code, streaks, fat_hu, streak_mm = muscle
    rows, here = np.empty(code.size, dtype=np.int64), np.empty((3, code.size))
    fine, broad = np.empty(code.size), np.empty(code.size)
    counts = np.zeros(amplitudes.size, dtype=np.int64)
    for m in range(code.size):
        counts[code[m]] += 1
    for tissue in range(amplitudes.size):
        if counts[tissue] == 0 or (tissue != muscle_code and amplitudes[tissue] == 0):
            continue
        n = 0
        for m in range(code.size):
            if code[m] == tissue:
                rows[n], here[0, n], here[1, n], here[2, n] = m, xyz[0, m], xyz[1, m], xyz[2, m]
                n += 1
        if tissue != muscle_code:
            noises(here[0, :n], here[1, :n], here[2, :n], lengths[tissue], seed + tissue, fine[:n])
            for m in range(n):
                value[rows[m]] += amplitudes[tissue] * fine[m]
            continue
        for m in range(n):
            here[0, m], here[1, m], here[2, m] = along_fibres(here[0, m], here[1, m], here[2, m])
        noises(here[0, :n], here[1, :n], here[2, :n], streak_mm[0], seed + 1, fine[:n])
        noises(here[0, :n], here[1, :n], here[2, :n], streak_mm[1], seed + 2, broad[:n])
        for m in range(n):
            share = min(0.8, max(0.0, 0.38 * (0.55 * fine[m] + 0.85 * broad[m] - 1.9 + 2.2 * streaks)))
            value[rows[m]] += 3.0 * fine[m] + share * (fat_hu - value[rows[m]])
