"""Where the voxels of one grid lie among those of another, in index units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid

Block = tuple[slice, slice, slice]
"""A box of voxels: one range with start and stop for each axis."""

_PARALLEL_TOLERANCE = 1e-3
_CUBE = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)


@dataclass(frozen=True, slots=True, eq=False)
class IndexMap:
    """Affine map from target index to source index: ``matrix @ target + offset``, shapes (3, 3) and (3,)."""

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def between(cls, source: Grid, target: Grid) -> IndexMap:
        """Map the voxel centres of ``target`` into ``source``."""
        matrix = np.asarray(np.linalg.solve(source.affine, target.affine), dtype=np.float64)
        return cls(matrix[:3, :3], matrix[:3, 3])

    def inverse(self) -> IndexMap:
        """Map source index to target index."""
        matrix = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        return IndexMap(matrix, -matrix @ self.offset)

    def in_target(self, block: Block) -> IndexMap:
        """Count target indices from the first voxel of a block of the target."""
        return IndexMap(self.matrix, self.offset + self.matrix @ [s.start for s in block])

    def in_source(self, block: Block) -> IndexMap:
        """Count source indices from the first voxel of a block of the source."""
        return IndexMap(self.matrix, self.offset - [s.start for s in block])

    def sigmas(self) -> tuple[float, float, float]:
        """Return the anti-aliasing Gaussian's standard deviation along each source axis, source voxels.

        Both voxels are taken as Gaussians whose full width at half maximum is the spacing; what the source lacks in
        variance along its axis is added. Zero where the target is not coarser.
        """
        spread = np.square(self.matrix).sum(axis=1)
        missing = np.where(spread > 1 + 1e-6, spread - 1, 0)
        a, b, c = np.sqrt(missing / (8 * np.log(2))).tolist()
        return a, b, c

    def parallel_axes(self, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Target axis along each source axis, or None where a target of this shape lies oblique to the source.

        Axes count as parallel when none of the target's voxels strays by more than a thousandth of a source voxel.
        """
        a, b, c = np.abs(self.matrix).argmax(axis=1).tolist()
        stray = self.matrix.copy()
        stray[[0, 1, 2], [a, b, c]] = 0
        strays = (np.abs(stray) @ (np.array(shape) - 1)).max() > _PARALLEL_TOLERANCE
        return None if strays or len({a, b, c}) < 3 else (a, b, c)

    def centres(self, axes: Sequence[int], shape: Sequence[int]) -> list[NDArray[np.float64]]:
        """Target voxel centres along each source axis, source index units, given the parallel target ``axes``."""
        middle = (np.array(shape) - 1) / 2
        start = self.matrix @ middle + self.offset
        return [
            start[source] + self.matrix[source, axis] * (np.arange(shape[axis]) - middle[axis])
            for source, axis in enumerate(axes)
        ]

    def reach(self, block: Block) -> Block:
        """Smallest block of source voxels around all centres of a block of the target; it may stick out of the grid."""
        first = np.array([s.start for s in block])
        corners = (first + _CUBE * (np.array(size_of(block)) - 1)) @ self.matrix.T + self.offset
        low = np.floor(corners.min(axis=0) + 1e-6).astype(int).tolist()
        high = np.ceil(corners.max(axis=0) - 1e-6).astype(int).tolist()
        a, b, c = (slice(start, last + 1) for start, last in zip(low, high, strict=True))
        return a, b, c


def widened(block: Block, margin: Sequence[int]) -> Block:
    """Block with ``margin`` more voxels on both sides; it may stick out of its grid."""
    a, b, c = (slice(s.start - m, s.stop + m) for s, m in zip(block, margin, strict=True))
    return a, b, c


def clipped(block: Block, shape: Sequence[int]) -> Block:
    """Part of a block inside a grid of this shape; a side is 0 where there is none."""
    a, b, c = (slice(max(s.start, 0), max(s.start, 0, min(s.stop, int(n)))) for s, n in zip(block, shape, strict=True))
    return a, b, c


def size_of(block: Block) -> tuple[int, int, int]:
    """Count the voxels along each axis."""
    a, b, c = block
    return a.stop - a.start, b.stop - b.start, c.stop - c.start


def split(shape: Sequence[int], sides: Sequence[int]) -> Iterator[Block]:
    """Cut a grid into blocks of at most these sides."""
    for i in range(0, shape[0], sides[0]):
        for j in range(0, shape[1], sides[1]):
            for k in range(0, shape[2], sides[2]):
                ends = (min(i + sides[0], shape[0]), min(j + sides[1], shape[1]), min(k + sides[2], shape[2]))
                yield slice(i, ends[0]), slice(j, ends[1]), slice(k, ends[2])
