"""From vertebral cores to vertebrae: which pieces are one body, and their order from head to foot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from osteomet.core.grid import Grid
from osteomet.image.components import label_components, largest_components
from osteomet.image.distance import distance_to_mm
from osteomet.inference.column import Curve
from osteomet.inference.numbering import MOST_VERTEBRAE

SMALLEST_CORE_ML = 0.1
"""Smaller pieces are crumbs."""
LARGEST_GAP_MM = 150.0
"""Farther apart, along the column, no two bones of one column lie that both are seen."""
ANCHOR_ML = 15.0
"""A smaller sacrum may be none: it says nothing about vertebrae."""
_STRAY_MM = 40.0
_TALLEST_MM = 45.0
_ARCH_REACH_MM = 25.0
_SAME_BODY = 0.6
_WAISTS = ((1.5, 0.5), (1.9, 0.75), (np.inf, 0.9))
"""How narrow the waist of a piece must be to part it, by the length of the piece in sizes of a body."""
_RELATIVE_CRUMB = 0.1
_INSIDE_OTHER_BONE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """Vertebral cores, head to foot.

    ``voxels`` holds the indices of each core, shape (n, 3); ``place_mm`` where its centre lies along ``curve``, which
    is None when there is no vertebra.
    """

    voxels: tuple[NDArray[np.intp], ...]
    place_mm: NDArray[np.float64]
    curve: Curve | None


def find_bodies(
    cores: NDArray[np.bool_],
    arches: NDArray[np.bool_],
    sacrum: NDArray[np.bool_],
    other_bones: NDArray[np.bool_],
    grid: Grid,
) -> Bodies:
    """Take connected pieces of vertebral core for vertebrae, mended where the network slipped.

    Parameters
    ----------
    cores
        Voxels deep inside vertebral bodies, shape (i, j, k).
    arches
        Voxels of posterior elements.
    sacrum
        Voxels called sacrum.
    other_bones
        Voxels of all bones that are not vertebrae, the sacrum among them.
    grid
        Where they lie.

    Notes
    -----
    A piece is dropped when it is a crumb (below 0.1 ml, or a tenth of its neighbours), when most of its surface is
    another bone, when no arch lies within 25 mm of it but of others (heart and vessels full of contrast imitate
    bodies), when it lies below the middle of a sacrum of at least 15 ml (dense hips and implants imitate bodies,
    smaller sacra are often none), over 40 mm away from the column, or beyond a gap of 150 mm from its larger part.
    Everything else is measured along the column, in units of the size of a body, the square root of its largest
    cross-section: centres of neighbouring vertebrae lie 0.8 to 1.5 sizes apart, pieces of one body (split by a lesion
    or a cleft) hardly ever more than 0.6. Pieces closer than that are one vertebra. A piece with a waist, a
    cross-section of at most half of what follows on either side (three quarters where the piece is longer than 1.5
    sizes, nine tenths where it is longer than 1.9, as no body is), and lobes farther apart than that is two vertebrae
    joined by a bridge.
    """
    floor_mm = _middle_of_sacrum_mm(sacrum, grid)
    pieces = [piece for piece in _pieces(cores, grid) if _xyz(piece, grid)[:, 2].mean() > floor_mm]
    pieces = _with_arches([piece for piece in pieces if not _is_inside(piece, other_bones)], arches, grid)
    if pieces:
        pieces = _one_column(pieces, _curve(pieces, grid), grid)
    if not pieces:
        return Bodies((), np.zeros(0), None)
    curve = _curve(pieces, grid)
    pieces = [part for piece in pieces for part in _split(piece, curve, grid)]
    pieces = _drop_relative_crumbs(_merge(pieces, curve, grid))
    curve = _curve(pieces, grid)
    place = np.array([_place(piece, curve, grid).mean() for piece in pieces])
    order = np.argsort(place)
    return Bodies(tuple(pieces[i] for i in order), place[order], curve)


def _pieces(cores: NDArray[np.bool_], grid: Grid) -> list[NDArray[np.intp]]:
    """Voxels of each component that is no crumb, the largest first, no more than a column can have."""
    labels, n = label_components(cores, connectivity=6)
    index = np.argwhere(labels)
    owner = labels[tuple(index.T)]
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=n + 1)[1:]
    pieces = np.split(index[order], np.cumsum(counts)[:-1]) if n else []
    large = [piece for piece in pieces if len(piece) * grid.voxel_volume_ml >= SMALLEST_CORE_ML * (1 - 1e-9)]
    return sorted(large, key=len, reverse=True)[:MOST_VERTEBRAE]


def _is_inside(piece: NDArray[np.intp], around: NDArray[np.bool_]) -> bool:
    """Whether most voxels that touch the piece belong to a mask."""
    low = np.maximum(piece.min(axis=0) - 1, 0)
    high = np.minimum(piece.max(axis=0) + 2, around.shape)
    block = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    own = np.zeros(tuple(high - low), dtype=bool)
    own[tuple((piece - low).T)] = True
    shell = binary_dilation(own) & ~own
    return bool(shell.any() and around[block][shell].mean() > _INSIDE_OTHER_BONE)


def _with_arches(pieces: list[NDArray[np.intp]], arches: NDArray[np.bool_], grid: Grid) -> list[NDArray[np.intp]]:
    """Keep the pieces that an arch lies near; all of them where no piece has one."""
    away_mm = distance_to_mm(arches, grid.spacing_mm)
    near = [piece for piece in pieces if away_mm[tuple(piece.T)].min() <= _ARCH_REACH_MM]
    return near or pieces


def _middle_of_sacrum_mm(sacrum: NDArray[np.bool_], grid: Grid) -> float:
    """Height of the centre of the largest piece of sacrum, LPS z in mm; minus infinity where there is none."""
    largest = np.argwhere(largest_components(sacrum, 1))
    if len(largest) * grid.voxel_volume_ml < ANCHOR_ML:
        return -np.inf
    return float(grid.to_xyz_mm(largest)[:, 2].mean())


def _xyz(piece: NDArray[np.intp], grid: Grid) -> NDArray[np.float64]:
    return grid.to_xyz_mm(piece)


def _curve(pieces: list[NDArray[np.intp]], grid: Grid) -> Curve:
    slabs = [slab for piece in pieces for slab in _slabs(_xyz(piece, grid))]
    centres, sizes = [slab.mean(axis=0) for slab in slabs], [float(len(slab)) for slab in slabs]
    return Curve.through(np.array(centres), np.array(sizes))


def _slabs(points_mm: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Points of one body as they are; those of bodies that have fused, as thick slices leave them, in slabs."""
    height = points_mm[:, 2]
    n = int(np.ptp(height) // _TALLEST_MM) + 1
    edges = np.linspace(height.min(), height.max(), n + 1)[1:-1]
    which = np.searchsorted(edges, height)
    return [points_mm[which == slab] for slab in np.unique(which)]


def _one_column(pieces: list[NDArray[np.intp]], curve: Curve, grid: Grid) -> list[NDArray[np.intp]]:
    """Keep the pieces near the curve, and of these the largest run without a gap that no column has."""
    place, distance = curve.project(np.array([_xyz(piece, grid).mean(axis=0) for piece in pieces]))
    order = [n for n in np.argsort(place) if distance[n] <= _STRAY_MM]
    if not order:
        return []
    breaks = np.flatnonzero(np.diff(place[order]) > LARGEST_GAP_MM) + 1
    runs = [[pieces[n] for n in run] for run in np.split(np.array(order), breaks)]
    return max(runs, key=lambda run: sum(len(piece) for piece in run))


def _place(piece: NDArray[np.intp], curve: Curve, grid: Grid) -> NDArray[np.float64]:
    """Places along the column of the voxels of a piece, mm."""
    return curve.project(_xyz(piece, grid))[0]


def _profile(place: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Cross-section of a piece along the column, mm² in steps of one voxel.

    Each voxel is shared between the two nearest steps: counted whole, layers of voxels and steps would beat.
    """
    step = max(grid.spacing_mm)
    steps = (place - place.min()) / step
    low, part = steps.astype(int), steps % 1
    n = int(low.max()) + 2
    counts = np.bincount(low, 1 - part, n) + np.bincount(low + 1, part, n)
    return np.asarray(counts[: int(np.ceil(steps.max())) + 1] * (grid.voxel_volume_mm3 / step))


def _size_mm(place: NDArray[np.float64], grid: Grid) -> float:
    return float(np.sqrt(_profile(place, grid).max()))


def _split(piece: NDArray[np.intp], curve: Curve, grid: Grid) -> list[NDArray[np.intp]]:
    """Cut a piece at its waists."""
    place = _place(piece, curve, grid)
    area = _profile(place, grid)
    if len(area) < 3:
        return [piece]
    above, below = np.maximum.accumulate(area), np.maximum.accumulate(area[::-1])[::-1]
    narrowness = area[1:-1] / np.minimum(above[:-2], below[2:])
    waist = int(narrowness.argmin()) + 1
    cut = place.min() + waist * max(grid.spacing_mm)
    first, second = place < cut, place >= cut
    size = _size_mm(place, grid)
    limit = next(waist for length, waist in _WAISTS if np.ptp(place) <= length * size)
    apart = place[second].mean() - place[first].mean()
    smallest = min(first.sum(), second.sum()) * grid.voxel_volume_ml
    if narrowness.min() > limit or smallest < SMALLEST_CORE_ML or apart < _SAME_BODY * size:
        return [piece]
    return [part for side in (first, second) for part in _split(piece[side], curve, grid)]


def _merge(pieces: list[NDArray[np.intp]], curve: Curve, grid: Grid) -> list[NDArray[np.intp]]:
    """Join pieces that are too close along the column to be two vertebrae, judged by the size of those about them."""
    ordered = sorted(pieces, key=lambda piece: float(_place(piece, curve, grid).mean()))
    sizes = [_size_mm(_place(piece, curve, grid), grid) for piece in ordered]
    joined = ordered[:1]
    for n, piece in enumerate(ordered[1:], start=1):
        apart = _place(piece, curve, grid).mean() - _place(joined[-1], curve, grid).mean()
        if apart < _SAME_BODY * max(sizes[max(0, n - 2) : n + 2]):
            joined[-1] = np.concatenate([joined[-1], piece])
        else:
            joined.append(piece)
    return joined


def _drop_relative_crumbs(pieces: list[NDArray[np.intp]]) -> list[NDArray[np.intp]]:
    """Drop what is far smaller than the vertebrae beside it; the first and last may be cut by the field of view."""
    sizes = np.array([len(piece) for piece in pieces])
    kept = []
    for n, piece in enumerate(pieces):
        beside = np.concatenate([sizes[max(0, n - 2) : n], sizes[n + 1 : n + 3]])
        if n in (0, len(pieces) - 1) or sizes[n] >= _RELATIVE_CRUMB * np.median(beside):
            kept.append(piece)
    return kept
