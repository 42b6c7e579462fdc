"""Which vertebra each voxel of a posterior element belongs to."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from osteomet.core.grid import Grid
from osteomet.image.components import bounding_box
from osteomet.inference.column import Curve

UPHILL = 2.5
"""How many times its length a path costs where it climbs towards the head."""
_REACH = 90.0
_LOOSE_MM = 12.0


def assign_arches(
    posterior: NDArray[np.bool_], bodies: NDArray[np.uint8], curve: Curve, grid: Grid
) -> NDArray[np.uint8]:
    """Give voxels of posterior elements to vertebrae along paths through bone.

    Parameters
    ----------
    posterior
        Voxels of pedicles, laminae and processes, shape (i, j, k).
    bodies
        Number of the vertebra whose body each voxel belongs to, 0 elsewhere; same shape.
    curve
        Course of the column.
    grid
        Where they lie.

    Returns
    -------
    Number of the vertebra of each posterior voxel, 0 elsewhere and where none is in reach.

    Notes
    -----
    Neighbouring arches touch at the facet joints, so the nearest body is a poor guess: it claims the tips of the
    processes of the level above. An arch leaves its body at the pedicles, in the upper half, and most of it runs
    downwards. Paths therefore start at the body, follow bone, and cost 2.5 times their length where they climb, which
    puts the border between two vertebrae at the middle of their joint. Pieces that no path reaches go to the nearest
    vertebra within 12 mm.
    """
    owner = np.zeros(posterior.shape, dtype=np.uint8)
    box = bounding_box(posterior)
    if box is None or not bodies.any():
        return owner
    box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)  # type: ignore[assignment]
    block, arch, body = owner[box], posterior[box], bodies[box]
    _follow_bone(block, arch, body, curve, grid.crop([s.start for s in box], block.shape))
    _take_loose_pieces(block, arch, body, grid)
    return owner


def _follow_bone(
    owner: NDArray[np.uint8], arch: NDArray[np.bool_], body: NDArray[np.uint8], curve: Curve, grid: Grid
) -> None:
    """Fill ``owner`` along the cheapest paths from bodies through arches."""
    nodes = arch | (body > 0)
    number = np.full(nodes.shape, -1, dtype=np.int32)
    number[nodes] = np.arange(nodes.sum(), dtype=np.int32)
    xyz_mm = grid.to_xyz_mm(np.argwhere(nodes))
    up = curve.up_at(curve.project(xyz_mm)[0])
    starts = np.flatnonzero(body[nodes])
    if not len(starts):
        return
    rows, columns, costs = [], [], []
    for offset in product((-1, 0, 1), repeat=3):
        if offset == (0, 0, 0):
            continue
        a, b = _neighbours(number, offset)
        enters_arch = arch[nodes][b]
        a, b = a[enters_arch], b[enters_arch]
        step_mm = grid.affine[:3, :3] @ np.array(offset, dtype=np.float64)
        rows.append(a)
        columns.append(b)
        costs.append(np.linalg.norm(step_mm) + (UPHILL - 1) * np.maximum(0, up[a] @ step_mm))
    n = len(xyz_mm)
    graph = coo_array((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)).tocsr()
    cost, _, source = dijkstra(graph, indices=starts, min_only=True, return_predecessors=True, limit=_REACH)
    reached = np.isfinite(cost) & arch[nodes]
    found = np.zeros(n, dtype=np.uint8)
    found[reached] = body[nodes][source[reached]]
    owner[nodes] = found


def _neighbours(number: NDArray[np.int32], offset: tuple[int, ...]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pairs of nodes, each with the node at this offset from it."""
    here = number[tuple(slice(max(0, -o), n - max(0, o)) for o, n in zip(offset, number.shape, strict=True))]
    there = number[tuple(slice(max(0, o), n - max(0, -o)) for o, n in zip(offset, number.shape, strict=True))]
    both = (here >= 0) & (there >= 0)
    return here[both], there[both]


def _take_loose_pieces(owner: NDArray[np.uint8], arch: NDArray[np.bool_], body: NDArray[np.uint8], grid: Grid) -> None:
    """Give arch voxels without owner to the nearest vertebra that is close enough."""
    known = np.where(arch, owner, body)
    loose = arch & (owner == 0)
    if not loose.any():
        return
    distance, nearest = distance_transform_edt(known == 0, sampling=grid.spacing_mm, return_indices=True)
    close = loose & (distance <= _LOOSE_MM)
    owner[close] = known[tuple(nearest[:, close])]
