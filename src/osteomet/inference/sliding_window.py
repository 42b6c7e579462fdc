"""Run an engine over an image of any size in overlapping windows, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.inference.engine import Engine

OVERLAP = 0.5
"""Part of a window that the next one along the same axis covers again, at least."""
IMPORTANCE_SIGMA = 1 / 8
"""Standard deviation of the Gaussian that weighs a window, in sides of the window."""
BUDGET_BYTES = 384 * 2**20
"""Memory for probabilities under way; a sweep that would need more is split."""

Triple = tuple[int, int, int]
Reduce = Callable[[NDArray[np.float32]], NDArray[Any]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """What windows move over.

    Parameters
    ----------
    image
        Values scaled as the network expects them, float32, shape (n_inputs, i, j, k).
    outside
        Value that fills a window where it reaches beyond the image.
    region
        Voxels whose result is wanted, shape (i, j, k); None for all.
    """

    image: NDArray[np.float32]
    outside: float
    region: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> Triple:
        """Size of the image in voxels."""
        _, i, j, k = self.image.shape
        return i, j, k


def predict_blended(
    engine: Engine,
    field: Field,
    *,
    patch: Triple,
    reduce: Reduce,
    progress: Progress | None = None,
    importance: NDArray[np.float32] | None = None,
) -> NDArray[Any]:
    """Blend the predictions of overlapping windows.

    Parameters
    ----------
    engine
        The network.
    field
        The image, and where in it a result is wanted.
    patch
        Size of a window in voxels.
    reduce
        Makes of probabilities, float32 (n_outputs, a, b, c), what is kept, (..., a, b, c), voxel by voxel. It sees the
        image block by block, with the axes in any order.
    progress
        Called with the number of windows done and of all.
    importance
        Weight of each voxel of a window, above 0; None for a Gaussian about its middle.

    Returns
    -------
    What ``reduce`` keeps, shape (..., i, j, k). Where no window ran, that of the first output (background) having
    probability 1.

    Notes
    -----
    Each voxel gets the mean of all windows that cover it, weighted by a Gaussian about the middle of the window, where
    a network sees most context. It is kept as a **running mean**, ``m += w / W · (p − m)``: where all windows agree the
    result is exactly what they say, at borders too, which a sum divided by the sum of weights misses by rounding.

    A window runs where its middle part, the voxels that lie nearest to its own centre, holds a voxel of the region. As
    these parts tile the image, every voxel of the region is seen from at least a quarter of a window away from the edge
    of that window (unless the image itself ends there), with a third of the windows that touch the region.

    The sweep goes along the longest axis and holds one window's depth of probabilities; planes that no further window
    reaches are reduced and dropped. Where even that exceeds `BUDGET_BYTES`, the cross-section is swept in tiles, and
    windows on a border between tiles run once for each: results do not depend on the budget.
    """
    axis = int(np.argmax(field.shape))
    windows = _wanted_windows(field, patch)
    background = np.zeros((engine.n_outputs, 1, 1, 1), dtype=np.float32)
    background[0] = 1
    empty = reduce(background)
    out = np.broadcast_to(empty, (*empty.shape[:-3], *field.shape)).copy()
    weights = _importance(patch) if importance is None else importance
    sweeps = list(_sweeps(windows, field, weights, axis, engine.n_outputs))
    n_all = sum(len(sweep.windows) for sweep in sweeps)
    done = 0
    for sweep in sweeps:
        for _ in sweep.run(engine, field, reduce, out):
            done += 1
            if progress is not None:
                progress(done, n_all)
    return out


def window_starts(n: int, side: int) -> list[int]:
    """First voxel of each window along an axis of ``n`` voxels, evenly spread.

    An axis shorter than the window gets one window about its middle, which starts before the image.

    Examples
    --------
    >>> window_starts(100, 40), window_starts(40, 40), window_starts(10, 16), window_starts(3, 1)
    ([0, 20, 40, 60], [0], [-3], [0, 1, 2])
    """
    if n <= side:
        return [-((side - n) // 2)]
    n_steps = math.ceil((n - side) / max(1, side * (1 - OVERLAP)))
    return [round(step * (n - side) / n_steps) for step in range(n_steps + 1)]


def _wanted_windows(field: Field, patch: Triple) -> list[Triple]:
    """List the starts of the windows whose middle part holds a voxel of the region."""
    axes = [_starts_and_middles(n, side) for n, side in zip(field.shape, patch, strict=True)]
    return [
        (a, b, c)
        for (a, middle_a), (b, middle_b), (c, middle_c) in product(*axes)
        if field.region is None or field.region[middle_a, middle_b, middle_c].any()
    ]


def _starts_and_middles(n: int, side: int) -> list[tuple[int, slice]]:
    """Windows along an axis, each with the part that is nearer to its own centre than to that of its neighbours."""
    starts = window_starts(n, side)
    borders = [0, *((before + after + side) // 2 for before, after in pairwise(starts)), n]
    return [(start, slice(*ends)) for start, ends in zip(starts, pairwise(borders), strict=True)]


def _importance(patch: tuple[int, ...]) -> NDArray[np.float32]:
    """Gaussian weight of each voxel of a window, 1 in the middle."""
    offsets = [(np.arange(n) - (n - 1) / 2) / (n * IMPORTANCE_SIGMA) for n in patch]
    a, b, c = (np.exp(-0.5 * x**2) for x in offsets)
    return np.asarray(a[:, None, None] * b[:, None] * c, dtype=np.float32)


def _sweeps(
    windows: list[Triple], field: Field, importance: NDArray[np.float32], axis: int, n_outputs: int
) -> Iterator[_Sweep]:
    """Split the cross-section that the windows reach into tiles within the budget."""
    patch = importance.shape
    across = [a for a in range(3) if a != axis]
    if not windows:
        return
    first, stop = np.min(windows, axis=0), np.max(windows, axis=0) + patch
    box = [(max(0, int(first[a])), min(field.shape[a], int(stop[a]))) for a in across]
    voxel_bytes = 4 * (n_outputs + 1) * patch[axis]
    for (b_low, b_high), (c_low, c_high) in _tiles(box, BUDGET_BYTES // voxel_bytes):
        b, c = across
        touching = [w for w in windows if b_low - patch[b] < w[b] < b_high and c_low - patch[c] < w[c] < c_high]
        if touching:
            yield _Sweep(touching, importance, axis, [(b_low, b_high), (c_low, c_high)])


def _tiles(box: list[tuple[int, int]], largest: int) -> Iterator[list[tuple[int, int]]]:
    """Halve a rectangle along its longer side until its area is at most ``largest``, or it is one voxel."""
    sides = [high - low for low, high in box]
    if sides[0] * sides[1] <= max(1, largest):
        yield box
        return
    longer = int(np.argmax(sides))
    low, high = box[longer]
    for half in ((low, (low + high) // 2), ((low + high) // 2, high)):
        yield from _tiles([half if a == longer else box[a] for a in range(2)], largest)


@dataclass(frozen=True, slots=True, eq=False)
class _Sweep:
    """One pass along an axis over a tile of the cross-section."""

    windows: list[Triple]
    importance: NDArray[np.float32]
    axis: int
    tile: list[tuple[int, int]]

    def run(self, engine: Engine, field: Field, reduce: Reduce, out: NDArray[Any]) -> Iterator[None]:
        """Fill the tile of ``out``; yields after each window."""
        order = [self.axis, *(a for a in range(3) if a != self.axis)]
        importance = self.importance.transpose(order)
        slab = _Slab(engine.n_outputs, len(importance), self.tile)
        target = np.moveaxis(out, self.axis - 3, -3)[..., slice(*self.tile[0]), slice(*self.tile[1])]
        ordered = sorted(self.windows, key=lambda window: window[self.axis])
        for start, group in groupby(ordered, key=lambda window: window[self.axis]):
            slab.advance(start, reduce, target)
            for window in group:
                probability = engine.predict(_read(field, window, self.importance.shape)[np.newaxis])[0]
                slab.blend(np.moveaxis(probability, 1 + self.axis, 1), importance, [window[a] for a in order[1:]])
                yield
        slab.advance(ordered[-1][self.axis] + len(importance), reduce, target)


class _Slab:
    """Running means of the planes that windows are working on, sweep axis first."""

    def __init__(self, n_outputs: int, depth: int, tile: list[tuple[int, int]]) -> None:
        size = (depth, *(high - low for low, high in tile))
        self._mean = np.zeros((n_outputs, *size), dtype=np.float32)
        self._weight = np.zeros(size, dtype=np.float32)
        self._tile = tile
        self._first: int | None = None

    def advance(self, first: int, reduce: Reduce, target: NDArray[Any]) -> None:
        """Finish all planes before ``first``, which no further window reaches, and make room behind the others."""
        if self._first is None:
            self._first = first
        depth = self._weight.shape[0]
        n = min(first - self._first, depth)
        low, high = max(0, self._first), min(self._first + n, target.shape[-3])
        if high > low:
            planes = slice(low - self._first, high - self._first)
            self._mean[0, planes][self._weight[planes] == 0] = 1
            target[..., low:high, :, :] = reduce(self._mean[:, planes])
        for array in (*self._mean, self._weight):
            array[: depth - n] = array[n:]
            array[depth - n :] = 0
        self._first = first

    def blend(self, probability: NDArray[Any], importance: NDArray[np.float32], starts: list[int]) -> None:
        """Take the prediction of one window, which begins at the first plane, into the running mean."""
        (b, to_b), (c, to_c) = map(_overlap, starts, importance.shape[1:], self._tile)
        weight, total = importance[:, b, c], self._weight[:, to_b, to_c]
        total += weight
        share = weight / total
        for mean, values in zip(self._mean[:, :, to_b, to_c], probability[:, :, b, c], strict=True):
            step = values - mean
            step *= share
            mean += step


def _overlap(start: int, side: int, tile: tuple[int, int]) -> tuple[slice, slice]:
    """Where a window and a tile meet along an axis, in voxels of the window and of the tile."""
    low, high = max(start, tile[0]), min(start + side, tile[1])
    return slice(low - start, high - start), slice(low - tile[0], high - tile[0])


def _read(field: Field, start: Triple, patch: tuple[int, ...]) -> NDArray[np.float32]:
    """Cut a window out of the image, filled where it reaches beyond."""
    inside = [slice(max(0, s), min(n, s + p)) for s, p, n in zip(start, patch, field.shape, strict=True)]
    block = field.image[:, *inside]
    if block.shape[1:] == patch:
        return np.ascontiguousarray(block)
    out = np.full((field.image.shape[0], *patch), field.outside, dtype=np.float32)
    out[:, *(slice(i.start - s, i.stop - s) for i, s in zip(inside, start, strict=True))] = block
    return out
